import { expect, it, vi } from 'vitest';
import { GIVE_WAY_MS, giveWay, openLoad, WINDOW_MS } from './load.js';

const process = { now: 0, active: 0 };
const load = openLoad({ now: () => process.now, active: () => process.active });
/** A window in which the process was at work for `active` of a second's thousand, `ours` of it on rows. */
const window = (active: number, ours: number): number => {
  process.now += 1_000;
  process.active += active;
  load.ours(ours);
  return load.others();
};

it('what is not ours is the share of others; a process that only makes rows, or waits, is not busy', () => {
  expect(window(900, 0)).toBeCloseTo(0.9);
  expect(window(900, 700)).toBeCloseTo(0.2);
  expect(window(0, 0)).toBe(0);
});

it('is told for a window at a time', () => {
  expect(window(500, 0)).toBeCloseTo(0.5);
  process.now += WINDOW_MS - 1;
  process.active += WINDOW_MS - 1;
  expect(load.others()).toBeCloseTo(0.5);
  process.now += 1;
  process.active += 1;
  expect(load.others()).toBeCloseTo(1);
});

it('who gives way goes on when there is less to do, or at the end of the time for it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  try {
    const waitedFor = async (isBusyAfter?: (ms: number) => boolean): Promise<number> => {
      const began = Date.now();
      const busy = isBusyAfter && { ours: () => {}, others: () => (isBusyAfter(Date.now() - began) ? 0.9 : 0.1) };
      const waiting = giveWay(busy, new AbortController().signal).then(() => Date.now() - began);
      await vi.runAllTimersAsync();
      return waiting;
    };
    expect(await waitedFor(() => false)).toBe(0);
    expect(await waitedFor((ms) => ms < 3 * WINDOW_MS)).toBe(3 * WINDOW_MS);
    expect(await waitedFor(() => true)).toBe(GIVE_WAY_MS);
    expect(await waitedFor(undefined)).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});
