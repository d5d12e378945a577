import { describe, expect, it } from 'vitest';
import { isoOf, millisOf } from './iso-time.js';

describe('instants between text and number', () => {
  it('are formatted as Date does, also where they share a slot, are fractions, negative or far away', () => {
    const base = Date.UTC(2026, 10, 21);
    const instants = [0, -1, 0.5, base, base + 64, base + 0.25, base, base + 128, 8.64e15, base, -64];
    for (const ms of [...instants, ...instants]) expect(isoOf(ms)).toBe(new Date(ms).toISOString());
  });

  it('that no Date holds are refused', () => {
    for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, 8.65e15]) expect(() => isoOf(ms)).toThrow(RangeError);
  });

  it('are parsed as Date does', () => {
    const texts = ['2026-11-21T00:00:00.000Z', '2026-11-21T01:00:00+01:00', 'no instant', '', '2026-11-21T00:00:00.000Z'];
    for (const text of texts) expect(millisOf(text)).toBe(Date.parse(text));
  });
});
