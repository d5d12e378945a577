// A log some of whose records cannot be read any more: the others are read all the same, so that what is gone can be told by name.
//
// G1. Whatever cannot be read is told, never only passed over. G2. Around a damaged place records are read one by one, so that no good one is lost with it.
import { formatPosition, isFault, type Topic } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';

export interface Damage {
  readonly topic: Topic;
  /** Such as `p3-17`. */
  readonly position: string;
  /** One line for people. */
  readonly why: string;
}

const isDamage = (error: unknown): error is Error => isFault(error) && error.code === 'log_corrupt';

/** The log, as far as it can be read up to where it ends now; `onDamage` hears of each record that cannot. */
export const readingOver = (log: Log, onDamage: (damage: Damage) => void): Log => ({
  partitions: (topic) => log.partitions(topic),
  append: (records) => log.append(records),
  get: (position) => log.get(position),
  range: (topic, partition) => log.range(topic, partition),
  join: (group, topics, onAssigned) => log.join(group, topics, onAssigned),
  lag: (group, topics) => log.lag(group, topics),
  health: () => log.health(),
  close: () => log.close(),
  async *read({ topic, partition, offset }, signal, options) {
    const end = Math.min(options?.until ?? Infinity, (await log.range(topic, partition)).end);
    for (let next = offset; next < end && !signal.aborted; ) {
      try {
        for await (const batch of log.read({ topic, partition, offset: next }, signal, { ...options, until: end })) {
          yield batch;
          next = batch.at(-1)!.offset + 1;
        }
        return;
      } catch (error) {
        if (!isDamage(error)) throw error;
      }
      try {
        const record = await log.get({ topic, partition, offset: next });
        if (record !== undefined) yield [record];
      } catch (error) {
        if (!isDamage(error)) throw error;
        onDamage({ topic, position: formatPosition({ partition, offset: next }), why: error.message });
      }
      next++;
    }
  },
});
