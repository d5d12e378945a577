// How many records the history does not have yet. Asked of the tables, not of the group's offset: that never falls, also while all is brought again.
import { isFault, LIFECYCLE, TELEMETRY, type Topic } from '../../../schemas/index.js';
import type { Analytics, Log } from '../../../streams/index.js';
import { EVENTS } from './tables.js';

export const HISTORY_TOPICS: readonly Topic[] = [LIFECYCLE, TELEMETRY];

const HAS = `SELECT topic, partition, max(offset) + 1 AS next FROM ${EVENTS} GROUP BY topic, partition`;

/** An upper bound where offsets have gaps. Tables that are not there have nothing. @throws Fault when the store or the log does not answer */
export const historyBehind = async (analytics: Analytics, log: Log): Promise<number> => {
  const rows = await analytics.query<{ topic: string; partition: number; next: number }>(HAS).catch((error: unknown) => {
    if (isFault(error) && error.code === 'analytics_missing') return [];
    throw error;
  });
  const has = new Map(rows.map(({ topic, partition, next }) => [`${topic}/${partition}`, Number(next)]));
  const places = HISTORY_TOPICS.flatMap((topic) => Array.from({ length: log.partitions(topic) }, (_, partition) => ({ topic, partition })));
  const behind = await Promise.all(
    places.map(async ({ topic, partition }) => {
      const { first, end } = await log.range(topic, partition);
      return Math.max(0, end - Math.max(first, has.get(`${topic}/${partition}`) ?? 0));
    }),
  );
  return behind.reduce((sum, records) => sum + records, 0);
};
