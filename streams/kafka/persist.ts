// Trying until it works.
import { isFault } from '../../schemas/index.js';
import { pause } from '../pause.js';

export interface Persistence {
  /** After so long the last error is thrown, in milliseconds; none: until the signal aborts. */
  readonly forMs?: number;
  readonly signal?: AbortSignal;
  /** The first wait and the longest, in milliseconds. */
  readonly firstMs?: number;
  readonly longestMs?: number;
  /** Told of tries that failed once QUIET_MS are over: what mends itself at once is nobody's concern. */
  readonly onRetry?: (error: unknown) => void;
}

const QUIET_MS = 1_000;

/** Runs `attempt` until it does not throw a retryable Fault. @throws the last one when time is over or the signal aborted, every other at once. */
export const persist = async <T>(attempt: () => Promise<T>, options: Persistence = {}): Promise<T> => {
  const { forMs = Number.POSITIVE_INFINITY, signal, firstMs = 10, longestMs = 500, onRetry } = options;
  const began = performance.now();
  const deadline = began + forMs;
  for (let wait = firstMs; ; wait = Math.min(wait * 2, longestMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isFault(error, 'retryable') || signal?.aborted || performance.now() + wait > deadline) throw error;
      if (performance.now() - began > QUIET_MS) onRetry?.(error);
      await pause(wait * (0.5 + Math.random()), signal);
      if (signal?.aborted) throw error;
    }
  }
};
