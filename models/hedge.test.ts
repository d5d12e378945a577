import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { BEATEN, type Run, race } from './hedge.js';
import { manualClock } from './testing/manual-clock.js';

/** A run that a test leads. */
const led = () => {
  let sign!: () => void;
  let signal!: AbortSignal;
  let resolve!: (value: string) => void;
  let reject!: (error: unknown) => void;
  const started = vi.fn();
  const run: Run<string> = (own, signs) => {
    [signal, sign] = [own, signs];
    started();
    return new Promise((res, rej) => {
      [resolve, reject] = [res, rej];
      own.addEventListener('abort', () => rej(own.reason), { once: true });
    });
  };
  return {
    run,
    started,
    sign: () => sign(),
    end: (value: string) => resolve(value),
    fail: (error: unknown) => reject(error),
    reason: () => signal.reason as unknown,
  };
};
const open = () => {
  const clock = manualClock();
  const abort = new AbortController();
  const [a, b] = [led(), led()];
  const raced = race({ first: a.run, second: () => b.run, afterMs: 100 }, abort.signal, clock);
  raced.catch(() => {});
  const left = () => [clock.pending(), getEventListeners(abort.signal, 'abort').length];
  return { clock, abort, a, b, raced, left };
};

describe('a second run beside a slow one', () => {
  it('does not begin where the first gives a sign in time', async () => {
    const { clock, a, b, raced, left } = open();
    clock.advance(99);
    a.sign();
    clock.advance(1_000);
    expect(b.started).not.toHaveBeenCalled();
    a.end('a');
    expect(await raced).toBe('a');
    expect(left()).toEqual([0, 0]);
  });

  it('wins with the first sign, and the other is ended', async () => {
    const { clock, a, b, raced, left } = open();
    clock.advance(100);
    b.sign();
    expect(a.reason()).toBe(BEATEN);
    b.end('b');
    expect(await raced).toBe('b');
    expect(left()).toEqual([0, 0]);
  });

  it('is ended when the first one signs after all', async () => {
    const { clock, a, b, raced } = open();
    clock.advance(100);
    a.sign();
    expect(b.reason()).toBe(BEATEN);
    b.sign();
    a.end('a');
    expect(await raced).toBe('a');
  });

  it('is what counts when the first fails, and the first error counts when both do', async () => {
    const one = open();
    one.clock.advance(100);
    one.a.fail(new Error('first'));
    one.b.end('b');
    expect(await one.raced).toBe('b');
    const two = open();
    two.clock.advance(100);
    two.b.fail(new Error('second'));
    two.a.fail(new Error('first'));
    await expect(two.raced).rejects.toThrow('first');
    expect(two.left()).toEqual([0, 0]);
  });

  it('does not begin where the first has failed', async () => {
    const { clock, a, b, raced, left } = open();
    a.fail(new Error('first'));
    await expect(raced).rejects.toThrow('first');
    clock.advance(1_000);
    expect(b.started).not.toHaveBeenCalled();
    expect(left()).toEqual([0, 0]);
  });

  it('does not save a winner that fails in the middle', async () => {
    const { clock, a, b, raced } = open();
    clock.advance(100);
    b.sign();
    b.fail(new Error('half'));
    await expect(raced).rejects.toThrow('half');
    expect(a.reason()).toBe(BEATEN);
  });

  it('ends with the caller, both of them', async () => {
    const { clock, abort, a, b, raced, left } = open();
    clock.advance(100);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(raced).rejects.toBe(reason);
    expect([a.reason(), b.reason()]).toEqual([reason, reason]);
    expect(left()).toEqual([0, 0]);
  });

  it('need not be there', async () => {
    const clock = manualClock();
    const a = led();
    const raced = race({ first: a.run, second: () => undefined, afterMs: 100 }, new AbortController().signal, clock);
    clock.advance(100);
    a.end('a');
    expect(await raced).toBe('a');
  });
});
