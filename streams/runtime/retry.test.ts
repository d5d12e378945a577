import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../schemas/index.js';
import { backoffMs, nextAttempt, RETRY_AFTER_LIMIT_MS } from './retry.js';

const policy = { maxAttempts: 4, baseMs: 100, maxMs: 1_000 };

describe('retry', () => {
  it('doubles its ceiling up to the cap', () => {
    expect([1, 2, 3, 4, 5, 6, 2_000].map((attempt) => backoffMs(attempt, policy, () => 1))).toEqual([
      100, 200, 400, 800, 1_000, 1_000, 1_000,
    ]);
  });

  it('waits anything between nothing and the ceiling', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
        const ms = backoffMs(attempt, policy, () => random);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(Math.min(1_000, 100 * 2 ** (attempt - 1)));
      }),
    );
  });

  it('waits at least as long as it was asked to, within reason', () => {
    const asked = (retryAfterMs: number) => nextAttempt(new Fault('retryable', 'busy', 'busy', { retryAfterMs }), 1, policy, () => 0.5);
    expect(asked(5_000)).toBe(5_050);
    expect(asked(Number.MAX_SAFE_INTEGER)).toBe(RETRY_AFTER_LIMIT_MS + 50);
    expect(asked(-1)).toBe(50);
  });

  it('has no next attempt when they are used up, or when no retry helps', () => {
    const next = (kind: 'retryable' | 'terminal', attempt: number) => nextAttempt(new Fault(kind, 'x', 'x'), attempt, policy, () => 0);
    expect([next('retryable', 3), next('retryable', 4), next('terminal', 1)]).toEqual([0, undefined, undefined]);
  });
});
