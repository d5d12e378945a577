import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CompletionMap, decodeMap, encodeMap, MAP_LIMIT_BYTES } from './completion-map.js';
import { Watermark } from './watermark.js';
import { MAX_IN_FLIGHT_LIMIT } from './work.js';

const NONE: ReadonlySet<number> = new Set();

/** Remembers everything. */
class NaiveModel {
  received: number[] = [];
  done = new Set<number>();
  next: number;
  constructor(committed: number) {
    this.next = committed;
  }
  mark(): number {
    return this.received.find((offset) => !this.done.has(offset)) ?? this.next;
  }
}

/** Offsets that rise with gaps. */
const offsets = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 60 }).map((steps) => {
  let at = -1;
  return steps.map((step) => (at += step));
});

describe('watermark', () => {
  it('agrees with a model that remembers everything, through changes of owner', () => {
    fc.assert(
      fc.property(offsets, fc.array(fc.nat(1_000), { maxLength: 120 }), (all, moves) => {
        const done = new Set<number>();
        let mark = new Watermark(0);
        let model = new NaiveModel(0);
        let at = 0;
        const receive = (): void => {
          const offset = all[at++];
          if (offset === undefined) return;
          expect(mark.receive(offset)).toBe(!done.has(offset));
          model.received.push(offset);
          model.next = offset + 1;
        };
        for (const move of moves) {
          model.done = done;
          const open = model.received.filter((offset) => !done.has(offset));
          if (move % 3 === 0) receive();
          else if (move % 10 !== 1) {
            const offset = open[move % Math.max(open.length, 1)];
            if (offset !== undefined) {
              mark.complete(offset);
              done.add(offset);
            }
          } else {
            const map = decodeMap(encodeMap(mark.snapshot(NONE), { epoch: 1, serial: 1 }));
            mark = new Watermark(map.mark, map);
            model = new NaiveModel(map.mark);
            at = all.findIndex((offset) => offset >= map.mark);
            if (at < 0) at = all.length;
          }
          model.done = done;
          expect(mark.mark).toBe(model.mark());
          expect(mark.snapshot(NONE).mark).toBe(model.mark());
        }
        // A last owner reads everything: what is done is skipped, nothing else.
        const map = mark.snapshot(NONE);
        const last = new Watermark(map.mark, map);
        for (const offset of all.filter((offset) => offset >= map.mark)) expect(last.receive(offset)).toBe(!done.has(offset));
        for (const offset of all.filter((offset) => offset < map.mark)) expect(done.has(offset)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('counts records as done that are finishing in the same commit, and only for that snapshot', () => {
    const mark = new Watermark(0);
    for (const offset of [0, 1, 2]) mark.receive(offset);
    expect(mark.snapshot(new Set([0, 2])).mark).toBe(1);
    expect(mark.mark).toBe(0);
  });

  it('passes over gaps', () => {
    const mark = new Watermark(0);
    for (const offset of [3, 10]) mark.receive(offset);
    mark.complete(3);
    expect(mark.mark).toBe(10);
    mark.complete(10);
    expect(mark.mark).toBe(11);
  });

  it('runs everything again when the group was moved back below the map', () => {
    const map: CompletionMap = { mark: 5, end: 9, runs: [{ from: 5, to: 5 }] };
    const mark = new Watermark(0, map);
    expect([0, 5, 6, 7].map((offset) => mark.receive(offset))).toEqual([true, true, true, true]);
  });

  it('still knows what is done when the offset it begins at has moved forward', () => {
    const mark = new Watermark(6, { mark: 5, end: 9, runs: [{ from: 5, to: 5 }] });
    expect([6, 8, 9].map((offset) => mark.receive(offset))).toEqual([false, false, true]);
  });

  it('costs a few bytes for one stuck record in front of 50,000 done ones', () => {
    const mark = new Watermark(0);
    for (let offset = 0; offset <= 50_000; offset++) {
      mark.receive(offset);
      if (offset > 0) mark.complete(offset);
    }
    expect(mark.mark).toBe(0);
    expect(mark.incomplete).toBe(1);
    expect(encodeMap(mark.snapshot(NONE), { epoch: 1, serial: 50_000 }).length).toBeLessThan(16);
  });
});

describe('completion map', () => {
  it('comes back from its bytes as it was', () => {
    const run = fc.tuple(fc.integer({ min: 1, max: 2 ** 33 }), fc.integer({ min: 0, max: 300 }));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), fc.array(run, { maxLength: 40 }), fc.nat(), (mark, steps, serial) => {
        let at = mark;
        const runs = steps.map(([gap, length]) => {
          const from = at + gap;
          at = from + length;
          return { from, to: at };
        });
        const map = { mark, end: at + 1, runs };
        expect(decodeMap(encodeMap(map, { epoch: 7, serial }))).toEqual({ ...map, epoch: 7, serial });
      }),
    );
  });

  it('fits its limit with as many scattered records in flight as may be', () => {
    const step = 2 ** 39;
    const runs = Array.from({ length: MAX_IN_FLIGHT_LIMIT }, (_, i) => ({ from: i * step, to: i * step }));
    expect(encodeMap({ mark: 0, end: MAX_IN_FLIGHT_LIMIT * step, runs }, { epoch: 2 ** 40, serial: 2 ** 40 }).length).toBeLessThan(
      MAP_LIMIT_BYTES,
    );
  });

  it('is refused when cut short, of another format, or not a map', () => {
    const good = encodeMap({ mark: 300, end: 900, runs: [{ from: 300, to: 301 }] }, { epoch: 1, serial: 1 });
    const bad = [
      good.subarray(0, 2),
      good.subarray(0, good.length - 1),
      Uint8Array.from([2, 1, 1, 1, 1]),
      Uint8Array.from([1, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
    ];
    for (const bytes of bad)
      expect(() => decodeMap(bytes)).toThrow(expect.objectContaining({ code: 'completion_map_unreadable', kind: 'fatal' }));
  });

  it('of two commits with the same content is not the same', () => {
    const map = { mark: 1, end: 1, runs: [] };
    expect(encodeMap(map, { epoch: 1, serial: 1 })).not.toEqual(encodeMap(map, { epoch: 1, serial: 2 }));
  });
});
