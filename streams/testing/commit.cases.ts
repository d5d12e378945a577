// Contract: commits (L3) and fencing (L4).
import { expect } from 'vitest';
import { isFault, LIFECYCLE, TELEMETRY, type Topic } from '../../schemas/index.js';
import type { Assignment, Log, Membership } from '../log.js';
import { Collector, hold, keyIn, Latch, readAll, record, text } from './log-driver.js';
import { type Case, type LogUnderTest, PARTITIONS } from './log-harness.js';

const KEY = keyIn(1, PARTITIONS);

/** Joins alone and waits for one partition. */
const own = async (
  log: Log,
  group = 'group',
  partition = 1,
  topic: Topic = LIFECYCLE,
): Promise<{ assignment: Assignment; membership: Membership }> => {
  const assigned = new Latch<Assignment>();
  const membership = await log.join(group, [topic], async (assignment) => {
    if (assignment.partition === partition) assigned.open(assignment);
    await hold(assignment);
  });
  return { assignment: await assigned.reached, membership };
};

const none = { outputs: [], states: new Map() };
const appendN = (log: Log, count: number) => log.append(Array.from({ length: count }, (_, i) => record(`in${i}`, { key: KEY })));
const states = async (assignment: Assignment, prefix?: string) => {
  const found: (readonly [string, string])[] = [];
  for await (const [key, value] of assignment.states(prefix)) found.push([key, text(value)]);
  return found;
};

/** An owner that lost its partition to another process and does not know it. */
const zombie = async ({ open, expel }: LogUnderTest) => {
  const [a, b] = [await open('node-1'), await open('node-2')];
  await appendN(a, 3);
  const { assignment: stale } = await own(a);
  await expel('node-1');
  const { assignment: fresh } = await own(b);
  return { a, b, stale, fresh };
};

