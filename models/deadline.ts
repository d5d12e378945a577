// One call's lifetime, ended by the caller's abort, by silence (idle) or by its total time.
//
// D1. The first end wins and says what happened: `cause()` is the caller's reason or a `model_timeout`.
// D2. `close` takes the listener off the caller's signal and stops the timers; a signal that lives for weeks gathers nothing.
import type { Clock } from './clock.js';
import { modelFault } from './faults.js';

export interface Limits {
  /** No byte for this long ends the call. */
  readonly idle_timeout_ms: number;
  /** The first byte may take this long. Default: as long as every other. */
  readonly first_timeout_ms?: number;
  /** The whole call may take this long. */
  readonly timeout_ms: number;
}

export interface Deadline {
  readonly ended: boolean;
  /** Something came: the idle time begins anew. */
  touch(): void;
  /** Why it ended; undefined while it has not. */
  cause(): unknown;
  close(): void;
}

/** @param onEnd told the reason when it ends; at once where the caller has aborted already */
export const openDeadline = (
  model: string,
  caller: AbortSignal,
  limits: Limits,
  clock: Clock,
  onEnd: (reason: unknown) => void,
): Deadline => {
  const started = clock.now();
  let touched = started;
  let idle = limits.first_timeout_ms ?? limits.idle_timeout_ms;
  let ended = false;
  let cause: unknown;
  let stopTimer: (() => void) | undefined;
  const release = (): void => {
    stopTimer?.();
    stopTimer = undefined;
    caller.removeEventListener('abort', onCaller);
  };
  const end = (reason: unknown): void => {
    release();
    if (ended) return;
    ended = true;
    cause = reason;
    onEnd(reason);
  };
  const onCaller = (): void => end(caller.reason);
  // One timer for both limits, set again only when it fires: `touch` costs an assignment.
  const check = (): void => {
    const now = clock.now();
    if (now - started >= limits.timeout_ms) end(modelFault(model, 'model_timeout', { detail: `no end after ${limits.timeout_ms} ms` }));
    else if (now - touched >= idle) end(modelFault(model, 'model_timeout', { detail: `nothing came for ${idle} ms` }));
    else arm(now);
  };
  const arm = (now: number): void => {
    const left = Math.min(started + limits.timeout_ms - now, touched + idle - now);
    stopTimer = clock.after(Math.max(1, Math.ceil(left)), check);
  };
  if (caller.aborted) end(caller.reason);
  else {
    caller.addEventListener('abort', onCaller, { once: true });
    arm(started);
  }
  return {
    get ended() {
      return ended;
    },
    touch: () => {
      touched = clock.now();
      if (idle === limits.idle_timeout_ms) return;
      idle = limits.idle_timeout_ms;
      if (stopTimer === undefined) return;
      stopTimer();
      arm(touched);
    },
    cause: () => cause,
    close: release,
  };
};
