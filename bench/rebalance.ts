// R2, rebalances: members of a group join, leave and are killed while records come at a fixed rate, and the broker is killed and started again in the middle.
//
// R1. The time to resume is from the disturbance until every partition has one living owner, evenly, and has answered a record appended after that.
// R2. A disturbance begins only when the one before is over. R3. In the end the log itself is read: every question has one answer, none has two.
import { setTimeout as sleep } from 'node:timers/promises';
import { partitionOf, type Topic } from '../schemas/index.js';
import type { Log, Recorded } from '../streams/index.js';
import { openKafkaLog } from '../streams/kafka/index.js';
import { monotonicMs } from './completions.js';
import type { Figure } from './figure.js';
import { type Member, startMember } from './member-process.js';
import { ANSWERS, isSettled, Ledger, QUESTIONS, verdictOf } from './rebalance-ledger.js';
import { type BenchServers, startServers } from './servers.js';
import { median } from './statistics.js';

const PARTITIONS = 8;
/** One record in each partition every so many milliseconds: 400 a second. */
const TICK_MS = 20;
/** Appends under way, at most: a broker that is away must not fill the memory. */
const UNACKNOWLEDGED = 1_000;
const FIRST_MEMBERS = 2;
const LOOK_MS = 2;
/** After this a group has not resumed, in milliseconds. */
const RESUME_MS = 60_000;
const TARGET = { at: 'most', bound: 5 } as const;

type Kind = 'join' | 'leave' | 'kill';
/** Over and over: two members at least are left at any time. */
const CYCLE: readonly Kind[] = ['join', 'leave', 'join', 'kill'];

/** For every partition a key that leads to it. */
const keysOf = (partitions: number): readonly string[] => {
  const keys = new Map<number, string>();
  for (let i = 0; keys.size < partitions; i++) keys.set(partitionOf(`key-${i}`, partitions), `key-${i}`);
  return [...keys.values()];
};

/** Asks questions at a fixed rate until `signal` aborts. An append that was not acknowledged is none of ours, whether or not it is there. */
const ask = async (log: Log, ledger: Ledger, signal: AbortSignal): Promise<{ readonly refused: number }> => {
  const keys = keysOf(PARTITIONS);
  const pending = new Set<Promise<void>>();
  let refused = 0;
  const append = async (key: string): Promise<void> => {
    const at = monotonicMs();
    try {
      const [position] = await log.append([{ topic: QUESTIONS, key, headers: {}, value: 'question' }]);
      ledger.appended(`${position!.partition}-${position!.offset}`, at);
    } catch {
      refused += 1;
    }
  };
  while (!signal.aborted) {
    await sleep(TICK_MS);
    for (const key of pending.size < UNACKNOWLEDGED ? keys : []) {
      const appending = append(key).finally(() => pending.delete(appending));
      pending.add(appending);
    }
  }
  await Promise.all(pending);
  return { refused };
};

const textOf = ({ value }: Recorded): string => (typeof value === 'string' ? value : Buffer.from(value).toString('utf8'));

const listen = async (log: Log, ledger: Ledger, signal: AbortSignal): Promise<void> => {
  const follow = async (partition: number): Promise<void> => {
    for await (const records of log.read({ topic: ANSWERS, partition, offset: 0 }, signal))
      for (const record of records) ledger.answered(textOf(record), monotonicMs());
  };
  await Promise.all(Array.from({ length: PARTITIONS }, (_, partition) => follow(partition)));
};

/** Everything in a topic, as `pick` tells it. */
const whole = async (log: Log, topic: Topic, pick: (record: Recorded) => string): Promise<readonly string[]> => {
  const told: string[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { end } = await log.range(topic, partition);
    for await (const records of log.read({ topic, partition, offset: 0 }, new AbortController().signal, { until: end }))
      told.push(...records.map(pick));
  }
  return told;
};

/** What is disturbed: members, oldest first, and what is known of their work. */
interface Scene {
  readonly ledger: Ledger;
  members: readonly Member[];
  start(): Promise<Member>;
}

/** @throws Error when `met` does not become true in time, or a member ended by itself. */
const until = async (scene: Scene, what: string, met: () => boolean): Promise<number> => {
  const deadline = monotonicMs() + RESUME_MS;
  while (!met()) {
    const died = scene.members.map((member) => member.died()).find((why) => why !== undefined);
    if (died !== undefined) throw new Error(`R2: ${died}`);
    if (monotonicMs() > deadline) {
      const state = scene.members
        .map((member) => `own [${member.owned().join(' ')}]${member.said().map((line) => `\n    ${line}`)}`)
        .join('\n  ');
      throw new Error(`R2: ${what} took longer than ${RESUME_MS} ms; the members\n  ${state}`);
    }
    await sleep(LOOK_MS);
  }
  return monotonicMs();
};

/** When every partition works again (R1). */
const resumed = async (scene: Scene, what: string): Promise<number> => {
  const settledAt = await until(scene, `settling after ${what}`, () =>
    isSettled(
      scene.members.map((member) => member.owned()),
      PARTITIONS,
    ),
  );
  return until(scene, `working on after ${what}`, () => scene.ledger.answersSince(settledAt));
};

interface Resumption {
  readonly kind: Kind;
  readonly ms: number;
  /** The longest that a record waited for its answer meanwhile. */
  readonly longestMs: number;
}

