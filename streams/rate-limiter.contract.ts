// What every adapter of the rate limiter must do (G1, G2, G4 in rate-limiter.ts). An adapter's own test opens it and calls this.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openMemoryRateLimiter } from './memory/index.js';
import type { RateLimiter } from './rate-limiter.js';

export interface RateLimiterHarness {
  /** Each is one more process that shares the limits. */
  open(): Promise<RateLimiter>;
  dispose(): Promise<void>;
}

/** So slow that nothing comes back while a test runs. */
const SLOW = { perMinute: 0.01, burst: 5 };

export const rateLimiterContract = (name: string, make: () => Promise<RateLimiterHarness>): void => {
  describe(`${name}: the contract of the rate limiter`, () => {
    let harness: RateLimiterHarness;
    let limiter: RateLimiter;
    beforeEach(async () => {
      harness = await make();
      limiter = await harness.open();
    });
    afterEach(async () => {
      await limiter.close();
      await harness.dispose();
    });

    test('the burst can be spent at once, then nothing', async () => {
      for (let left = 4; left >= 0; left--)
        expect(await limiter.take('key', SLOW)).toEqual({ allowed: true, remaining: left, retryAfterMs: 0 });
      const refused = await limiter.take('key', SLOW);
      expect(refused).toMatchObject({ allowed: false, remaining: 0 });
      expect(refused.retryAfterMs).toBeGreaterThan(5_900_000);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(6_000_000);
    });

    test('keys have nothing to do with each other', async () => {
      await limiter.take('one', SLOW, 5);
      expect(await limiter.take('one', SLOW)).toMatchObject({ allowed: false });
      expect(await limiter.take('two', SLOW)).toMatchObject({ allowed: true, remaining: 4 });
      expect(await limiter.take('{one}:ü 漢', SLOW)).toMatchObject({ allowed: true, remaining: 4 });
    });

    test('what is refused costs nothing, and looking costs nothing', async () => {
      expect(await limiter.take('key', SLOW, 3)).toMatchObject({ allowed: true, remaining: 2 });
      for (let i = 0; i < 3; i++) expect(await limiter.take('key', SLOW, 4)).toMatchObject({ allowed: false, remaining: 2 });
      for (let i = 0; i < 3; i++) expect(await limiter.take('key', SLOW, 0)).toMatchObject({ allowed: true, remaining: 2 });
      expect(await limiter.take('key', SLOW, 2)).toMatchObject({ allowed: true, remaining: 0 });
    });

    test('it comes back evenly: after the time that was told it is allowed', async () => {
      const limit = { perMinute: 1_200, burst: 3 };
      const began = performance.now();
      let allowed = 0;
      let told = 0;
      await expect
        .poll(
          async () => {
            const { allowed: yes, retryAfterMs } = await limiter.take('key', limit);
            if (yes) allowed++;
            else {
              expect(retryAfterMs).toBeGreaterThan(0);
              expect(retryAfterMs).toBeLessThanOrEqual(50);
              told++;
            }
            return allowed;
          },
          { interval: 5, timeout: 10_000 },
        )
        .toBe(6);
      expect(told).toBeGreaterThan(0);
      expect(performance.now() - began).toBeGreaterThan(3 * 50 - 2);
    });

    test('a limit that is lowered applies at once, and does not lock the key for longer than an empty one', async () => {
      await limiter.take('key', { perMinute: 0.01, burst: 1_000 }, 1_000);
      const refused = await limiter.take('key', { perMinute: 60, burst: 2 });
      expect(refused.allowed).toBe(false);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(1_000);
    });

    test('of many who ask at once, in several processes, exactly the burst is let through', async () => {
      const limiters = [limiter, await harness.open(), await harness.open()];
      const asked = Array.from({ length: 90 }, (_, i) => limiters[i % 3]!.take('key', { perMinute: 0.01, burst: 20 }));
      expect((await Promise.all(asked)).filter(({ allowed }) => allowed)).toHaveLength(20);
      for (const other of limiters.slice(1)) await other.close();
    });

    test('a limit that lets nothing through, or a cost that can never be paid, is refused', async () => {
      const bad = { kind: 'terminal', code: 'bad_rate_limit' };
      await expect(limiter.take('key', { perMinute: 0, burst: 1 })).rejects.toMatchObject(bad);
      await expect(limiter.take('key', { perMinute: 1, burst: 0.5 })).rejects.toMatchObject(bad);
      await expect(limiter.take('key', { perMinute: Number.NaN, burst: 1 })).rejects.toMatchObject(bad);
      await expect(limiter.take('key', SLOW, 6)).rejects.toMatchObject(bad);
      await expect(limiter.take('key', SLOW, -1)).rejects.toMatchObject(bad);
    });

    test('a closed limiter refuses work', async () => {
      await limiter.close();
      await limiter.close();
      await expect(limiter.take('key', SLOW)).rejects.toMatchObject({ kind: 'fatal', code: 'log_closed' });
    });

    test('random takes are decided as by the memory limiter', async () => {
      let run = 0;
      const takes = fc.array(
        fc.record({ key: fc.constantFrom('a', 'b'), burst: fc.integer({ min: 1, max: 9 }), cost: fc.nat({ max: 9 }) }),
        {
          maxLength: 20,
        },
      );
      await fc.assert(
        fc.asyncProperty(takes, async (asked) => {
          run++;
          const model = openMemoryRateLimiter();
          for (const { key, burst, cost } of asked) {
            const limit = { perMinute: 0.001, burst };
            const [expected, got] = await Promise.all([
              model.take(key, limit, Math.min(cost, burst)),
              limiter.take(`${run}/${key}`, limit, Math.min(cost, burst)),
            ]);
            expect({ ...got, retryAfterMs: Math.round(got.retryAfterMs / 60_000) }).toEqual({
              ...expected,
              retryAfterMs: Math.round(expected.retryAfterMs / 60_000),
            });
          }
        }),
        { numRuns: 40 },
      );
    });
  });
};
