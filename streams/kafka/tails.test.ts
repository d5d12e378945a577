// The warm end of a partition: what it knows, what it hands out, what it forgets. (That it is filled by a real leader is in the contract.)
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import { FetchedRecord } from './codec.js';
import type { FetchedPartition } from './fetching.js';
import { Tail } from './tails.js';

const PLACE = { topic: LIFECYCLE, name: 'physical', partition: 1 } as const;
const HELD_BYTES = 4 * 1024 * 1024;
const HELD_RECORDS = 8_192;
const seed = Date.now() % 0x7fffffff;

const recordAt = (offset: number, bytes: number): FetchedRecord =>
  new FetchedRecord(LIFECYCLE, 1, offset, 0, {
    length: bytes,
    attributes: 0,
    timestampDelta: 0n,
    offsetDelta: 0,
    key: null,
    value: null,
    headers: [],
  });

interface Brought {
  readonly next?: number;
  readonly stable?: number;
  readonly end?: number;
  readonly bytes?: number;
}

/** A fetch that brought these offsets, and knows the partition up to `next`. */
const fetched = (
  from: number,
  offsets: readonly number[],
  { next = (offsets.at(-1) ?? from - 1) + 1, stable = next, end = stable, bytes = 100 }: Brought = {},
) =>
  ({ cursor: { ...PLACE, from }, records: offsets.map((offset) => recordAt(offset, bytes)), next, stable, end }) satisfies FetchedPartition;

const tailWith = (from: number, offsets: readonly number[], brought?: Brought): Tail => {
  const tail = new Tail(PLACE, from);
  tail.accept(fetched(from, offsets, brought));
  return tail;
};
const taken = (tail: Tail, offset: number, limit = 100) => {
  const found = tail.take(offset, limit);
  return found && { offsets: found.records.map((record) => record.offset), next: found.next };
};

