// The whole log of a stopped node, as plain data.
import { join } from 'node:path';
import { TOPICS, type Topic } from '../../schemas/index.js';
import { eventOf, type Log, type Recorded } from '../../streams/index.js';
import { openLmdbStorage } from '../../streams/lmdb/index.js';
import type { LoggedEvent } from './invariants.js';

export interface WholeLog {
  /** Events of every topic but the dead letters, each partition in order. */
  readonly events: readonly LoggedEvent[];
  readonly deadLetters: number;
}

const recordsOf = async function* (log: Log, topic: Topic, partition: number): AsyncGenerator<Recorded> {
  const { first, end } = await log.range(topic, partition);
  if (first === end) return;
  for await (const batch of log.read({ topic, partition, offset: first }, new AbortController().signal, { until: end })) yield* batch;
};

/** @param dataDir `node.data_dir` of a configuration with `partitions` partitions. */
export const readWholeLog = async (dataDir: string, partitions: number): Promise<WholeLog> => {
  const { log, close } = await openLmdbStorage({ dir: join(dataDir, 'log'), node: 'test', partitions });
  try {
    const events: LoggedEvent[] = [];
    let deadLetters = 0;
    for (const topic of TOPICS)
      for (let partition = 0; partition < partitions; partition++)
        for await (const record of recordsOf(log, topic, partition)) {
          if (topic === 'dats.dlq') deadLetters++;
          else events.push({ topic, partition, offset: record.offset, key: record.key, event: eventOf(record) });
        }
    return { events, deadLetters };
  } finally {
    await close();
  }
};
