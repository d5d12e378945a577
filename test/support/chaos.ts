// What is done to an installation under load, in an order that a seed repeats: kills of processes, of the broker, of Redis, and processes that stand still.
//
// H1. The choices and the instants come from the seed; at which step of its work a process is hit does not. H2. Harm overlaps: while the broker is away or a
// process stands still, others are killed. Of each kind only one is under way, and who stands still is not killed. H3. `end` undoes everything.
import { createConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { GROUPS, type Installation, owned, type Servers } from './installation.js';
import type { Random } from './random.js';

export const HARMS = ['process kill', 'broker kill', 'redis flush', 'redis kill', 'zombie'] as const;
export type Harm = (typeof HARMS)[number];
export type HarmCounts = Readonly<Record<Harm, number>>;

/** Between two harms, in milliseconds: a process is hit anywhere from the middle of its start to well under way. */
const BETWEEN_MS = [50, 1_600] as const;
const BROKER_AWAY_MS = [0, 2_000] as const;
const REDIS_AWAY_MS = [0, 1_000] as const;
const REDIS_ANSWER_MS = 5_000;

/** Every harm as often as asked for, shuffled. */
export const planOf = (counts: HarmCounts, random: Random): readonly Harm[] => {
  const plan = HARMS.flatMap((harm) => Array.from({ length: counts[harm] }, () => harm));
  for (let i = plan.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [plan[i], plan[j]] = [plan[j]!, plan[i]!];
  }
  return plan;
};

/** One command without arguments, as an inline command of Redis's protocol. */
export const redisCommand = (port: number, command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: REDIS_ANSWER_MS }, () => socket.write(`${command}\r\n`));
    socket.once('data', (data) => {
      socket.end();
      resolve(data.toString('utf8').trim());
    });
    socket.once('timeout', () => socket.destroy(new Error(`redis: no answer to ${command} within ${REDIS_ANSWER_MS} ms`)));
    socket.once('error', reject);
  });

export interface Harmer {
  /** Resolves when it is done, or under way where it takes its time. @throws what an earlier one under way threw. */
  inflict(harm: Harm): Promise<void>;
  /** The instant of the next one is drawn, not awaited: that it falls anywhere is the point. */
  between(): Promise<void>;
  /** Resolves when everything that was under way is over. */
  end(): Promise<void>;
}

export const openHarmer = (installation: Installation, { kafka, redis }: Servers, random: Random): Harmer => {
  const { fleet, indexes } = installation;
  const underWay = new Map<Harm, Promise<void>>();
  let frozen: number | undefined;

  const zombie = async (member: number): Promise<void> => {
    const pid = fleet.pid(member);
    frozen = member;
    fleet.freeze(member);
    try {
      const [group, topics] = GROUPS[indexes.deciders.includes(member) ? 'deciders' : 'workers'];
      await owned(
        installation,
        group,
        topics,
        'other owners for what a frozen process has',
        (owners) => !owners.has(pid) && !owners.has(undefined),
      );
    } finally {
      fleet.thaw(member);
      frozen = undefined;
    }
  };
  const restarted = async (
    server: { kill(): Promise<void>; start(): Promise<void> },
    [least, most]: readonly [number, number],
  ): Promise<void> => {
    await server.kill();
    await pause(random.int(least, most));
    await server.start();
  };
  const begin: Readonly<Record<Harm, () => Promise<void>>> = {
    'process kill': () => fleet.crash(random.pick(fleet.members.flatMap((_, i) => (i === frozen ? [] : [i])))),
    'redis flush': async () => void (await redisCommand(redis.port, 'FLUSHALL')),
    'broker kill': () => restarted(kafka, BROKER_AWAY_MS),
    'redis kill': () => restarted(redis, REDIS_AWAY_MS),
    zombie: () => zombie(random.pick([...indexes.deciders, ...indexes.workers])),
  };
  return {
    inflict: async (harm) => {
      await underWay.get(harm);
      // A Redis that is away cannot be emptied.
      if (harm === 'redis flush') await underWay.get('redis kill');
      const harming = begin[harm]();
      if (harm === 'process kill' || harm === 'redis flush') return harming;
      underWay.set(harm, harming);
      harming.catch(() => undefined);
    },
    between: () => pause(random.int(...BETWEEN_MS)),
    end: async () => void (await Promise.all(underWay.values())),
  };
};
