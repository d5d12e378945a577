// A clock that stands still until a test turns it.
import type { Clock } from '../clock.js';

export interface ManualClock extends Clock {
  /** Moves on by `ms`, firing what falls due in order. */
  advance(ms: number): void;
  /** Timers that are set. */
  pending(): number;
}

export const manualClock = (start = 0): ManualClock => {
  let now = start;
  const timers = new Set<{ at: number; fire: () => void }>();
  const dueBy = (end: number) => [...timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
  return {
    now: () => now,
    after: (ms, fire) => {
      const timer = { at: now + ms, fire };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    advance: (ms) => {
      const end = now + ms;
      for (let timer = dueBy(end); timer; timer = dueBy(end)) {
        now = timer.at;
        timers.delete(timer);
        timer.fire();
      }
      now = end;
    },
    pending: () => timers.size,
  };
};
