// How much may run at once: a semaphore that several assignments of a process share (one per lane of work).
//
// S1. At most `limit` slots are taken. S2. Who waits is served in order of arrival, and nobody overtakes: a released slot
// goes straight to the first in line, so while anyone waits all are taken.
// S3. A wait that is aborted leaves the line and takes nothing.
import { Fault } from '../../schemas/index.js';

interface Waiter {
  readonly grant: () => void;
}

export class Slots {
  readonly limit: number;
  #taken = 0;
  /** Insertion order is the order of arrival. */
  readonly #waiting = new Set<Waiter>();

  /** @throws Fault `bad_option` when `limit` is not a whole number from 1 up. */
  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1)
      throw new Fault('fatal', 'bad_option', `slots must be a whole number from 1 up, not ${limit}; correct the configuration`);
    this.limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  tryAcquire(): boolean {
    if (this.#taken >= this.limit) return false;
    this.#taken++;
    return true;
  }

  /** Resolves true with a slot, or false when `signal` aborts first; never rejects. */
  acquire(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.tryAcquire()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.delete(waiter);
        resolve(false);
      };
      const waiter: Waiter = {
        grant: () => {
          signal.removeEventListener('abort', leave);
          resolve(true);
        },
      };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Gives one slot back: to the one that waits longest, if any. */
  release(): void {
    for (const first of this.#waiting) {
      this.#waiting.delete(first);
      first.grant();
      return;
    }
    this.#taken--;
  }
}