describe('a tail', () => {
  test('that has heard nothing covers the one offset where it stands, and no more', () => {
    const tail = new Tail(PLACE, 5);
    expect(taken(tail, 5)).toEqual({ offsets: [], next: 5 });
    expect(taken(tail, 4)).toBeUndefined();
    expect(taken(tail, 6)).toBeUndefined();
    expect(tail.at(5)).toBeUndefined();
    expect(tail.afterLast).toBeUndefined();
  });

  test('gives what it holds from an offset on, and says where to go on', () => {
    const tail = tailWith(5, [5, 6, 7]);
    expect(taken(tail, 5)).toEqual({ offsets: [5, 6, 7], next: 8 });
    expect(taken(tail, 6, 1)).toEqual({ offsets: [6], next: 7 });
    expect(taken(tail, 8)).toEqual({ offsets: [], next: 8 });
    expect(taken(tail, 9)).toBeUndefined();
  });

  test('knows its gaps: nobody is sent to look for what is not there', () => {
    const tail = tailWith(5, [6, 9], { next: 12 });
    expect(taken(tail, 5)).toEqual({ offsets: [6, 9], next: 12 });
    expect(taken(tail, 7)).toEqual({ offsets: [9], next: 12 });
    expect(taken(tail, 5, 1)).toEqual({ offsets: [6], next: 7 });
    expect(taken(tail, 10)).toEqual({ offsets: [], next: 12 });
    expect([tail.at(5), tail.at(7), tail.at(11)]).toEqual([null, null, null]);
    expect(tail.at(9)?.offset).toBe(9);
    expect(tail.at(12)).toBeUndefined();
    expect(tail.at(4)).toBeUndefined();
    expect(tail.afterLast).toBe(10);
  });

  test('goes on behind markers although no record comes', () => {
    const tail = tailWith(0, [0]);
    tail.accept(fetched(1, [], { next: 2 }));
    expect(taken(tail, 1)).toEqual({ offsets: [], next: 2 });
    expect(tail.afterLast).toBe(1);
  });

  test('rings when it went on, and not when nothing came', () => {
    const tail = new Tail(PLACE, 0);
    let rings = 0;
    tail.bell.listen(() => {
      rings += 1;
    });
    tail.accept(fetched(0, [], { stable: 0 }));
    expect(rings).toBe(0);
    tail.accept(fetched(0, [0, 1]));
    tail.accept(fetched(2, [], { next: 3 }));
    expect(rings).toBe(2);
  });

  test('remembers up to where all is decided, also when nothing came, and never less', () => {
    const tail = tailWith(0, [0]);
    tail.accept(fetched(1, [], { stable: 9 }));
    expect(tail.stable).toBe(9);
    tail.accept(fetched(1, [], { stable: 4 }));
    expect(tail.stable).toBe(9);
  });

  test('holds a number of bytes, and forgets the oldest: who is there reads for himself', () => {
    const bytes = HELD_BYTES / 4;
    const tail = tailWith(0, [0, 1, 2, 3], { bytes });
    expect(taken(tail, 0)).toEqual({ offsets: [0, 1, 2, 3], next: 4 });
    tail.accept(fetched(4, [4, 6], { bytes, next: 8 }));
    expect(taken(tail, 1)).toBeUndefined();
    expect(tail.at(1)).toBeUndefined();
    expect(taken(tail, 2)).toEqual({ offsets: [2, 3, 4, 6], next: 8 });
  });

  test('holds a number of records, however small', () => {
    const tail = tailWith(
      0,
      Array.from({ length: HELD_RECORDS + 3 }, (_, i) => i),
      { bytes: 1 },
    );
    expect(taken(tail, 2)).toBeUndefined();
    expect(tail.take(3, HELD_RECORDS)!.records).toHaveLength(HELD_RECORDS);
  });

  test('does not hold a record that is larger than all it may hold, and goes on behind it', () => {
    const tail = tailWith(0, [0], { bytes: HELD_BYTES + 1, next: 3 });
    expect(taken(tail, 0)).toBeUndefined();
    expect(taken(tail, 1)).toEqual({ offsets: [], next: 3 });
    expect(tail.afterLast).toBeUndefined();
    tail.accept(fetched(3, [3]));
    expect(taken(tail, 2)).toEqual({ offsets: [3], next: 4 });
  });

  test('that begins anew elsewhere has forgotten everything, and tells who waits', () => {
    const tail = tailWith(0, [0, 1]);
    let rings = 0;
    tail.bell.listen(() => {
      rings += 1;
    });
    tail.restart(50);
    expect(rings).toBe(1);
    expect(taken(tail, 0)).toBeUndefined();
    expect(taken(tail, 50)).toEqual({ offsets: [], next: 50 });
    tail.accept(fetched(50, [50]));
    expect(taken(tail, 50)).toEqual({ offsets: [50], next: 51 });
  });

  test(`whoever takes step by step gets what is there once and in order, or is told that it is not held (seed ${seed})`, () => {
    const fetch = fc.record({ gaps: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 6 }), after: fc.nat(3), large: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fetch, { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (fetches, limit) => {
        const tail = new Tail(PLACE, 0);
        const all: number[] = [];
        for (const { gaps, after, large } of fetches) {
          const offsets = gaps.map((gap) => all[all.push(Math.max((all.at(-1) ?? -1) + gap, tail.next)) - 1] as number);
          tail.accept(
            fetched(tail.next, offsets, {
              next: Math.max(tail.next, (offsets.at(-1) ?? -1) + 1) + after,
              bytes: large ? HELD_BYTES / 3 : 10,
            }),
          );
        }
        const read: number[] = [];
        let at = tail.from;
        for (let found = tail.take(at, limit)!; found.next > at; found = tail.take(at, limit)!) {
          read.push(...found.records.map(({ offset }) => offset));
          at = found.next;
        }
        expect(at).toBe(tail.next);
        expect(read).toEqual(all.filter((offset) => offset >= tail.from));
        for (let offset = 0; offset < tail.next; offset++)
          expect(tail.at(offset)?.offset ?? tail.at(offset)).toBe(offset < tail.from ? undefined : all.includes(offset) ? offset : null);
      }),
      { seed },
    );
  });
});

describe('a transaction that stays open', () => {
  test('is noticed by how long what is there has not been decided', () => {
    const tail = tailWith(0, [0, 1]);
    const later = performance.now() + 60_000;
    expect(tail.heldBackMs(later)).toBe(0);
    tail.accept(fetched(2, [], { next: 2, stable: 2, end: 5 }));
    expect(tail.heldBackMs(later)).toBeGreaterThan(50_000);
    tail.accept(fetched(2, [2], { stable: 3, end: 5 }));
    expect(tail.heldBackMs(performance.now())).toBeLessThan(1_000);
    tail.accept(fetched(3, [], { next: 5, stable: 5, end: 5 }));
    expect(tail.heldBackMs(later)).toBe(0);
  });
});