export const commitCases: readonly Case[] = [
  [
    'outputs, states and the offset of a commit are there together',
    async ({ open }) => {
      const log = await open();
      await appendN(log, 3);
      const { assignment } = await own(log);
      const positions = await assignment.commit({
        next: 2,
        outputs: [record('out', { key: KEY }), record('tel', { key: KEY, topic: TELEMETRY })],
        states: new Map<string, string | Uint8Array>([
          ['s', 'one'],
          ['bytes', Uint8Array.of(0, 255)],
        ]),
      });
      expect(positions.map((p) => [p.topic, p.partition, p.offset])).toEqual([
        [LIFECYCLE, 1, 3],
        [TELEMETRY, 1, 0],
      ]);
      expect((await log.get(positions[1]!))?.type).toBe('tel');
      expect(text((await assignment.state('s'))!)).toBe('one');
      expect(Buffer.from((await assignment.state('bytes'))!)).toEqual(Buffer.of(0, 255));
      expect(await assignment.state('none')).toBeUndefined();
      const { end } = await log.range(LIFECYCLE, 1);
      expect(end).toBeGreaterThanOrEqual(4);
      expect((await log.lag('group', [LIFECYCLE]))[1]).toMatchObject({ partition: 1, committed: 2, end, lag: end - 2 });
    },
  ],
  [
    'work resumes at the committed offset after closing and opening again, with its states',
    async ({ open }) => {
      const log = await open();
      await appendN(log, 5);
      const { assignment } = await own(log);
      await assignment.commit({ next: 3, outputs: [], states: new Map([['s', 'kept']]) });
      await log.close();
      const again = await open();
      const { assignment: resumed } = await own(again);
      expect(resumed.committed).toBe(3);
      expect(resumed.epoch).toBeGreaterThan(assignment.epoch);
      expect(text((await resumed.state('s'))!)).toBe('kept');
      for await (const batch of resumed.records()) {
        expect(batch.map((r) => r.type)).toEqual(['in3', 'in4']);
        break;
      }
    },
  ],
  [
    'states come in key order below a prefix, and null deletes',
    async ({ open }) => {
      const log = await open();
      const { assignment } = await own(log);
      const entries = ['b/2', 'a', 'b/10', 'é', 'b/1', 'c', 'b'].map((key) => [key, `v:${key}`] as const);
      await assignment.commit({ next: 0, outputs: [], states: new Map(entries) });
      expect((await states(assignment)).map(([key]) => key)).toEqual(['a', 'b', 'b/1', 'b/10', 'b/2', 'c', 'é']);
      expect(await states(assignment, 'b/')).toEqual([
        ['b/1', 'v:b/1'],
        ['b/10', 'v:b/10'],
        ['b/2', 'v:b/2'],
      ]);
      await assignment.commit({
        next: 0,
        outputs: [],
        states: new Map<string, string | null>([
          ['b/10', null],
          ['b/1', 'new'],
          ['never', null],
        ]),
      });
      expect(await states(assignment, 'b/')).toEqual([
        ['b/1', 'new'],
        ['b/2', 'v:b/2'],
      ]);
      expect(await states(assignment, 'zzz')).toEqual([]);
    },
  ],
  [
    'states belong to one group, topic and partition',
    async ({ open }) => {
      const log = await open();
      const mine = await own(log, 'group', 1);
      await mine.assignment.commit({ next: 0, outputs: [], states: new Map([['s', 'mine']]) });
      for (const other of [await own(log, 'other', 1), await own(log, 'group-2', 0), await own(log, 'third', 1, TELEMETRY)]) {
        expect(await other.assignment.state('s')).toBeUndefined();
        expect(await states(other.assignment)).toEqual([]);
      }
    },
  ],
  [
    'a fenced owner cannot commit, and nothing of its commit is written',
    async (underTest) => {
      const { b, stale, fresh } = await zombie(underTest);
      const fault = await stale
        .commit({ next: 2, outputs: [record('stale', { key: KEY })], states: new Map([['s', 'stale']]) })
        .catch((error: unknown) => error);
      expect(isFault(fault, 'fenced')).toBe(true);
      expect(fresh.epoch).toBeGreaterThan(stale.epoch);
      expect(await fresh.state('s')).toBeUndefined();
      expect((await readAll(b, LIFECYCLE, 1)).map((r) => r.type)).toEqual(['in0', 'in1', 'in2']);
      await fresh.commit({ next: 1, ...none });
      expect((await b.lag('group', [LIFECYCLE]))[1]).toMatchObject({ committed: 1 });
    },
  ],
  [
    'the committed offset never falls, and never passes the end',
    async ({ open }) => {
      const log = await open();
      await appendN(log, 4);
      const { assignment } = await own(log);
      await assignment.commit({ next: 3, ...none });
      await expect(
        assignment.commit({ next: 2, outputs: [record('x', { key: KEY })], states: new Map([['s', 'x']]) }),
      ).rejects.toMatchObject({
        kind: 'terminal',
        code: 'offset_regression',
      });
      await expect(assignment.commit({ next: 5, ...none })).rejects.toMatchObject({ kind: 'terminal', code: 'offset_beyond_end' });
      expect(await assignment.state('s')).toBeUndefined();
      await assignment.commit({ next: 3, ...none });
      expect((await log.lag('group', [LIFECYCLE]))[1]).toMatchObject({ committed: 3, end: 4 });
    },
  ],
  [
    'a commit that is refused leaves others in the same instant alone',
    async ({ open }) => {
      const log = await open();
      await appendN(log, 4);
      const { assignment } = await own(log);
      const outcomes = await Promise.allSettled([
        assignment.commit({ next: 2, outputs: [record('good', { key: KEY })], states: new Map() }),
        assignment.commit({ next: 1, outputs: [record('bad', { key: KEY })], states: new Map() }),
        log.append([record('also', { key: KEY })]),
      ]);
      expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await readAll(log, LIFECYCLE, 1)).map((r) => r.type).sort()).toEqual(['also', 'good', 'in0', 'in1', 'in2', 'in3']);
    },
  ],
  [
    'a commit with a record above the limit writes nothing',
    async ({ open }) => {
      const log = await open();
      await appendN(log, 1);
      const { assignment } = await own(log);
      const huge = record('huge', { key: KEY, value: new Uint8Array(9 * 1024 * 1024) });
      await expect(assignment.commit({ next: 1, outputs: [huge], states: new Map([['s', 'x']]) })).rejects.toMatchObject({
        code: 'record_too_large',
      });
      expect(await assignment.state('s')).toBeUndefined();
      expect((await log.lag('group', [LIFECYCLE]))[1]).toMatchObject({ committed: 0, end: 1 });
    },
  ],
  [
    'a reader in another process sees outputs of a commit',
    async ({ open }) => {
      const [a, b] = [await open('node-1'), await open('node-2')];
      const seen = new Collector<string>();
      const stop = new AbortController();
      const reading = (async () => {
        for await (const batch of b.read({ topic: TELEMETRY, partition: 1, offset: 0 }, stop.signal))
          seen.push(...batch.map((r) => r.type));
      })();
      const { assignment } = await own(a);
      await assignment.commit({ next: 0, outputs: [record('t', { key: KEY, topic: TELEMETRY })], states: new Map() });
      await seen.until((items) => items.length === 1);
      stop.abort();
      await reading;
      expect(seen.items).toEqual(['t']);
    },
  ],
];
