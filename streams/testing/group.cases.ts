// Contract: groups, their members, and how partitions move between them (L4).
import { expect } from 'vitest';
import { LIFECYCLE, TELEMETRY } from '../../schemas/index.js';
import type { Log, Membership, Recorded } from '../log.js';
import { Collector, consume, hold, keyIn, Latch, readAll, record } from './log-driver.js';
import { type Case, PARTITIONS } from './log-harness.js';

const keys = Array.from({ length: PARTITIONS }, (_, partition) => keyIn(partition, PARTITIONS));
const fill = (log: Log, from: number, to: number) =>
  Promise.all(
    Array.from({ length: to - from }, (_, i) => log.append(keys.map((key, partition) => record(`p${partition}-${from + i}`, { key })))),
  );
const identity = (r: Recorded) => `${r.partition}-${r.offset}`;

/** A member whose owned partitions can be waited for. */
const joinCounting = async (
  log: Log,
  group = 'group',
): Promise<{ membership: Membership; owned: Collector<number>; given: Collector<number>; mine: () => number[] }> => {
  const owned = new Collector<number>();
  const given = new Collector<number>();
  const membership = await log.join(group, [LIFECYCLE], async (assignment) => {
    owned.push(assignment.partition);
    await hold(assignment);
    given.push(assignment.partition);
  });
  return {
    membership,
    owned,
    given,
    mine: () =>
      membership
        .owned()
        .map((place) => place.partition)
        .sort(),
  };
};

