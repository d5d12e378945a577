// When to try again. Pure: randomness is injected.
//
// R1. Full jitter: the wait is uniform between 0 and the exponential ceiling, so that many who failed together do not come back together.
// R2. A server's `Retry-After` is the floor; the jitter comes on top of it.
import type { Fault } from '../../schemas/index.js';

export interface RetryPolicy {
  /** How often a record is run at most, the first time included. */
  readonly maxAttempts: number;
  /** Ceiling of the first wait, in milliseconds; it doubles with each attempt. */
  readonly baseMs: number;
  /** The ceiling never exceeds this, in milliseconds. */
  readonly maxMs: number;
}

/** The longest `Retry-After` that is honoured, in milliseconds: a wrong header must not hold a key for a day. */
export const RETRY_AFTER_LIMIT_MS = 600_000;

/**
 * How long to wait after the `attempt`-th failure (from 1), in milliseconds.
 * @param random uniform in [0, 1)
 */
export const backoffMs = (
  attempt: number,
  policy: Pick<RetryPolicy, 'baseMs' | 'maxMs'>,
  random: () => number,
  retryAfterMs: number | undefined = undefined,
): number => {
  const ceiling = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(attempt - 1, 52));
  const floor = Math.min(Math.max(retryAfterMs ?? 0, 0), RETRY_AFTER_LIMIT_MS);
  return floor + random() * ceiling;
};

/** The wait before the next attempt in milliseconds, or undefined when there is none: not retryable, or attempts exhausted. */
export const nextAttempt = (fault: Fault, attempt: number, policy: RetryPolicy, random: () => number): number | undefined =>
  fault.kind !== 'retryable' || attempt >= policy.maxAttempts ? undefined : backoffMs(attempt, policy, random, fault.retryAfterMs);
