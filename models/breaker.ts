// A circuit breaker for one model: after failures in a row nothing is asked for a while, then one call finds out. No timers: it reads the clock.
//
//   closed --threshold failures in a row--> open --cool-down over, one call begins--> half open --ok--> closed
//                                            ^------------------ failed, twice as long ----'
//
// B1. Half open, at most one call runs. B2. What began before the state changed says nothing about the state after it.
// B3. A model that asked to wait (429) is left alone until then, whatever its state.
// B4. A cool-down is never shorter than said, and up to JITTER of it longer: processes that saw the same failure do not come back in one moment.
import type { Clock } from './clock.js';

export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly threshold: number;
  /** First cool-down; doubled each time the probing call fails. */
  readonly cool_down_ms: number;
  readonly longest_cool_down_ms: number;
}

export const BREAKER_LIMITS: BreakerLimits = { threshold: 3, cool_down_ms: 2_000, longest_cool_down_ms: 60_000 };

/** So much longer, at most, are waits that several processes may have begun at the same moment. */
export const JITTER = 0.25;

/** Proof that a call may be made; given back with its outcome. */
export type Pass = number;
/** `ok`: the model answered, if only to refuse. `left`: the caller went away, so nothing is known. */
export type Outcome = 'ok' | 'failed' | 'left';

export interface Breaker {
  readonly state: 'closed' | 'open' | 'half_open';
  admits(): boolean;
  /** @returns undefined where the call must not be made. */
  begin(): Pass | undefined;
  settle(pass: Pass, outcome: Outcome): void;
  /** It asked to be left alone for `ms`. */
  hold(ms: number): void;
  readonly held: boolean;
  /** Milliseconds until it may admit a call; 0 when it does, or when only the outcome of the probing call is awaited. */
  readyInMs(): number;
  /** Known to be well again from elsewhere. */
  reset(): void;
}

/** @param random in [0, 1) */
export const openBreaker = (
  clock: Pick<Clock, 'now'>,
  limits: BreakerLimits = BREAKER_LIMITS,
  random: () => number = Math.random,
): Breaker => {
  let state: Breaker['state'] = 'closed';
  let epoch = 0;
  let failures = 0;
  let openUntil = 0;
  let heldUntil = Number.NEGATIVE_INFINITY;
  let coolDown = limits.cool_down_ms;

  const become = (next: Breaker['state']): void => {
    state = next;
    epoch += 1;
  };
  const close = (): void => {
    if (state !== 'closed') become('closed');
    failures = 0;
    coolDown = limits.cool_down_ms;
  };
  const open = (): void => {
    openUntil = clock.now() + coolDown * (1 + JITTER * random());
    coolDown = Math.min(coolDown * 2, limits.longest_cool_down_ms);
    become('open');
  };
  const admits = (): boolean => {
    if (state === 'closed' && heldUntil === Number.NEGATIVE_INFINITY) return true;
    const now = clock.now();
    return now >= heldUntil && (state === 'closed' || (state === 'open' && now >= openUntil));
  };

  return {
    get state() {
      return state;
    },
    get held() {
      return clock.now() < heldUntil;
    },
    admits,
    begin: () => {
      if (!admits()) return undefined;
      if (state === 'open') become('half_open');
      return epoch;
    },
    settle: (pass, outcome) => {
      if (pass !== epoch) return;
      if (outcome === 'ok') close();
      else if (outcome === 'failed') {
        failures += 1;
        if (state === 'half_open' || failures >= limits.threshold) open();
      } else if (state === 'half_open') become('open');
    },
    hold: (ms) => {
      heldUntil = Math.max(heldUntil, clock.now() + ms);
    },
    readyInMs: () => {
      const now = clock.now();
      return Math.max(0, heldUntil - now, state === 'open' ? openUntil - now : 0);
    },
    reset: close,
  };
};
