// How many calls of one model run at a time, and who waits for a slot: first come, first served.
//
// W1. Never more than `concurrency` hold a slot. W2. The queue has a length and a longest wait. W3. Who leaves (abort) leaves nothing behind.
import type { Clock } from './clock.js';

export interface SlotLimits {
  readonly concurrency: number;
  /** Waiters at most. */
  readonly queue: number;
  readonly longest_wait_ms: number;
}

export interface Slots {
  readonly running: number;
  readonly queued: number;
  readonly full: boolean;
  /** Takes a slot at once if one is free and nobody waits. */
  tryTake(): boolean;
  /**
   * Waits for a slot.
   * @returns false when the queue is full, or the longest wait is over.
   * @throws the signal's reason when aborted; then no slot is held.
   */
  take(signal: AbortSignal): Promise<boolean>;
  give(): void;
  /** Sends all waiters away. */
  close(): void;
}

export const openSlots = (limits: SlotLimits, clock: Clock): Slots => {
  let running = 0;
  // In the order of insertion; deletion costs the same wherever it stands.
  const waiters = new Set<(got: boolean) => void>();
  const tryTake = (): boolean => {
    if (running >= limits.concurrency || waiters.size > 0) return false;
    running += 1;
    return true;
  };
  return {
    get running() {
      return running;
    },
    get queued() {
      return waiters.size;
    },
    get full() {
      return running >= limits.concurrency && waiters.size >= limits.queue;
    },
    tryTake,
    take: async (signal) => {
      signal.throwIfAborted();
      if (tryTake()) return true;
      if (waiters.size >= limits.queue) return false;
      return new Promise<boolean>((resolve, reject) => {
        const leave = (): void => {
          waiters.delete(served);
          signal.removeEventListener('abort', onAbort);
          stopTimer();
        };
        const served = (got: boolean): void => {
          leave();
          resolve(got);
        };
        const onAbort = (): void => {
          leave();
          reject(signal.reason);
        };
        const stopTimer = clock.after(limits.longest_wait_ms, () => served(false));
        signal.addEventListener('abort', onAbort, { once: true });
        waiters.add(served);
      });
    },
    // The slot passes to the next waiter without being free in between, so nobody overtakes.
    give: () => {
      const [next] = waiters;
      if (next === undefined) running -= 1;
      else next(true);
    },
    close: () => {
      for (const served of [...waiters]) served(false);
    },
  };
};
