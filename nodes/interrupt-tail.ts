// Follows the end of the lifecycle topic for what stops running work.

import { INTERRUPTING, type Interrupts } from '../processors/host/index.js';
import { LIFECYCLE } from '../schemas/index.js';
import { eventOf, type Log } from '../streams/index.js';

/** Resolves when every follower has ended, after `signal` aborted. */
export const followInterrupts = async (
  log: Log,
  interrupts: Interrupts,
  signal: AbortSignal,
  onProblem: (error: unknown) => void,
): Promise<void> => {
  const follow = async (partition: number): Promise<void> => {
    const { end } = await log.range(LIFECYCLE, partition);
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
