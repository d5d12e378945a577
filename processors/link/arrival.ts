// A project that comes to this node: found by the last word of its home before, and read from this node's log, where every record of it lies as a copy.
//
// A1. Of the last words that name this node only the newest brings a project: an edge node that lost its store gets older ones as history.
import { ARRIVES, LIFECYCLE } from '../../schemas/index.js';
import { isCopy, type Log, readableEventOf } from '../../streams/index.js';
import type { Arrivals } from '../host/index.js';
import type { Homes } from './homes.js';
import { openPast, type PastOptions } from './past.js';

export interface ArrivalsOptions extends Omit<PastOptions, 'self'> {
  readonly log: Pick<Log, 'read' | 'range'>;
  readonly homes: Pick<Homes, 'self' | 'core'>;
}

export const arrivalsAt = ({ log, homes: { self, core }, source, consumes }: ArrivalsOptions): Arrivals => ({
  of: async (record, signal) => {
    if (record.type !== 'dats.project.moved' || !isCopy(record)) return undefined;
    // To the core edge nodes send their own last words, each once.
    if (core?.id !== self && record.headers[ARRIVES] === undefined) return undefined;
    const moved = readableEventOf(record);
    if (moved?.type !== 'dats.project.moved' || moved.data.to !== self) return undefined;
    const { first } = await log.range(LIFECYCLE, record.partition);
    const past = openPast({ self, source, consumes });
    for await (const records of log.read({ topic: LIFECYCLE, partition: record.partition, offset: first }, signal, {
      until: record.offset,
    }))
      for (const one of records) if (one.key === record.key) past.take(one);
    signal.throwIfAborted();
    return past.end(record, moved);
  },
});
