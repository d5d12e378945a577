// Follows a partition, and looks at something else every so often, one after the other: what both commit stays in one order.
//
// O1. When the partition is to be given up nothing more is begun: what a commit left undone must not be passed over by the next one.
import { isFault } from '../../schemas/index.js';
import { type Assignment, pause, type Recorded } from '../../streams/index.js';

export interface Beside {
  /** Aborts when the partition is to be given up, or one of the two failed. */
  readonly until: AbortSignal;
  /** Until the partition is revoked. @throws Fault fenced or fatal */
  run(work: BesideWork): Promise<void>;
}

interface BesideWork {
  /** Once, while both are under way. */
  readonly begin?: () => Promise<void>;
  readonly take: (records: readonly Recorded[]) => Promise<void>;
  readonly look: () => Promise<void>;
  /** From one look to the next, in milliseconds. */
  readonly lookMs: number;
  /** Records that are taken at once, at most. */
  readonly maxBatch?: number;
}

export const openBeside = (assignment: Assignment): Beside => {
  const { revoked } = assignment;
  const over = new AbortController();
  const until = AbortSignal.any([revoked, over.signal]);
  let last: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    last = last.then(() => (until.aborted ? undefined : work()));
    return last;
  };
  return {
    until,
    run: async ({ begin, take, look, lookMs, maxBatch }) => {
      const follow = async (): Promise<void> => {
        const reading = { signal: until, ...(maxBatch === undefined ? {} : { maxBatch }) };
        for await (const records of assignment.records(reading)) await inTurn(() => take(records));
      };
      const watch = async (): Promise<void> => {
        while (!until.aborted) {
          await inTurn(look);
          await pause(lookMs, until);
        }
      };
      const parts = [follow(), watch()];
      try {
        await begin?.();
        await Promise.all(parts);
      } catch (error) {
        if (isFault(error, 'fenced') || (revoked.aborted && !isFault(error, 'fatal'))) return;
        throw error;
      } finally {
        over.abort();
        await Promise.allSettled(parts);
      }
    },
  };
};
