// Contract: reading and following (L1, L5).
import { expect } from 'vitest';
import { LIFECYCLE, partitionOf } from '../../schemas/index.js';
import type { Recorded } from '../log.js';
import { Collector, keyIn, readAll, record, take } from './log-driver.js';
import { type Case, PARTITIONS } from './log-harness.js';

const here = { topic: LIFECYCLE, partition: partitionOf('key', PARTITIONS), offset: 0 } as const;
const types = (records: readonly Recorded[]) => records.map((r) => r.type);

export const readCases: readonly Case[] = [
  [
    'a reader follows the end and ends when it is told to',
    async ({ open }) => {
      const log = await open();
      const seen = new Collector<Recorded>();
      const stop = new AbortController();
      const reading = (async () => {
        for await (const batch of log.read(here, stop.signal)) seen.push(...batch);
      })();
      for (let i = 0; i < 20; i++) {
        await log.append([record(`r${i}`)]);
        await seen.until((items) => items.length === i + 1);
      }
      stop.abort();
      await reading;
      expect(types(seen.items)).toEqual(Array.from({ length: 20 }, (_, i) => `r${i}`));
    },
  ],
  [
    'closing the log ends its readers',
    async ({ open }) => {
      const log = await open();
      const reading = (async () => {
        for await (const _ of log.read(here, new AbortController().signal));
      })();
      await log.append([record('x')]);
      await log.close();
      await reading;
    },
  ],
  [
    'a reader that is aborted before it begins gets nothing',
    async ({ open }) => {
      const log = await open();
      await log.append([record('x')]);
      let batches = 0;
      for await (const _ of log.read(here, AbortSignal.abort())) batches += 1;
      expect(batches).toBe(0);
    },
  ],
  [
    'a read with until ends before that offset, even when the records come later',
    async ({ open }) => {
      const log = await open();
      await log.append([record('a'), record('b')]);
      const seen: Recorded[] = [];
      const reading = (async () => {
        for await (const batch of log.read(here, new AbortController().signal, { until: 3 })) seen.push(...batch);
      })();
      await log.append([record('c'), record('d')]);
      await reading;
      expect(types(seen)).toEqual(['a', 'b', 'c']);
    },
  ],
  [
    'batches are never empty and never larger than asked for',
    async ({ open }) => {
      const log = await open();
      await log.append(Array.from({ length: 25 }, (_, i) => record(`r${i}`)));
      const sizes: number[] = [];
      for await (const batch of log.read(here, new AbortController().signal, { until: 25, maxBatch: 7 })) sizes.push(batch.length);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(25);
      expect(sizes.every((size) => size > 0 && size <= 7)).toBe(true);
    },
  ],
  [
    'reading begins at any offset, in the middle of what was appended together',
    async ({ open }) => {
      const log = await open();
      await log.append(Array.from({ length: 1500 }, (_, i) => record(`r${i}`)));
      for (const offset of [1, 511, 512, 513, 1024, 1499]) {
        const [first] = await take(log, { ...here, offset }, 1);
        expect(first).toMatchObject({ offset });
        expect(first!.type).toBe(`r${offset}`);
      }
    },
  ],
  [
    'readers see records once and in order while many writers append',
    async ({ open }) => {
      const [a, b] = [await open('node-1'), await open('node-2')];
      const total = 400;
      const followers = [take(a, here, total), take(b, here, total, 3), take(a, here, total, 50)];
      const write = async (log: typeof a, name: string) => {
        for (let i = 0; i < total / 4; i++) await log.append([record(`${name}${i}`)]);
      };
      await Promise.all([write(a, 'a'), write(b, 'b'), write(a, 'c'), write(b, 'd')]);
      const [first, ...others] = await Promise.all(followers);
      const offsets = first!.map((r) => r.offset);
      expect(offsets).toEqual([...new Set(offsets)].sort((x, y) => x - y));
      for (const other of others) expect(types(other)).toEqual(types(first!));
      for (const name of ['a', 'b', 'c', 'd'])
        expect(types(first!).filter((type) => type.startsWith(name))).toEqual(Array.from({ length: total / 4 }, (_, i) => `${name}${i}`));
    },
  ],
  [
    'a slow reader gets everything, and nothing that it did not ask for',
    async ({ open }) => {
      const log = await open();
      const stop = new AbortController();
      const reader = log.read(here, stop.signal, { maxBatch: 10 })[Symbol.asyncIterator]();
      const first = reader.next();
      await log.append([record('r0')]);
      expect(types((await first).value as readonly Recorded[])).toEqual(['r0']);
      for (let i = 1; i <= 30; i++) await log.append([record(`r${i}`)]);
      const second = (await reader.next()).value as readonly Recorded[];
      expect(types(second)).toEqual(Array.from({ length: 10 }, (_, i) => `r${i + 1}`));
      stop.abort();
      expect((await reader.next()).done).toBe(true);
    },
  ],
  [
    'records survive closing and opening again, and offsets go on',
    async ({ open }) => {
      const log = await open();
      await log.append([record('before')]);
      await log.close();
      const again = await open();
      await again.append([record('after')]);
      expect(types(await readAll(again, LIFECYCLE, here.partition))).toEqual(['before', 'after']);
    },
  ],
  [
    'one store has one range, whoever asks',
    async ({ open }) => {
      const [a, b] = [await open('node-1'), await open('node-2')];
      const key = keyIn(2, PARTITIONS);
      await a.append([record('x', { key }), record('y', { key })]);
      expect(await b.range(LIFECYCLE, 2)).toEqual({ first: 0, end: 2 });
      expect((await b.get({ topic: LIFECYCLE, partition: 2, offset: 1 }))?.type).toBe('y');
      expect(b.partitions(LIFECYCLE)).toBe(PARTITIONS);
    },
  ],
];
