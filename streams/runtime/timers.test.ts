import { describe, expect, it } from 'vitest';
import { systemTimers } from './timers.js';

describe('system timers', () => {
  it('wait as long as they are told to', async () => {
    const begin = performance.now();
    await systemTimers.delay(20, new AbortController().signal);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(18);
  });

  it('end a wait at once when it is aborted, and do not begin one that already is', async () => {
    const abort = new AbortController();
    const wait = systemTimers.delay(3_600_000, abort.signal);
    abort.abort();
    await wait;
    await systemTimers.delay(3_600_000, abort.signal);
    expect(abort.signal.aborted).toBe(true);
  });
});
