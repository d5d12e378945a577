// How fast a project may submit (gateway.rate_limit of servers.yaml), over all gateways that share a limiter.
//
// A1. What was submitted before under the same Idempotency-Key costs nothing; whatever else fits its schema costs one, also when it is refused afterwards.
// A2. A limit must not stop work: where the limiter cannot be asked, everything goes through, and that is told once an outage.
import { Fault, isFault, type Servers } from '../schemas/index.js';
import type { RateLimit, RateLimiter } from '../streams/index.js';
import type { GatewayDeps } from './deps.js';
import { openOutage } from './outage.js';

export interface RateGate {
  /** Undefined where there is no limit. */
  readonly limit: RateLimit | undefined;
  /** Spends `cost` tasks of the project's allowance. @throws Fault retryable `rate_limited`; then nothing was spent. */
  take(projectId: string, cost: number): Promise<void>;
}

const limitOf = ({ per_minute, burst = per_minute }: Servers['gateway']['rate_limit']): RateLimit | undefined =>
  per_minute === 0 ? undefined : { perMinute: per_minute, burst };

const rateLimited = (projectId: string, cost: number, { perMinute, burst }: RateLimit, retryAfterMs: number): Fault =>
  new Fault(
    'retryable',
    'rate_limited',
    `project "${projectId}" may submit ${perMinute} tasks a minute, ${burst} at once (gateway.rate_limit of servers.yaml); ${cost === 1 ? 'the next one' : `${cost} at once`} can be taken in ${Math.max(1, Math.ceil(retryAfterMs / 1000))} s`,
    { retryAfterMs },
  );

export const createRateGate = ({ config, limiter, logger }: Pick<GatewayDeps, 'config' | 'limiter' | 'logger'>): RateGate => {
  const limit = limitOf(config.gateway.rate_limit);
  if (limit === undefined) return { limit, take: async () => undefined };
  const outage = openOutage(logger, 'rate limiter', 'submissions are not limited until it does');
  const decide = async (projectId: string, cost: number) => {
    let decision: Awaited<ReturnType<RateLimiter['take']>>;
    try {
      decision = await limiter.take(`submit/${projectId}`, limit, cost);
    } catch (error) {
      if (!isFault(error, 'retryable')) throw error;
      outage.failed(error);
      return;
    }
    outage.worked();
    if (!decision.allowed) throw rateLimited(projectId, cost, limit, decision.retryAfterMs);
  };
  return { limit, take: decide };
};
