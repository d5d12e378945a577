// What one append and one commit cost on Kafka: their milliseconds, and the requests they send to the broker, by name.
import { setTimeout as sleep } from 'node:timers/promises';
import { LIFECYCLE } from '../schemas/index.js';
import type { Assignment, Outgoing } from '../streams/index.js';
import { type KafkaLogOptions, openKafkaLog } from '../streams/kafka/index.js';
import type { BenchServers } from './servers.js';
import { median } from './statistics.js';

const ROUNDS = 100;
const WARM_UP = 20;
/** Between two rounds, so that none finds the broker still ending the last one, in milliseconds. */
const BETWEEN_MS = 10;
const JOIN_MS = 30_000;
const VALUE_BYTES = 500;

/** Requests that carry a commit, by the number that the protocol gives them. */
const REQUESTS: Readonly<Record<number, string>> = {
  0: 'Produce',
  22: 'InitProducerId',
  24: 'AddPartitionsToTxn',
  25: 'AddOffsetsToTxn',
  26: 'EndTxn',
  28: 'TxnOffsetCommit',
};

export interface Cost {
  readonly ms: number;
  readonly note: string;
}

type Connect = NonNullable<KafkaLogOptions['connect']>;

/** Notes every request that the log sends. */
const watched =
  (sent: number[]): Connect =>
  (make) => {
    const connection = make();
    const send = connection.send.bind(connection) as (...args: unknown[]) => unknown;
    connection.send = ((apiKey: number, ...rest: unknown[]) => {
      sent.push(apiKey);
      return send(apiKey, ...rest);
    }) as typeof connection.send;
    return connection;
  };

/** `Produce 1, EndTxn 1: 2 requests`, of those of the commit path; reading goes on beside it. */
export const requestsNote = (sent: readonly number[], rounds: number): string => {
  const counts = new Map<string, number>();
  for (const key of sent) {
    const name = REQUESTS[key];
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const perRound = (count: number): string => String(Number((count / rounds).toFixed(2)));
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return `${[...counts].map(([name, count]) => `${name} ${perRound(count)}`).join(', ')}: ${perRound(total)} requests`;
};

const timed = async (sent: number[], act: () => Promise<unknown>): Promise<Cost> => {
  const times: number[] = [];
  for (let i = 0; i < WARM_UP + ROUNDS; i++) {
    if (i === WARM_UP) sent.length = 0;
    await sleep(BETWEEN_MS);
    const begin = performance.now();
    await act();
    if (i >= WARM_UP) times.push(performance.now() - begin);
  }
  return { ms: median(times), note: requestsNote(sent, ROUNDS) };
};

/** With nothing else going on in the process. @throws Error when no partition is assigned in time. */
export const commitCost = async ({ brokers, freshPrefix }: BenchServers): Promise<{ readonly append: Cost; readonly commit: Cost }> => {
  const sent: number[] = [];
  const log = openKafkaLog({ brokers: [brokers], node: 'bench', partitions: 1, prefix: freshPrefix('commit'), connect: watched(sent) });
  const record: Outgoing = { topic: LIFECYCLE, key: 'project', headers: { type: 'bench' }, value: 'x'.repeat(VALUE_BYTES) };
  try {
    const append = await timed(sent, () => log.append([record]));
    let assigned: (assignment: Assignment) => void = () => undefined;
    const owned = new Promise<Assignment>((resolve) => {
      assigned = resolve;
    });
    const member = await log.join('bench', [LIFECYCLE], async (assignment) => {
      assigned(assignment);
      await new Promise<void>((resolve) => assignment.revoked.addEventListener('abort', () => resolve(), { once: true }));
    });
    const late = sleep(JOIN_MS, undefined, { ref: false }).then(() =>
      Promise.reject(new Error(`no partition was assigned within ${JOIN_MS} ms`)),
    );
    const assignment = await Promise.race([owned, member.done.then(() => owned), late]);
    let next = assignment.committed;
    const commit = await timed(sent, () =>
      assignment.commit({ next: ++next, outputs: [record], states: new Map([['state', 'y'.repeat(VALUE_BYTES)]]) }),
    );
    await member.leave();
    return { append, commit };
  } finally {
    await log.close();
  }
};
