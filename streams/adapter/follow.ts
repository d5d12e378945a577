// Following a partition: fetch what is there, wait for more, until somebody says stop.
//
// F1. Reads ahead by nothing: the next batch is fetched when it is asked for. F2. A wake-up is never lost: the fetch that found nothing and
// the registration for the next ring happen in one synchronous step. F3. A long catch-up lets timers and sockets run in between.
import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import type { Recorded } from '../log.js';
import { DEFAULT_MAX_BATCH } from './limits.js';

/** How long a reader that is behind may keep the event loop to itself, in milliseconds. */
const LOOP_SHARE_MS = 4;

/** Tells everybody who waits that something changed. */
export class Bell {
  #listeners = new Set<() => void>();

  /** Calls `listener` at each ring until the returned function is called. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ring(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

export interface Tail {
  /** At most `limit` records from `from` on, in order; empty at the end. Synchronous (F2). */
  fetch(from: number, limit: number): readonly Recorded[];
  readonly bell: Bell;
}

export interface FollowOptions {
  readonly until?: number | undefined;
  readonly maxBatch?: number | undefined;
  /** Any of them ends it. */
  readonly signals: readonly AbortSignal[];
}

/** Batches from `from` on; ends before `until`, or when one of the signals aborts. */
export async function* follow(tail: Tail, from: number, options: FollowOptions): AsyncGenerator<readonly Recorded[], void, undefined> {
  const { until = Number.POSITIVE_INFINITY, maxBatch = DEFAULT_MAX_BATCH, signals } = options;
  const stopped = () => signals.some((signal) => signal.aborted);
  let wake = () => {};
  const woken = () => wake();
  const deaf = tail.bell.listen(woken);
  // Any number of readers may share a signal; each takes its listener away when it ends.
  setMaxListeners(0, ...signals);
  for (const signal of signals) signal.addEventListener('abort', woken);
  try {
    let next = from;
    let turnBegan = performance.now();
    while (next < until && !stopped()) {
      const batch = tail.fetch(next, Math.min(maxBatch, until - next));
      const last = batch.at(-1);
      if (last === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        turnBegan = performance.now();
        continue;
      }
      if (performance.now() - turnBegan > LOOP_SHARE_MS) {
        await setImmediate();
        turnBegan = performance.now();
        if (stopped()) return;
      }
      next = last.offset + 1;
      yield batch;
    }
  } finally {
    deaf();
    for (const signal of signals) signal.removeEventListener('abort', woken);
  }
}
