// Follows the end of the lifecycle topic for what stops running work.
import { setTimeout as sleep } from 'node:timers/promises';
import { INTERRUPTING, type Interrupts } from '../processors/host/index.js';
import { isFault, LIFECYCLE } from '../schemas/index.js';
import { eventOf, type Log } from '../streams/index.js';
import { backoffMs } from '../streams/runtime/index.js';

/** Waits between two questions, in milliseconds. */
const RETRY = { baseMs: 100, maxMs: 2_000 };

/** Resolves when every follower has ended, after `signal` aborted. */
export const followInterrupts = async (
  log: Log,
  interrupts: Interrupts,
  signal: AbortSignal,
  onProblem: (error: unknown) => void,
): Promise<void> => {
  const follow = async (partition: number): Promise<void> => {
    const end = await endOf(log, partition, signal, onProblem);
    if (end === undefined) return;
    for await (const records of log.read({ topic: LIFECYCLE, partition, offset: end }, signal))
      for (const record of records) {
        if (!INTERRUPTING.has(record.type)) continue;
        try {
          interrupts.notice(eventOf(record));
        } catch (error) {
          onProblem(error);
        }
      }
  };
  await Promise.all(Array.from({ length: log.partitions(LIFECYCLE) }, (_, partition) => follow(partition)));
};

/** The log may not answer yet: then it is asked again. Undefined when the signal aborted first. */
const endOf = async (
  log: Log,
  partition: number,
  signal: AbortSignal,
  onProblem: (error: unknown) => void,
): Promise<number | undefined> => {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return (await log.range(LIFECYCLE, partition)).end;
    } catch (error) {
      if (!isFault(error, 'retryable')) throw error;
      onProblem(error);
      await sleep(backoffMs(attempt, RETRY, Math.random), undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
};
