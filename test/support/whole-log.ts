// The whole log of a stopped node, as plain data.
import { join } from 'node:path';
import { DLQ, LETTER, TOPICS, type Topic } from '../../schemas/index.js';
import { eventOf, type Log, type Recorded } from '../../streams/index.js';
import { openLmdbStorage } from '../../streams/lmdb/index.js';
import type { LoggedEvent } from './invariants.js';

export interface WholeLog {
  /** Events of every topic but the dead letters, each partition in order. */
  readonly events: readonly LoggedEvent[];
  readonly deadLetters: number;
  /** What each dead letter says of itself. */
  readonly letters: readonly string[];
}

/** Every record of a partition that is there now. */
export const recordsOf = async function* (log: Log, topic: Topic, partition: number): AsyncGenerator<Recorded> {
  const { first, end } = await log.range(topic, partition);
  if (first === end) return;
  for await (const batch of log.read({ topic, partition, offset: first }, new AbortController().signal, { until: end })) yield* batch;
};

const letterOf = ({ headers }: Recorded): string =>
  `${headers[LETTER.topic]} p${headers[LETTER.partition]}-${headers[LETTER.offset]} in ${headers[LETTER.group]}: ${headers[LETTER.code]}: ${headers[LETTER.message]}`;

/** Every record of every topic, through the port: any adapter's log. */
export const readLog = async (log: Log): Promise<WholeLog> => {
  const events: LoggedEvent[] = [];
  const letters: string[] = [];
  for (const topic of TOPICS)
    for (let partition = 0; partition < log.partitions(topic); partition++)
      for await (const record of recordsOf(log, topic, partition)) {
        if (topic === DLQ) letters.push(letterOf(record));
        else events.push({ topic, partition, offset: record.offset, key: record.key, event: eventOf(record) });
      }
  return { events, letters, deadLetters: letters.length };
};

/** @param dataDir `node.data_dir` of a configuration with `partitions` partitions. */
export const readWholeLog = async (dataDir: string, partitions: number): Promise<WholeLog> => {
  const { log, close } = await openLmdbStorage({ dir: join(dataDir, 'log'), node: 'test', partitions });
  try {
    return await readLog(log);
  } finally {
    await close();
  }
};
