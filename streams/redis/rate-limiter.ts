// The rate limiter of all processes that share a Redis: the rule of `../rate-limiter.ts` as a script, on the clock of Redis.
//
// A key is one string, the time at which it is full again; Redis forgets it by then, when it would be full anyway.
import { checkRateLimit, RATE_EPSILON_MS, type RateDecision, type RateLimiter } from '../rate-limiter.js';
import { connectRedis, DEFAULT_PREFIX, type RedisOptions, script } from './connection.js';

/** Keys: the key. Arguments: milliseconds a unit, burst, cost, epsilon. Answers allowed (1 or 0), remaining, milliseconds to wait. */
const TAKE = script(`
local unit, burst, cost, epsilon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local empty = burst * unit
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
local before = math.min(math.max(full - now, 0), empty)
local wanted = before + cost * unit
local remaining = function(after) return math.max(0, math.floor((empty - after + epsilon) / unit)) end
if wanted > empty + epsilon then return {0, remaining(before), math.max(1, math.ceil(wanted - empty))} end
if cost > 0 then redis.call('SET', KEYS[1], string.format('%.3f', now + wanted), 'PX', math.max(1, math.ceil(wanted))) end
return {1, remaining(wanted), 0}
`);

/**
 * Opens the limiter; also while Redis is away, as it is looked for from then on.
 * @throws Fault fatal `bad_redis_url`.
 */
export const openRedisRateLimiter = async ({ url, prefix = DEFAULT_PREFIX }: RedisOptions): Promise<RateLimiter> => {
  const connection = await connectRedis({ url, what: 'the rate limiter', code: 'limits_unavailable' });
  return {
    take: async (key, limit, cost = 1): Promise<RateDecision> => {
      checkRateLimit(limit, cost);
      const args = [60_000 / limit.perMinute, limit.burst, cost, RATE_EPSILON_MS];
      const [allowed, remaining, retryAfterMs] = (await connection.run(TAKE, [`${prefix}limit:${key}`], args)) as [number, number, number];
      return { allowed: allowed === 1, remaining, retryAfterMs };
    },
    close: () => connection.close(),
  };
};
