// The load: tasks of about 590 bytes as the peers' harness sends them, as fast as answers come or at a fixed rate.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from './completions.js';
import { Connection, type Reply, type Request } from './connection.js';

const PROJECTS = 20;
const DESCRIPTION_CHARS = 380;
/** Connections ready before a load of fixed rate begins; more are opened when all are busy. */
const READY_CONNECTIONS = 16;
const WORDS = 'refactor the parser so that every module exports typed errors and add tests for retries'.split(' ');

export interface BenchTask {
  readonly id: string;
  readonly request: Request;
}

/** Task number `i`: its id is the first word of its description, because the server makes its own ids. */
export const benchTask = (i: number): BenchTask => {
  const id = randomUUID();
  let description = id;
  for (let k = i; description.length < DESCRIPTION_CHARS; k++) description += ` ${WORDS[(k * 7 + i) % WORDS.length]}`;
  const body = { description, project_id: `project-${i % PROJECTS}`, options: { qa_profile: 'syntax' } };
  return { id, request: ['POST', '/api/v1/tasks', JSON.stringify(body)] };
};

const accepted = (reply: Reply): Reply => {
  if (reply.status >= 300) throw new Error(`the server answered ${reply.status}: ${reply.body}`);
  return reply;
};

export interface Driven {
  /** Milliseconds from sending a request to its answer. */
  readonly latencies: readonly number[];
  readonly replies: readonly Reply[];
  /** Monotonic milliseconds. */
  readonly begin: number;
  readonly end: number;
}

/** Closed loop: each of `connections` sends its next request when the last one was answered. */
export const driveClosed = async (port: number, requests: readonly Request[], connections: number): Promise<Driven> => {
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)));
  const latencies: number[] = [];
  const replies: Reply[] = [];
  let next = 0;
  const begin = monotonicMs();
  await Promise.all(
    open.map(async (connection) => {
      while (next < requests.length) {
        const request = requests[next++]!;
        const sent = monotonicMs();
        replies.push(accepted(await connection.ask(request)));
        latencies.push(monotonicMs() - sent);
      }
      connection.close();
    }),
  );
  return { latencies, replies, begin, end: monotonicMs() };
};

/** Waits until the monotonic clock shows `at` milliseconds; not at all when that is over. */
export const startAt = async (at: number): Promise<void> => {
  const wait = at - monotonicMs();
  if (wait > 0) await sleep(wait);
};

/** Open loop: `perSecond` requests a second, whether or not answers come. `sentAt` is told of each. */
export const driveOpen = async (
  port: number,
  requests: readonly Request[],
  perSecond: number,
  sentAt: (index: number, at: number) => void = () => {},
): Promise<Driven> => {
  const free = await Promise.all(Array.from({ length: READY_CONNECTIONS }, () => Connection.open(port)));
  const latencies: number[] = [];
  const replies: Reply[] = [];
  const pending: Promise<void>[] = [];
  const begin = monotonicMs();
  for (const [i, request] of requests.entries()) {
    await startAt(begin + (i * 1_000) / perSecond);
    const connection = free.pop() ?? (await Connection.open(port));
    const ask = async (): Promise<void> => {
      const sent = monotonicMs();
      sentAt(i, sent);
      replies.push(accepted(await connection.ask(request)));
      latencies.push(monotonicMs() - sent);
      free.push(connection);
    };
    pending.push(ask());
  }
  await Promise.all(pending);
  for (const connection of free) connection.close();
  return { latencies, replies, begin, end: monotonicMs() };
};
