import { describe, expect, it } from 'vitest';
import { openThrottle } from './throttle.js';

const never = new AbortController().signal;
const timed = async (act: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await act();
  return performance.now() - began;
};

describe('the bandwidth cap', () => {
  it('lets bytes through at its rate, whoever sends them', async () => {
    const throttle = openThrottle(100_000);
    const ms = await timed(() => Promise.all(Array.from({ length: 5 }, () => throttle.take(10_000, true, never))));
    // The first goes at once, the others a tenth of a second apart.
    expect(ms).toBeGreaterThan(380);
  });

  it('of 0 is none', async () => {
    expect(await timed(() => openThrottle(0).take(1e12, false, never))).toBeLessThan(100);
  });

  it('lets what is urgent go first', async () => {
    const throttle = openThrottle(100_000);
    const order: string[] = [];
    await throttle.take(10_000, true, never);
    await Promise.all(
      ['late', 'urgent', 'urgent', 'urgent'].map((kind) => throttle.take(5_000, kind === 'urgent', never).then(() => order.push(kind))),
    );
    expect(order).toEqual(['urgent', 'urgent', 'urgent', 'late']);
  });

  it('does not count what was given up while it waited (T1)', async () => {
    const throttle = openThrottle(100_000);
    await throttle.take(10_000, true, never);
    for (let i = 0; i < 50; i++) {
      const stop = new AbortController();
      const waiting = throttle.take(1_000_000, i % 2 === 0, stop.signal);
      stop.abort();
      await waiting;
    }
    expect(await timed(() => throttle.take(10, true, never))).toBeLessThan(1_000);
  });
});
