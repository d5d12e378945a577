import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { openSlots } from './slots.js';
import { manualClock } from './testing/manual-clock.js';

const open = (limits: Partial<Parameters<typeof openSlots>[0]> = {}) => {
  const clock = manualClock();
  return { clock, slots: openSlots({ concurrency: 1, queue: 2, longest_wait_ms: 1_000, ...limits }, clock) };
};
const { signal } = new AbortController();

describe('slots', () => {
  it('are given in the order of asking, and nobody overtakes', async () => {
    const { slots, clock } = open();
    const order: string[] = [];
    expect(slots.tryTake()).toBe(true);
    const first = slots.take(signal).then((got) => order.push(`first ${got}`));
    const second = slots.take(signal).then((got) => order.push(`second ${got}`));
    expect(slots).toMatchObject({ running: 1, queued: 2, full: true });
    slots.give();
    expect(slots.tryTake()).toBe(false);
    await first;
    slots.give();
    await second;
    expect(order).toEqual(['first true', 'second true']);
    slots.give();
    expect(slots).toMatchObject({ running: 0, queued: 0 });
    expect(clock.pending()).toBe(0);
  });

  it('send away who comes to a full queue, and who waited too long', async () => {
    const { slots, clock } = open({ queue: 1 });
    slots.tryTake();
    const waiting = slots.take(signal);
    expect(await slots.take(signal)).toBe(false);
    clock.advance(1_000);
    expect(await waiting).toBe(false);
    expect(slots).toMatchObject({ running: 1, queued: 0 });
  });

  it('let a waiter go at an abort, who then holds nothing and leaves nothing', async () => {
    const { slots, clock } = open();
    slots.tryTake();
    const abort = new AbortController();
    const waiting = slots.take(abort.signal);
    const next = slots.take(signal);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    slots.give();
    expect(await next).toBe(true);
    slots.give();
    expect(slots.running).toBe(0);
    expect(clock.pending()).toBe(0);
  });

  it('send all waiters away when they close', async () => {
    const { slots } = open();
    slots.tryTake();
    const waiting = [slots.take(signal), slots.take(signal)];
    slots.close();
    expect(await Promise.all(waiting)).toEqual([false, false]);
  });
});
