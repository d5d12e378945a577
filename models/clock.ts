// Time as the models room sees it: injected, so that tests turn it by hand. Milliseconds everywhere.

export interface Clock {
  /** Milliseconds from any fixed point; never falls, has fractions. */
  now(): number;
  /** Runs `fire` once after `ms`; the returned function calls it off. A `background` one does not keep the process alive. */
  after(ms: number, fire: () => void, background?: boolean): () => void;
}

/** The longest time one `setTimeout` can wait; longer waits are cut to it. */
const LONGEST_TIMER_MS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, fire, background = false) => {
    const timer = setTimeout(fire, Math.min(ms, LONGEST_TIMER_MS));
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. Leaves no listener behind. */
export const wait = (ms: number, signal: AbortSignal, clock: Clock): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
