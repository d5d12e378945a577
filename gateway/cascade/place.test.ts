import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import type { Log, Recorded } from '../../streams/index.js';
import { cutAt, placeOf } from './place.js';

const never = new AbortController().signal;

/** A partition as Kafka has it: offsets with gaps. [gap before it, milliseconds after the one before]. */
const logOf = (
  steps: readonly (readonly [number, number])[],
): { readonly log: Pick<Log, 'get' | 'read'>; readonly records: Recorded[]; readonly end: number } => {
  const records: Recorded[] = [];
  let offset = 0;
  let timestamp = 1_000;
  for (const [gap, ms] of steps) {
    offset += gap;
    timestamp += ms;
    const headers = { id: `00000000-0000-4000-8000-${String(offset).padStart(12, '0')}` };
    records.push({
      topic: LIFECYCLE,
      partition: 0,
      offset,
      key: offset % 3 === 0 ? 'other' : 'p',
      headers,
      value: '',
      type: 'x',
      timestamp,
    });
    offset++;
  }
  const log: Pick<Log, 'get' | 'read'> = {
    get: async ({ offset: at }) => records.find((record) => record.offset === at),
    async *read(from, _signal, { until = Number.POSITIVE_INFINITY, maxBatch = 100 } = {}) {
      const wanted = records.filter((record) => record.offset >= from.offset && record.offset < until);
      for (let i = 0; i < wanted.length; i += maxBatch) yield wanted.slice(i, i + maxBatch);
    },
  };
  return { log, records, end: offset + 2 };
};
const stretchOf = (end: number, first = 0) => ({ partition: 0, projectId: 'p', first, end });

describe('a place', () => {
  test.each([
    ['p3-17', { kind: 'position', partition: 3, offset: 17 }],
    ['2026-11-21T10:00:00Z', { kind: 'instant', ms: Date.UTC(2026, 10, 21, 10) }],
    ['2026-11-21T10:00:00.5+02:00', { kind: 'instant', ms: Date.UTC(2026, 10, 21, 8, 0, 0, 500) }],
    ['01936b2e-7c19-7000-8000-000000000001', { kind: 'event', id: '01936b2e-7c19-7000-8000-000000000001' }],
    ['yesterday', undefined],
    ['2026-11-21', undefined],
    ['2026-02-30T10:00:00Z', undefined],
    ['p3-', undefined],
    ['', undefined],
  ])('%s', (text, place) => expect(placeOf(text)).toEqual(place));

  test('an instant cuts where what was appended up to it ends, whatever gaps there are', async () => {
    const steps = fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(80), async (given, after) => {
        const { log, records, end } = logOf(given);
        const ms = 990 + after;
        const cut = await cutAt(log, stretchOf(end), { kind: 'instant', ms }, never);
        const below = records.filter(({ offset }) => offset < cut.before);
        expect(below).toEqual(records.filter(({ timestamp }) => timestamp <= ms));
        expect(cut.through).toBe(cut.before);
      }),
      { numRuns: 300 },
    );
  });

  test('an event cuts before itself, and through it', async () => {
    const { log, records, end } = logOf([
      [1, 0],
      [0, 0],
      [2, 0],
    ]);
    const event = (i: number) => ({ kind: 'event', id: records[i]!.headers['id']! }) as const;
    expect(await cutAt(log, stretchOf(end), event(1), never)).toEqual({ before: 2, through: 3 });
    expect(await cutAt(log, stretchOf(end), { kind: 'position', partition: 0, offset: 2 }, never)).toEqual({ before: 2, through: 3 });
    const other = logOf([[3, 0]]);
    await expect(
      cutAt(other.log, stretchOf(other.end), { kind: 'event', id: other.records[0]!.headers['id']! }, never),
    ).rejects.toMatchObject({
      code: 'event_not_found',
    });
    await expect(cutAt(log, stretchOf(end), { kind: 'position', partition: 0, offset: end }, never)).rejects.toMatchObject({
      code: 'event_not_found',
    });
  });

  test('is not looked for any further when nobody waits', async () => {
    const { log, end } = logOf([[1, 0]]);
    const stopped: Pick<Log, 'get' | 'read'> = { ...log, async *read() {} };
    const id = '00000000-0000-4000-8000-000000000009';
    await expect(cutAt(stopped, stretchOf(end), { kind: 'event', id }, AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
  });
});
