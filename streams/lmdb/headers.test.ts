import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeHeaders, encodeHeaders } from './headers.js';

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
