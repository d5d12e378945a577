// Keeps the read models: folds the lifecycle topic into tasks, artifacts and projects in the view store.
//
// M1. Documents and the checkpoint they cover are one write, so a crash repeats at most what was not written. M2. Everything here can be dropped:
// without a checkpoint it begins at the first event. M3. A write that fails for want of room is tried again; nothing more is read meanwhile.
// M4. Events of deciders are taken out of the log without checking their data again: the live path, which has them in memory, does not check
// them either, and a rebuild must show what was shown. Everybody else's are decoded in full: the deciders may have refused them.
import { type DatsEvent, decodeWritten, EVENTS, type Fault, isFault, toFault } from '../../schemas/index.js';
import { type Assignment, eventOf, type Log, type Recorded, type ViewStore } from '../../streams/index.js';
import { backoffMs } from '../../streams/runtime/index.js';
import { pause } from '../pause.js';
import { openProjection, type Projection } from './projection.js';

export const VIEW = 'lifecycle';
/** Records a write takes at most; a batch of so many means that the views are behind, and then writes follow one another at once. */
const MAX_BATCH = 2_048;
/** A batch of so many records is load: then writes are at least FLUSH_MS apart. */
const BUSY_RECORDS = 16;
const FLUSH_MS = 100;

/** Waits between the tries of a failing write, in milliseconds. */
const WRITE_BACKOFF = { baseMs: 50, maxMs: 2_000 };

export interface MaterialiseOptions {
  readonly log: Log;
  readonly views: ViewStore;
  readonly onProblem?: (fault: Fault, record?: Recorded) => void;
}

/** A view shows whatever is said about a task. */
const TYPES: ReadonlySet<string> = new Set(Object.keys(EVENTS).filter((type) => type.startsWith('dats.task.')));

const DECIDERS = '/deciders/';

const eventIn = (record: Recorded): DatsEvent =>
  record.event === undefined && record.headers.source?.startsWith(DECIDERS) ? decodeWritten(record.headers, record.value) : eventOf(record);

/** The deciders make dead letters of what is no event; a view has nothing to show for it. */
const takeAll = async (projection: Projection, records: readonly Recorded[], { onProblem }: MaterialiseOptions): Promise<void> => {
  for (const record of records) {
    if (!TYPES.has(record.type)) continue;
    try {
      const waiting = projection.take(eventIn(record), record.offset);
      if (waiting !== undefined) await waiting;
    } catch (error) {
      onProblem?.(toFault(error), record);
    }
  }
};

/**
 * Runs until the partition is revoked. Begins where the views are, which is not where the group is once they were dropped;
 * the group's offset is only kept so that the lag can be seen.
 */
export const materialise = async (assignment: Assignment, options: MaterialiseOptions): Promise<void> => {
  const { views, log } = options;
  const projection = openProjection(views);
  const { topic, partition, revoked } = assignment;
  const from = { topic, partition, offset: await views.checkpoint(VIEW, partition) };
  let { committed } = assignment;
  for await (const records of log.read(from, revoked, { maxBatch: MAX_BATCH })) {
    await takeAll(projection, records, options);
    const next = records.at(-1)!.offset + 1;
    const began = performance.now();
    const documents = projection.flush();
    const commits = next > committed;
    committed = Math.max(committed, next);
    await persist(revoked, options, async () => {
      const written = views.put(documents, { view: VIEW, partition, next });
      await (commits ? Promise.all([written, assignment.commit({ next, outputs: [], states: new Map() })]) : written);
    });
    // Under load the events of some milliseconds share a write; a single event shows at once, and whoever is behind does not wait.
    if (records.length >= BUSY_RECORDS && records.length < MAX_BATCH) await pause(FLUSH_MS - (performance.now() - began), revoked);
  }
};

/** Until it is written, or the partition is revoked: a full disk must not end the views (M3). Writing the same twice changes nothing. */
const persist = async (revoked: AbortSignal, options: MaterialiseOptions, write: () => Promise<void>): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return;
    } catch (error) {
      if (!isFault(error, 'retryable') || revoked.aborted) throw error;
      options.onProblem?.(error);
      await pause(backoffMs(attempt, WRITE_BACKOFF, Math.random), revoked);
    }
  }
};
