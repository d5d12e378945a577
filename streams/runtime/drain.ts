// Ending in bounded time: what runs may finish, then it is told to stop, then it is left alone.
import type { Timers } from './timers.js';

/** How long aborted work may take to unwind, in milliseconds; after that the partition is given up without it. */
export const ABORT_GRACE_MS = 1_000;

/** Waits for `done`, at most `ms` milliseconds or until `signal` aborts. True when it is done. `done` must not reject. */
export const within = async (done: Promise<void>, ms: number, timers: Timers, signal: AbortSignal): Promise<boolean> => {
  const over = new AbortController();
  const stop = (): void => over.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([done.then(() => true), timers.delay(ms, over.signal).then(() => false)]);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
};

export interface Draining {
  /** Resolves when nothing runs any more. */
  readonly idle: () => Promise<void>;
  /** Tells what still runs to stop. */
  readonly abort: () => void;
  readonly drainMs: number;
  readonly timers: Timers;
  /** Ends the waiting at once. */
  readonly signal: AbortSignal;
}

/** Ends what runs, within `drainMs` + ABORT_GRACE_MS. */
export const drain = async ({ idle, abort, drainMs, timers, signal }: Draining): Promise<void> => {
  if (await within(idle(), drainMs, timers, signal)) return;
  abort();
  await within(idle(), ABORT_GRACE_MS, timers, signal);
};
