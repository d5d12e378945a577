import { describe, expect, it } from 'vitest';
import { Slots } from './slots.js';

const never = new AbortController().signal;

describe('slots', () => {
  it('are never more than the limit, and go to who waits longest', async () => {
    const slots = new Slots(2);
    expect([slots.tryAcquire(), slots.tryAcquire(), slots.tryAcquire()]).toEqual([true, true, false]);
    const order: string[] = [];
    const waits = ['a', 'b'].map(async (name) => {
      expect(await slots.acquire(never)).toBe(true);
      order.push(name);
    });
    slots.release();
    expect(slots.tryAcquire()).toBe(false);
    slots.release();
    await Promise.all(waits);
    expect(order).toEqual(['a', 'b']);
    expect([slots.taken, slots.waiting]).toEqual([2, 0]);
  });

  it('are not taken by a wait that was aborted', async () => {
    const slots = new Slots(1);
    slots.tryAcquire();
    const abort = new AbortController();
    const gone = slots.acquire(abort.signal);
    const next = slots.acquire(never);
    abort.abort();
    expect(await gone).toBe(false);
    slots.release();
    expect(await next).toBe(true);
    slots.release();
    expect(slots.taken).toBe(0);
    expect(await slots.acquire(abort.signal)).toBe(false);
  });

  it('must be a whole number from 1 up', () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) expect(() => new Slots(limit)).toThrow(expect.objectContaining({ code: 'bad_option' }));
  });
});
