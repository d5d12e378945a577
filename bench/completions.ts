// Follows the end of the log for tasks that were created and completed. What a reader of the log sees is durable (streams/log.ts L5).
import { isTerminal, LIFECYCLE } from '../schemas/index.js';
import { eventOf, type Log } from '../streams/index.js';

export interface Seen {
  /** The harness's own id: the first word of the description. */
  readonly created: (taskId: string, benchId: string) => void;
  readonly completed: (taskId: string, monotonicMs: number) => void;
  /** A task ended in any other way: the figures are void. */
  readonly failed: (taskId: string, type: string) => void;
}

/** Milliseconds of the clock that all processes of the machine share. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Resolves when every partition is being followed; `ended` rejects when the log cannot be read. */
export const followCompletions = async (log: Log, seen: Seen, signal: AbortSignal): Promise<{ readonly ended: Promise<unknown> }> => {
  const follow = async (partition: number, offset: number): Promise<void> => {
    for await (const records of log.read({ topic: LIFECYCLE, partition, offset }, signal))
      for (const record of records) {
        if (record.type === 'dats.task.completed') seen.completed(record.headers.subject!, monotonicMs());
        else if (record.type === 'dats.task.created') {
          const event = eventOf(record);
          if (event.type === 'dats.task.created') seen.created(event.data.task_id, event.data.description.content!.split(' ', 1)[0]!);
        } else if (isTerminal(record.type)) seen.failed(record.headers.subject!, record.type);
      }
  };
  const ends = await Promise.all(Array.from({ length: log.partitions(LIFECYCLE) }, async (_, i) => (await log.range(LIFECYCLE, i)).end));
  return { ended: Promise.all(ends.map((end, partition) => follow(partition, end))) };
};