const disturb = async (scene: Scene, kind: Kind): Promise<Resumption> => {
  const { ledger } = scene;
  ledger.takeLongest();
  let began = monotonicMs();
  let ending: Promise<void> | undefined;
  if (kind === 'join') {
    const member = await scene.start();
    began = member.joinedAt;
    scene.members = [...scene.members, member];
  } else {
    const [oldest, ...others] = scene.members;
    scene.members = others;
    ending = kind === 'leave' ? oldest!.leave() : oldest!.kill();
  }
  const at = await resumed(scene, `a ${kind}`);
  await ending;
  return { kind, ms: at - began, longestMs: ledger.takeLongest() };
};

interface Restart {
  /** From the broker's first answer, and from the kill. */
  readonly ms: number;
  readonly sinceKillMs: number;
}

const restartBroker = async (scene: Scene, { kafka }: BenchServers): Promise<Restart> => {
  const killed = monotonicMs();
  await kafka.kill();
  await kafka.start();
  const answered = monotonicMs();
  // Members may have been thrown out meanwhile: what they owned counts only when it works.
  await until(scene, 'working on after the broker', () => scene.ledger.answersSince(answered));
  const at = await resumed(scene, 'the restart of the broker');
  return { ms: at - answered, sinceKillMs: at - killed };
};

interface Course {
  readonly resumptions: readonly Resumption[];
  readonly restart: Restart;
}

const run = async (scene: Scene, servers: BenchServers, rebalances: number): Promise<Course> => {
  for (let i = 0; i < FIRST_MEMBERS; i++) scene.members = [...scene.members, await scene.start()];
  await resumed(scene, 'the start');
  const resumptions: Resumption[] = [];
  let restart: Restart | undefined;
  for (let i = 0; i < rebalances; i++) {
    if (i === rebalances >> 1) restart = await restartBroker(scene, servers);
    resumptions.push(await disturb(scene, CYCLE[i % CYCLE.length]!));
  }
  return { resumptions, restart: restart! };
};

const figuresOf = ({ resumptions, restart }: Course, versions: string): readonly Figure[] => {
  const seconds = (of: readonly Resumption[]): readonly number[] => of.map(({ ms }) => ms / 1_000);
  const highest = (values: readonly number[]): number => Math.max(...values);
  const byKind = [...new Set(resumptions.map(({ kind }) => kind))].map((kind) => {
    const times = seconds(resumptions.filter((one) => one.kind === kind));
    return `${kind} ${times.length} times, median ${median(times).toFixed(2)} s, highest ${highest(times).toFixed(2)} s`;
  });
  const what = `time to resume after ${resumptions.length} rebalances`;
  const waited = highest(resumptions.map(({ longestMs }) => longestMs / 1_000));
  return [
    {
      id: 'R2',
      what: `${what}, highest`,
      value: highest(seconds(resumptions)),
      unit: 's',
      target: TARGET,
      note: `${byKind.join('; ')}; ${versions}`,
    },
    { id: 'R2', what: `${what}, median`, value: median(seconds(resumptions)), unit: 's', target: TARGET },
    { id: 'R2', what: 'longest wait of a record for its answer in a rebalance', value: waited, unit: 's' },
    {
      id: 'R2',
      what: "time to resume after the broker's SIGKILL, from its first answer",
      value: restart.ms / 1_000,
      unit: 's',
      target: TARGET,
      note: `${(restart.sinceKillMs / 1_000).toFixed(1)} s from the kill`,
    },
  ];
};

/** @throws Error when the group does not resume, or a member ends by itself. */
export const benchRebalances = async (rebalances: number): Promise<readonly Figure[]> => {
  const servers = await startServers();
  const prefix = servers.freshPrefix('rebalance');
  const log = openKafkaLog({ brokers: [servers.brokers], node: 'bench', partitions: PARTITIONS, prefix });
  const [askingEnds, listeningEnds] = [new AbortController(), new AbortController()];
  const ledger = new Ledger(PARTITIONS);
  let started = 0;
  const start = () => startMember({ brokers: servers.brokers, prefix, partitions: PARTITIONS, node: `member-${++started}` });
  const scene: Scene = { ledger, members: [], start };
  try {
    const listening = listen(log, ledger, listeningEnds.signal);
    const asking = ask(log, ledger, askingEnds.signal);
    const course = await run(scene, servers, rebalances);
    askingEnds.abort();
    const { refused } = await asking;
    await until(scene, 'answering the last records', () => ledger.complete);
    await Promise.all(scene.members.map((member) => member.leave()));
    listeningEnds.abort();
    await listening;
    const questions = await whole(log, QUESTIONS, ({ partition, offset }) => `${partition}-${offset}`);
    const { lost, doubled } = verdictOf(ledger.acknowledged, questions, await whole(log, ANSWERS, textOf));
    const none = { at: 'most', bound: 0 } as const;
    const note = `${questions.length} records, ${ledger.acknowledged.length} acknowledged, ${refused} appends refused while the broker was away`;
    return [
      ...figuresOf(course, servers.versions),
      { id: 'R2', what: 'records lost', value: lost, unit: 'records', target: none, note },
      { id: 'R2', what: 'records run and committed twice', value: doubled, unit: 'records', target: none },
    ];
  } finally {
    askingEnds.abort();
    listeningEnds.abort();
    await Promise.all(scene.members.map((member) => member.kill()));
    await log.close();
    await servers.stop();
  }
};
