import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { attributesOf, type DatsEvent } from '../../schemas/index.js';
import { decodeHeaders, encodeAttributes, encodeHeaders } from './headers.js';

test('headers of any names and values come back, in their order', () => {
  const part = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', '__proto__', '\0', '{', 'type', 'x'.repeat(126), 'é'.repeat(127), 'x'.repeat(3_000)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(part, part), { maxLength: 8 }), (entries) => {
      const headers = Object.fromEntries(entries);
      const text = Buffer.from(encodeHeaders(headers)).toString('utf8');
      expect(Object.entries(decodeHeaders(text))).toEqual(Object.entries(headers));
    }),
    { numRuns: 60 },
  );
});

test('headers with lone surrogates come back', () => {
  const headers = { type: 'a\ud800b', '\udfff': 'x' };
  expect(decodeHeaders(Buffer.from(encodeHeaders(headers)).toString('utf8'))).toEqual(headers);
});

test('headers that hold something else than text are kept as JSON keeps them', () => {
  const headers = { type: 'x', gone: undefined, count: 3 } as unknown as Record<string, string>;
  expect(decodeHeaders(encodeHeaders(headers))).toEqual({ type: 'x', count: 3 });
});

describe('the attributes of an event', () => {
  const event = (extra: Partial<DatsEvent> = {}): DatsEvent =>
    ({
      specversion: '1.0',
      id: 'e1',
      source: '/deciders/core',
      type: 'dats.task.failed',
      time: '2026-11-21T00:00:00.000Z',
      subject: 't1',
      datacontenttype: 'application/json',
      dataschema: 'urn:dats:task.failed:1',
      projectid: 'p',
      correlationid: 'c',
      actor: 'scheduling',
      configversion: 'v1',
      data: { task_id: 't1', attempt: 1, error: { code: 'x', message: 'y', retryable: false } },
      ...extra,
    }) as DatsEvent;

  it('become the same text as the headers made of them, with any set of the optional ones', () => {
    for (let set = 0; set < 8; set++) {
      const said = event({
        ...(set & 1 ? { causationid: 'e0' } : {}),
        ...(set & 2 ? { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` } : {}),
        ...(set & 4 ? { afteroffset: '17' } : {}),
      });
      expect(encodeAttributes(said)).toBe(encodeHeaders(attributesOf(said)));
      expect(decodeHeaders(encodeAttributes(said))).toEqual(attributesOf(said));
    }
  });

  it('survive long values, other scripts and lone surrogates', () => {
    for (const subject of ['x'.repeat(126), 'x'.repeat(127), 'x'.repeat(1000), 'größe 🙂', '\ud800']) {
      const said = event({ subject });
      expect(encodeAttributes(said)).toBe(encodeHeaders(attributesOf(said)));
      expect(decodeHeaders(encodeAttributes(said)).subject).toBe(subject);
    }
  });
});
