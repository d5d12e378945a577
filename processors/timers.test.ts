import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clearTimer, dueTimers, newTimers, nextTimer, setTimer, TIMER_RESOLUTION_MS } from './timers.js';

describe('timers', () => {
  it('a timer is never due early and at most one resolution late', () => {
    const timers = newTimers();
    setTimer(timers, 'a', 1_003);
    expect(dueTimers(timers, 1_002)).toEqual([]);
    expect(dueTimers(timers, 1_003 + TIMER_RESOLUTION_MS)).toEqual(['a']);
  });

  it('agrees with a plain map under any sequence of sets, moves and clears', () => {
    const step = fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e'), at: fc.option(fc.integer({ min: 0, max: 500 })) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 600 }), (steps, now) => {
        const timers = newTimers();
        const model = new Map<string, number>();
        for (const { id, at } of steps) {
          if (at === null) {
            clearTimer(timers, id);
            model.delete(id);
          } else {
            setTimer(timers, id, at);
            model.set(id, Math.ceil(at / TIMER_RESOLUTION_MS) * TIMER_RESOLUTION_MS);
          }
          expect(nextTimer(timers)).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
        }
        const due = [...model].filter(([, at]) => at <= now).map(([id]) => id);
        expect([...dueTimers(timers, now)].sort()).toEqual(due.sort());
      }),
    );
  });
});