export const groupCases: readonly Case[] = [
  [
    'a single member owns every partition, once',
    async ({ open }) => {
      const log = await open();
      const { owned, mine } = await joinCounting(log);
      await owned.until((items) => items.length === PARTITIONS);
      expect(mine()).toEqual([0, 1, 2, 3]);
      expect((await log.lag('group', [LIFECYCLE])).map((lag) => lag.owner)).toEqual(Array(PARTITIONS).fill(`node-1:${process.pid}`));
    },
  ],
  [
    'a second member takes half, and only what must move moves',
    async ({ open }) => {
      const [a, b] = [await open('node-1'), await open('node-2')];
      const first = await joinCounting(a);
      await first.owned.until((items) => items.length === PARTITIONS);
      const second = await joinCounting(b);
      await second.owned.until((items) => items.length === PARTITIONS / 2);
      expect(first.given.items).toHaveLength(PARTITIONS / 2);
      expect([...first.mine(), ...second.mine()].sort()).toEqual([0, 1, 2, 3]);
      expect(first.mine()).toHaveLength(2);
    },
  ],
  [
    'a partition is not taken before its owner has returned',
    async ({ open }) => {
      const log = await open();
      const busy = new Latch();
      const revoked = new Collector<number>();
      const started = new Collector<number>();
      let holding = 0;
      const first = await log.join('group', [LIFECYCLE], async (assignment) => {
        holding += 1;
        started.push(assignment.partition);
        await hold(assignment);
        revoked.push(assignment.partition);
        await busy.reached;
        await assignment.commit({ next: 0, outputs: [], states: new Map([['last', 'words']]) });
        holding -= 1;
      });
      await started.until((items) => items.length === PARTITIONS);
      const taken = new Collector<string>();
      const second = await log.join('group', [LIFECYCLE], async (assignment) => {
        taken.push(Buffer.from((await assignment.state('last')) ?? []).toString());
        await hold(assignment);
      });
      await revoked.until((items) => items.length === 2);
      expect(taken.items).toEqual([]);
      expect(holding).toBe(PARTITIONS);
      busy.open();
      await taken.until((items) => items.length === 2);
      expect(taken.items).toEqual(['words', 'words']);
      await Promise.all([first.leave(), second.leave()]);
    },
  ],
  [
    'what a member leaves behind the others take, from the committed offset on',
    async ({ open }) => {
      const [a, b] = [await open('node-1'), await open('node-2')];
      await fill(a, 0, 10);
      const done = new Collector<Recorded>();
      const first = await a.join('group', [LIFECYCLE], consume(done));
      const second = await b.join('group', [LIFECYCLE], consume(done));
      await done.until((items) => items.length === 40);
      await first.leave();
      await first.done;
      expect(first.owned()).toEqual([]);
      await fill(b, 10, 20);
      await done.until((items) => items.length === 80);
      expect(new Set(done.items.map(identity)).size).toBe(80);
      await second.leave();
      expect((await b.lag('group', [LIFECYCLE])).map(({ lag, owner }) => [lag, owner])).toEqual(Array(PARTITIONS).fill([0, undefined]));
    },
  ],
  [
    'every record is committed exactly once while members come, go and die',
    async ({ open, expel }) => {
      const logs = [await open('node-1'), await open('node-2'), await open('node-3')] as const;
      const rounds = 30;
      const done = new Collector<Recorded>();
      const join = (log: Log) => log.join('group', [LIFECYCLE], consume(done));
      await join(logs[0]);
      const writing = (async () => {
        for (let i = 0; i < rounds; i++) await fill(logs[0], i, i + 1);
      })();
      const second = await join(logs[1]);
      await done.until((items) => items.length >= 20);
      await join(logs[2]);
      await done.until((items) => items.length >= 40);
      await second.leave();
      await expel('node-1');
      await join(logs[1]);
      await writing;
      await done.until((items) => items.length >= rounds * PARTITIONS);
      expect(done.items.map(identity).sort()).toEqual([...new Set(done.items.map(identity))].sort());
      expect(done.items).toHaveLength(rounds * PARTITIONS);
    },
  ],
  [
    'a revoked reader returns although more records come',
    async ({ open }) => {
      const log = await open();
      const started = new Collector<number>();
      const ended = new Collector<number>();
      const membership = await log.join('group', [LIFECYCLE], async (assignment) => {
        started.push(assignment.partition);
        for await (const _ of assignment.records());
        ended.push(assignment.partition);
      });
      await started.until((items) => items.length === PARTITIONS);
      await fill(log, 0, 3);
      await membership.leave();
      expect([...ended.items].sort()).toEqual([0, 1, 2, 3]);
      await membership.leave();
      await membership.done;
    },
  ],
  [
    'a handler that fails ends the membership with its error, and frees its partitions',
    async ({ open }) => {
      const log = await open();
      const failing = await log.join('group', [LIFECYCLE], async (assignment) => {
        if (assignment.partition === 2) throw new Error('broken handler');
        await hold(assignment);
      });
      await expect(failing.done).rejects.toMatchObject({ message: 'broken handler' });
      const { owned } = await joinCounting(log);
      await owned.until((items) => items.length === PARTITIONS);
    },
  ],
  [
    'groups do not know each other, and topics of a group are shared together',
    async ({ open }) => {
      const log = await open();
      const one = await joinCounting(log, 'one');
      await one.owned.until((items) => items.length === PARTITIONS);
      const places = new Collector<string>();
      const both = await log.join('two', [LIFECYCLE, TELEMETRY], async (assignment) => {
        places.push(`${assignment.topic}/${assignment.partition}`);
        await hold(assignment);
      });
      await places.until((items) => items.length === 2 * PARTITIONS);
      expect(one.mine()).toHaveLength(PARTITIONS);
      expect(both.owned()).toHaveLength(2 * PARTITIONS);
    },
  ],
  [
    'closing the log lets handlers commit what they have under way',
    async ({ open }) => {
      const log = await open();
      await fill(log, 0, 1);
      const started = new Latch();
      await log.join('group', [LIFECYCLE], async (assignment) => {
        for await (const batch of assignment.records()) {
          started.open();
          await hold(assignment);
          await assignment.commit({ next: batch.at(-1)!.offset + 1, outputs: [record('bye', { topic: TELEMETRY })], states: new Map() });
        }
      });
      await started.reached;
      await log.close();
      const again = await open();
      const committed = (await again.lag('group', [LIFECYCLE])).reduce((sum, lag) => sum + lag.committed, 0);
      const said = (await Promise.all(keys.map((_, partition) => readAll(again, TELEMETRY, partition)))).flat().length;
      expect(committed).toBeGreaterThan(0);
      expect(said).toBe(committed);
    },
  ],
];
