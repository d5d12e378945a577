import { describe, expect, it } from 'vitest';
import { ABORT_GRACE_MS, drain, within } from './drain.js';
import { ManualTimers } from './testing/manual-timers.js';

const open = new AbortController().signal;
const never = new Promise<void>(() => undefined);

describe('drain', () => {
  it('returns as soon as nothing runs, without aborting', async () => {
    const timers = new ManualTimers();
    const begin = timers.now();
    let aborted = false;
    const abort = (): void => {
      aborted = true;
    };
    await timers.until(drain({ idle: () => timers.delay(30, open), abort, drainMs: 100, timers, signal: open }));
    expect([timers.now() - begin, aborted]).toEqual([30, false]);
  });

  it('aborts after drainMs and gives up after the grace', async () => {
    const timers = new ManualTimers();
    const begin = timers.now();
    const aborts: number[] = [];
    await timers.until(drain({ idle: () => never, abort: () => aborts.push(timers.now() - begin), drainMs: 100, timers, signal: open }));
    expect([aborts, timers.now() - begin]).toEqual([[100], 100 + ABORT_GRACE_MS]);
  });

  it('leaves no timer behind, however it ends', async () => {
    const timers = new ManualTimers();
    const halt = new AbortController();
    expect(await within(Promise.resolve(), 100, timers, open)).toBe(true);
    const halted = within(never, 100, timers, halt.signal);
    halt.abort();
    expect(await halted).toBe(false);
    expect(await within(never, 100, timers, halt.signal)).toBe(false);
    expect(timers.waiting).toBe(0);
  });
});
