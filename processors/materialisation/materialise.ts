// Keeps the read models: folds the lifecycle topic into tasks, artifacts and projects in the view store.
//
// M1. Documents and the checkpoint they cover are one write, so a crash repeats at most what was not written. M2. Everything here can be dropped:
// without a checkpoint it begins at the first event. M3. A write that fails for want of room is tried again; nothing more is read meanwhile.
// M4. What the deciders refused is skipped (event-in.ts).
// M5. Whenever the store is not where it was left (emptied, restored from older, written by somebody else), or could not be read, everything
// remembered is dropped and the fold starts again at the stored checkpoint. A quiet partition looks for that every LOOK_MS.
// M6. The documents of a checkpoint are the fold of exactly the events below it, whoever wrote them. Versions alone do not give that: counts of a
// project are folded from a task's state before and after, and a writer that reads a task newer than its project counts a change never or
// twice, under a version that is right. So every write is a compare-and-set on the checkpoint (V4): of two writers only the one whose
// checkpoint still stands writes, nothing was written between its reads and its write, and by induction what it read was that fold.
import { BUDGET_ANSWERS, type Fault, isFault, TASK_TYPES, toFault } from '../../schemas/index.js';
import { type Assignment, type Log, pause, type Recorded, type ViewStore } from '../../streams/index.js';
import { backoffMs, untilDone } from '../../streams/runtime/index.js';
import { eventIn } from './event-in.js';
import { MARK_TYPES } from './marks.js';
import { keepOffset, type OffsetKeeper } from './offset-keeper.js';
import { openProjection, type Projection } from './projection.js';
import { watchCheckpoint } from './watch-checkpoint.js';

export const VIEW = 'lifecycle';
/** Records a write takes at most; a batch of so many means that the views are behind, and then writes follow one another at once. */
const MAX_BATCH = 2_048;
/** A batch of so many records is load: then writes are at least FLUSH_MS apart. */
const BUSY_RECORDS = 16;
const FLUSH_MS = 100;

/** Waits between the tries of what fails, in milliseconds. */
const BACKOFF = { baseMs: 50, maxMs: 2_000 };
/** How often a partition without new events looks whether the store is where it was left, in milliseconds. */
const LOOK_MS = 2_000;
/** Faults of a write that no second try mends (V4). */
const STARTS_AGAIN: ReadonlySet<string> = new Set(['views_lost', 'views_moved']);

export interface MaterialiseOptions {
  readonly log: Log;
  readonly views: ViewStore;
  readonly onProblem?: (fault: Fault, record?: Recorded) => void;
  /** How often a quiet partition looks after the store, in milliseconds; default 2,000. */
  readonly lookMs?: number;
}

/** A view shows whatever is said about a task, and how what it made stands. */
const TYPES: ReadonlySet<string> = new Set([...TASK_TYPES, ...BUDGET_ANSWERS, ...MARK_TYPES]);

/** The deciders make dead letters of what is no event; a view has nothing to show for it. @throws Fault of the store, with part of it taken. */
const takeAll = async (projection: Projection, records: readonly Recorded[], { onProblem }: MaterialiseOptions): Promise<void> => {
  const ours = records.filter(({ type }) => TYPES.has(type));
  await projection.prepare(ours);
  for (const record of ours) {
    try {
      const waiting = projection.take(eventIn(record), record.offset);
      if (waiting !== undefined) await waiting;
    } catch (error) {
      // Not the event's fault: what the store did not give must not be missing from the fold (M5).
      if (isFault(error) && error.kind !== 'terminal') throw error;
      onProblem?.(toFault(error), record);
    }
  }
};

/** What lasts from one start of the fold to the next. */
interface Progress {
  /** Starts since the last write. */
  starts: number;
  /** Code of the trouble that was told since the last write: an outage is told once, not at every try. */
  told: string | undefined;
}

/**
 * Runs until the partition is revoked. Begins where the views are, which is not where the group is once they were dropped;
 * the group's offset is only kept so that the lag can be seen.
 * @throws Fault `fenced` when the partition has another owner; whatever else is not retryable.
 */
export const materialise = async (assignment: Assignment, options: MaterialiseOptions): Promise<void> => {
  const { revoked } = assignment;
  const progress: Progress = { starts: 0, told: undefined };
  const offset = keepOffset(assignment, (fault) => tell(options, progress, fault));
  try {
    while (!revoked.aborted) {
      try {
        await foldFromCheckpoint(assignment, options, progress, offset);
      } catch (error) {
        if (!isFault(error, 'retryable')) throw error;
        if (revoked.aborted) return;
        tell(options, progress, error);
      }
      if (++progress.starts > 1) await pause(backoffMs(progress.starts - 1, BACKOFF, Math.random), revoked);
    }
  } finally {
    await offset.stop();
  }
};

/** Until revoked, or the store turns out to be elsewhere. @throws Fault, retryable where it is to be started again. */
const foldFromCheckpoint = async (
  assignment: Assignment,
  options: MaterialiseOptions,
  progress: Progress,
  offset: OffsetKeeper,
): Promise<void> => {
  const { views, log } = options;
  const { topic, partition, revoked } = assignment;
  const projection = openProjection(views);
  let position = await views.checkpoint(VIEW, partition);
  const watch = watchCheckpoint(views, { view: VIEW, partition, everyMs: options.lookMs ?? LOOK_MS }, () => position);
  try {
    const signal = AbortSignal.any([revoked, watch.left, offset.failed]);
    for await (const records of log.read({ topic, partition, offset: position }, signal, { maxBatch: MAX_BATCH })) {
      watch.busy();
      await takeAll(projection, records, options);
      const next = records.at(-1)!.offset + 1;
      const began = performance.now();
      const documents = projection.flush();
      const from = position;
      // M3. Writing the same twice changes nothing.
      await untilDone(() => views.put(documents, { view: VIEW, partition, from, next }), {
        revoked,
        onTrouble: (fault) => tell(options, progress, fault),
        final: STARTS_AGAIN,
      });
      if (revoked.aborted) return;
      await offset.reach(next);
      position = next;
      progress.starts = 0;
      progress.told = undefined;
      // Under load the events of some milliseconds share a write; a single event shows at once, and whoever is behind does not wait.
      if (records.length >= BUSY_RECORDS && records.length < MAX_BATCH) await pause(FLUSH_MS - (performance.now() - began), revoked);
      watch.quiet();
    }
    offset.failed.throwIfAborted();
  } finally {
    watch.stop();
  }
};

const tell = ({ onProblem }: MaterialiseOptions, progress: Progress, fault: Fault): void => {
  if (progress.told === fault.code) return;
  progress.told = fault.code;
  onProblem?.(fault);
};
