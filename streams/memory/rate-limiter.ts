// The rate limiter of one process.
//
// At most `maxKeys` are remembered; a key that is forgotten is full again, so the one that was used longest ago goes first.
import { Fault } from '../../schemas/index.js';
import { checkRateLimit, decideRate, type RateLimiter } from '../rate-limiter.js';

/** Keys remembered unless another number is asked for. */
const MAX_KEYS = 10_000;

export interface MemoryRateLimiterOptions {
  /** Milliseconds, never backwards; default: the process's monotonic clock. */
  readonly now?: () => number;
  readonly maxKeys?: number;
}

export const openMemoryRateLimiter = ({
  now = () => performance.now(),
  maxKeys = MAX_KEYS,
}: MemoryRateLimiterOptions = {}): RateLimiter => {
  /** Key -> when it is full again; last used last. */
  const fullAt = new Map<string, number>();
  let closed = false;
  return {
    take: async (key, limit, cost = 1) => {
      if (closed) throw new Fault('fatal', 'log_closed', 'the rate limiter is closed; open it again before using it');
      checkRateLimit(limit, cost);
      const { fullAt: next, ...decision } = decideRate(fullAt.get(key) ?? 0, now(), limit, cost);
      fullAt.delete(key);
      fullAt.set(key, next);
      if (fullAt.size > maxKeys) fullAt.delete(fullAt.keys().next().value!);
      return decision;
    },
    close: async () => {
      closed = true;
      fullAt.clear();
    },
  };
};
