// A steady stream of tasks, sent when they are due and not when the last one was answered: what waits shows as latency, and is not left out.
//
// O1. Latency runs from the instant a task was due until its end was seen. O2. Every task has an Idempotency-Key and is sent until it is taken.
import type { AnyGateway } from './any-gateway.js';
import { eventually } from './eventually.js';

/** A task that is not taken for so long is a failure, in milliseconds. */
const TAKEN_WITHIN_MS = 60_000;

export interface OpenLoop {
  readonly acknowledged: readonly { readonly task_id: string; readonly project_id: string; readonly key: string }[];
  /** Answers that should not have been. */
  readonly surprises: readonly string[];
  /** Tasks that are due so far. */
  due(): number;
  /** The follower tells which task has ended. */
  ended(taskId: string): void;
  /** From due to end, of every task from number `from` on that has ended, in milliseconds, in the order they were due. */
  latencies(from?: number): readonly number[];
  /** No new ones; resolves when all that were due are taken. */
  stop(): Promise<void>;
}

export interface OpenLoopOptions {
  readonly gateways: Pick<AnyGateway, 'submit'>;
  readonly perSecond: number;
  /** The body of a task, by its number. */
  readonly bodyOf: (serial: number) => { readonly project_id: string };
}

export const startOpenLoop = ({ gateways, perSecond, bodyOf }: OpenLoopOptions): OpenLoop => {
  const began = performance.now();
  const intervalMs = 1_000 / perSecond;
  const acknowledged: { task_id: string; project_id: string; key: string }[] = [];
  const surprises: string[] = [];
  const numbers = new Map<string, number>();
  const endedAt = new Map<string, number>();
  const sending = new Set<Promise<void>>();
  let serial = 0;

  const send = async (number: number): Promise<void> => {
    const key = `steady-${number}`;
    const body = bodyOf(number);
    const answer = await eventually(`an answer to ${key}`, TAKEN_WITHIN_MS, async () => {
      const got = await gateways.submit(body, key);
      return got.status === 503 ? undefined : got;
    });
    if (answer.status !== 202) {
      surprises.push(`${key}: HTTP ${answer.status} ${JSON.stringify(answer.body)}`);
      return;
    }
    const { task_id } = answer.body;
    acknowledged.push({ task_id, project_id: body.project_id, key });
    numbers.set(task_id, number);
  };
  const sendDue = (): void => {
    for (; began + serial * intervalMs <= performance.now(); serial++) {
      const sent = send(serial).catch((error: unknown) => void surprises.push(String(error)));
      sending.add(sent);
      void sent.then(() => sending.delete(sent));
    }
    // Not an interval: it drifts, and a task that is sent late would count as a slow one.
    timer = setTimeout(sendDue, Math.max(1, began + serial * intervalMs - performance.now()));
  };
  let timer: NodeJS.Timeout | undefined;
  sendDue();
  return {
    acknowledged,
    surprises,
    due: () => serial,
    ended: (taskId) => {
      if (!endedAt.has(taskId)) endedAt.set(taskId, performance.now());
    },
    latencies: (from = 0) =>
      [...numbers]
        .filter(([task, number]) => number >= from && endedAt.has(task))
        .sort(([, a], [, b]) => a - b)
        .map(([task, number]) => endedAt.get(task)! - (began + number * intervalMs)),
    stop: async () => {
      clearTimeout(timer);
      await Promise.all(sending);
    },
  };
};

/** @param share in [0, 1]. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
