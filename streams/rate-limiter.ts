// Rate limits: the port, and the rule that its adapters share.
//
// G1. A key may spend `burst` at once, and gets `perMinute` back each minute, evenly (GCRA: one number a key, the time at which it would be full
// again). G2. What is refused costs nothing. G3. A limit must not stop work: where the limiter cannot be asked, `take` rejects with a retryable
// Fault, and whoever asked lets the request through. G4. Takes of one key are decided one after another, in whatever process they are asked.
import { Fault } from '../schemas/index.js';

export interface RateLimit {
  /** What comes back each minute; above 0. */
  readonly perMinute: number;
  /** What can be spent at once; 1 or more. */
  readonly burst: number;
}

export interface RateDecision {
  readonly allowed: boolean;
  /** What could be spent now, after this; whole units. */
  readonly remaining: number;
  /** 0 when allowed; otherwise after so many milliseconds the same take is allowed, unless others take before. */
  readonly retryAfterMs: number;
}

export interface RateLimiter {
  /**
   * Spends `cost` (default 1; 0 only looks) of the key's allowance, or nothing.
   * @throws Fault terminal `bad_rate_limit` when it could never be allowed; retryable `limits_unavailable` when the limiter cannot be asked: let
   * the request through then (G3); fatal `log_closed`.
   */
  take(key: string, limit: RateLimit, cost?: number): Promise<RateDecision>;
  close(): Promise<void>;
}

/** @throws Fault terminal `bad_rate_limit`. */
export const checkRateLimit = ({ perMinute, burst }: RateLimit, cost: number): void => {
  const why =
    !(perMinute > 0 && Number.isFinite(perMinute)) || !(burst >= 1 && Number.isFinite(burst))
      ? `a limit of ${perMinute} a minute with a burst of ${burst} lets nothing through; perMinute must be above 0 and burst at least 1`
      : !(cost >= 0 && cost <= burst)
        ? `a cost of ${cost} can never be paid within a burst of ${burst}; raise the burst or ask for less`
        : undefined;
  if (why !== undefined) throw new Fault('terminal', 'bad_rate_limit', why);
};

/** Sums of milliseconds are not exact; less than this is nothing. */
export const RATE_EPSILON_MS = 0.001;

/**
 * The rule (G1). `fullAt` is when the key is full again, milliseconds on the clock of `now`; anything below `now` is full.
 * Only what is spent changes it (G2). A `fullAt` that is further away than an empty key's counts as empty: the limit was lowered, or the clock set back.
 */
export const decideRate = (
  fullAt: number,
  now: number,
  { perMinute, burst }: RateLimit,
  cost: number,
): RateDecision & { readonly fullAt: number } => {
  const unitMs = 60_000 / perMinute;
  const emptyMs = burst * unitMs;
  const before = Math.min(Math.max(fullAt - now, 0), emptyMs);
  const wanted = before + cost * unitMs;
  const allowed = wanted <= emptyMs + RATE_EPSILON_MS;
  const after = allowed ? wanted : before;
  return {
    allowed,
    remaining: Math.max(0, Math.floor((emptyMs - after + RATE_EPSILON_MS) / unitMs)),
    retryAfterMs: allowed ? 0 : Math.max(1, Math.ceil(wanted - emptyMs)),
    fullAt: allowed && cost > 0 ? now + after : fullAt,
  };
};
