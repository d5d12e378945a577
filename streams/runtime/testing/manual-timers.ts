// A clock that stands still until a test moves it.
import type { Timers } from '../timers.js';

/** Turns of the event loop between two moves of the clock, so that commits (one turn each) come first. */
const TURNS = 3;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class ManualTimers implements Timers {
  #now: number;
  #waits: { readonly at: number; readonly end: () => void }[] = [];

  constructor(now = Date.parse('2026-11-21T00:00:00Z')) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** Waits that have not ended. */
  get waiting(): number {
    return this.#waits.length;
  }

  delay(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = (): void => {
        this.#waits = this.#waits.filter((other) => other !== wait);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const wait = { at: this.#now + ms, end };
      this.#waits.push(wait);
      signal.addEventListener('abort', end, { once: true });
    });
  }

  /** Moves the clock by `ms`, ending waits in order of their time. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await this.turns();
      const next = this.#earliest();
      if (next === undefined || next.at > until) break;
      this.#now = next.at;
      next.end();
    }
    this.#now = until;
    await this.turns();
  }

  /** Moves the clock from one wait to the next until `promise` settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    for (;;) {
      await this.turns();
      if (settled) return promise;
      const next = this.#earliest();
      if (next === undefined) continue;
      this.#now = Math.max(this.#now, next.at);
      next.end();
    }
  }

  /** Lets everything run that needs no time. */
  async turns(): Promise<void> {
    for (let i = 0; i < TURNS; i++) await turn();
  }

  #earliest(): { readonly at: number; readonly end: () => void } | undefined {
    let first = this.#waits[0];
    for (const wait of this.#waits) if (first === undefined || wait.at < first.at) first = wait;
    return first;
  }
}
