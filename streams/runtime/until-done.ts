// A write that is to succeed, however often it has to be tried, as long as the partition is ours.
import { type Fault, isFault } from '../../schemas/index.js';
import { pause } from '../pause.js';
import { backoffMs } from './retry.js';

export interface UntilDone {
  /** Gives up, without an error. */
  readonly revoked: AbortSignal;
  /** Told of every try that failed. */
  readonly onTrouble: (fault: Fault) => void;
  /** Codes of retryable Faults that no second try mends. */
  readonly final?: ReadonlySet<string>;
}

/** Waits between two tries, in milliseconds. */
const BACKOFF = { baseMs: 50, maxMs: 2_000 };

/** Doing it twice must change nothing. @throws Fault that is not retryable, or `final` */
export const untilDone = async (act: () => Promise<unknown>, { revoked, onTrouble, final }: UntilDone): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      await act();
      return;
    } catch (error) {
      if (!isFault(error, 'retryable') || final?.has(error.code)) throw error;
      if (revoked.aborted) return;
      onTrouble(error);
      await pause(backoffMs(attempt, BACKOFF, Math.random), revoked);
    }
  }
};
