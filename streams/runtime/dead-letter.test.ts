import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode, encode, Fault, LETTER, RETRIED_FROM } from '../../schemas/index.js';
import type { Outgoing, Recorded } from '../log.js';
import { eventOf } from '../record.js';
import { deadLetter, deadLetterAlert, revive } from './dead-letter.js';

const record = (over: Partial<Recorded> = {}): Recorded => ({
  topic: 'dats.work.small',
  partition: 3,
  offset: 41,
  key: 'task-1',
  headers: { type: 'dats.work.requested' },
  value: 'not json',
  type: 'dats.work.requested',
  timestamp: 5,
  ...over,
});
const failure = {
  group: 'generation',
  fault: new Fault('terminal', 'bad_event', 'it does not fit'),
  attempts: 2,
  firstFailedAt: Date.parse('2026-11-21T10:00:00Z'),
  failedAt: Date.parse('2026-11-21T10:00:05Z'),
};
const inDlq = (letter: Outgoing, offset = 0): Recorded => ({
  ...letter,
  partition: 0,
  offset,
  type: letter.headers.type ?? '',
  timestamp: 9,
});

describe('dead letter', () => {
  it('says where the record came from and why it failed', () => {
    const letter = deadLetter(record(), failure);
    expect(letter).toMatchObject({ topic: 'dats.dlq', key: 'task-1', value: 'not json' });
    expect(letter.headers).toEqual({
      type: 'dats.work.requested',
      [LETTER.id]: expect.stringMatching(/^[0-9a-f-]{36}$/),
      [LETTER.topic]: 'dats.work.small',
      [LETTER.partition]: '3',
      [LETTER.offset]: '41',
      [LETTER.group]: 'generation',
      [LETTER.stage]: 'VALUE_CONVERTER',
      [LETTER.code]: 'bad_event',
      [LETTER.stack]: expect.stringMatching(/^Fault: it does not fit\n/),
      [LETTER.message]: 'it does not fit',
      [LETTER.attempts]: '2',
      [LETTER.firstFailedAt]: '2026-11-21T10:00:00.000Z',
      [LETTER.failedAt]: '2026-11-21T10:00:05.000Z',
      [LETTER.retryable]: 'false',
    });
  });

  it('comes back as the record it was, whatever its headers and bytes', () => {
    const header = fc.string({ maxLength: 20 }).filter((name) => !name.startsWith('dlq.') && name !== '__proto__');
    fc.assert(
      fc.property(fc.string(), fc.dictionary(header, fc.string()), fc.uint8Array(), (key, headers, value) => {
        const back = revive(inDlq(deadLetter(record({ key, headers: { ...headers }, value }), failure), 7));
        expect(back).toEqual({ topic: 'dats.work.small', key, headers: { ...headers, [RETRIED_FROM]: 'p0-7' }, value });
      }),
    );
  });

  it('has the same id for the same record and group, and another for another', () => {
    const id = (r: Recorded, group = 'generation') => deadLetter(r, { ...failure, group }).headers[LETTER.id];
    expect(id(record())).toBe(id(record()));
    expect(new Set([id(record()), id(record({ offset: 42 })), id(record({ partition: 4 })), id(record(), 'qa')]).size).toBe(4);
  });

  it('does not carry the event of the record it wraps', () => {
    const { event } = deadLetterAlert(record(), failure);
    expect(deadLetter(record({ event: event! }), failure)).not.toHaveProperty('event');
  });

  it('shortens a long message, so that it fits where its record did', () => {
    const fault = new Fault('terminal', 'x', 'x'.repeat(100_000));
    expect(deadLetter(record(), { ...failure, fault }).headers[LETTER.message]).toHaveLength(1_000);
  });

  it('cannot be made of any other record', () => {
    expect(() => revive(record())).toThrow(expect.objectContaining({ code: 'not_a_dead_letter', kind: 'terminal' }));
    const forged = { ...deadLetter(record(), failure).headers, [LETTER.topic]: 'somewhere' };
    expect(() => revive(record({ headers: forged }))).toThrow(expect.objectContaining({ code: 'not_a_dead_letter' }));
  });
});

describe('dead letter alert', () => {
  it('is a valid event, however broken the record', () => {
    const headers = fc.dictionary(
      fc.constantFrom('id', 'projectid', 'subject', 'correlationid', 'traceparent', 'configversion'),
      fc.string({ maxLength: 300 }),
    );
    fc.assert(
      fc.property(headers, fc.string(), (broken, group) => {
        const alert = deadLetterAlert(record({ headers: { ...broken } }), { ...failure, group });
        expect(eventOf({ headers: alert.headers, value: alert.value })).toMatchObject({
          type: 'dats.ops.alert',
          data: { what: 'dead_letter' },
        });
      }),
    );
  });

  it('keeps the chain of causes of the event that failed', () => {
    const cause = deadLetterAlert(record(), failure).event!;
    const { headers, value } = encode({ ...cause, projectid: 'p-1', correlationid: 'c-1' });
    const alert = deadLetterAlert(record({ headers, value }), failure);
    expect(decode(alert.headers, alert.value)).toMatchObject({ projectid: 'p-1', correlationid: 'c-1', causationid: cause.id });
  });
});
