// Keeps the group's offset near what the views have, for whoever looks at the lag. Nothing depends on it: views go on from their own checkpoint.
//
// N1. At once after a pause, else once in COMMIT_MS: on Kafka a commit is a transaction, and a view writes many times a second. N2. What was reached
// is committed within COMMIT_MS also when nothing follows, and when the partition is given up. N3. Commits follow one another.
import { type Fault, isFault } from '../../schemas/index.js';
import type { Assignment } from '../../streams/index.js';

/** Milliseconds between two commits. */
export const COMMIT_MS = 500;

export interface OffsetKeeper {
  /** Everything below `next` is in the views. */
  reach(next: number): Promise<void>;
  /** Aborted when a commit failed for good, with its Fault (`fenced`, say) as the reason: the partition is to be given up, also when nothing comes any more. */
  readonly failed: AbortSignal;
  /** Commits what was reached and not committed yet; never throws. */
  stop(): Promise<void>;
}

export const keepOffset = (assignment: Assignment, onProblem: (fault: Fault) => void): OffsetKeeper => {
  let reached = assignment.committed;
  let committed = reached;
  let last = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let committing: Promise<void> = Promise.resolve();
  const failed = new AbortController();
  let stopped = false;
  /** Code of the trouble since the last commit: an outage is told once. */
  let told: string | undefined;

  const commitNow = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const next = reached;
    if (next <= committed) return;
    last = performance.now();
    try {
      await assignment.commit({ next, outputs: [], states: new Map() });
      committed = next;
      told = undefined;
    } catch (error) {
      if (!isFault(error, 'retryable')) failed.abort(error);
      else {
        if (told !== error.code) onProblem(error);
        told = error.code;
        if (!stopped) timer ??= setTimeout(() => void commit(), COMMIT_MS);
      }
    }
  };
  const commit = (): Promise<void> => {
    committing = committing.then(commitNow);
    return committing;
  };

  return {
    failed: failed.signal,
    async reach(next) {
      reached = Math.max(reached, next);
      const wait = last + COMMIT_MS - performance.now();
      if (wait <= 0) await commit();
      else timer ??= setTimeout(() => void commit(), wait);
    },
    async stop() {
      stopped = true;
      if (!failed.signal.aborted) await commit();
    },
  };
};
