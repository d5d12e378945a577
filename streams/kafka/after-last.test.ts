import { describe, expect, it } from 'vitest';
import { afterLast } from './after-last.js';
import type { FetchedRecord } from './codec.js';

/** A partition of which one character is an offset: `r` a record, `.` what ends a transaction. */
const brokerOf = (offsets: string) => async (from: number) => {
  const found = [...offsets].flatMap((kind, offset) => (kind === 'r' && offset >= from ? [{ offset } as FetchedRecord] : []));
  return { records: found, next: Math.max(from, offsets.length) };
};

describe('the end of a partition', () => {
  it.each([
    ['', 0],
    ['r', 1],
    ['.', 0],
    ['rr.', 2],
    ['r.r..', 3],
    ['....', 0],
  ])('of "%s" is %i: behind the last record', async (offsets, end) => {
    expect(await afterLast(brokerOf(offsets), 0, offsets.length)).toBe(end);
  });

  it('is not looked for for ever: one that is later does no harm', async () => {
    const offsets = `r${'.'.repeat(40)}`;
    expect(await afterLast(brokerOf(offsets), 0, offsets.length)).toBe(offsets.length);
  });

  it('is never before what is there, also where the broker answers with nothing', async () => {
    expect(await afterLast(async (from) => ({ records: [], next: from }), 0, 9)).toBe(9);
  });

  it('is not told where the broker cannot tell', async () => {
    const failing = async () => Promise.reject(new Error('the leader moved'));
    await expect(afterLast(failing, 0, 9)).rejects.toThrow('the leader moved');
  });
});
