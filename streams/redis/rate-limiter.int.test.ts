// The rate limiter on a real Redis: the contract, and what it leaves behind.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fault } from '../../schemas/index.js';
import { rateLimiterContract } from '../rate-limiter.contract.js';
import { describeWith } from '../testing/servers.js';
import { COMMAND_MS } from './connection.js';
import { openRedisRateLimiter } from './index.js';
import { type RedisServer, startRedis } from './testing/redis-server.js';

describeWith(['redis'], 'on a real Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());

  let serial = 0;
  rateLimiterContract('redis', async () => {
    const prefix = `test-${++serial}:`;
    return { open: () => openRedisRateLimiter({ url: redis.url, prefix }), dispose: async () => {} };
  });

  test('a key lives in Redis until it is full again, and no longer', async () => {
    const limiter = await openRedisRateLimiter({ url: redis.url, prefix: 'own:' });
    await limiter.take('short', { perMinute: 60_000, burst: 50 }, 50);
    await limiter.take('long', { perMinute: 60, burst: 50 }, 50);
    await limiter.take('looked-at', { perMinute: 60, burst: 50 }, 0);
    await expect.poll(() => redis.command('EXISTS', 'own:limit:short')).toBe(':0\r\n');
    expect(await redis.command('EXISTS', 'own:limit:looked-at')).toBe(':0\r\n');
    const left = Number((await redis.command('PTTL', 'own:limit:long')).slice(1));
    expect(left).toBeGreaterThan(40_000);
    expect(left).toBeLessThanOrEqual(50_000);
    await limiter.close();
  });

  test('while Redis is away a take is rejected as retryable, at once; then it works again', async () => {
    const server = await startRedis();
    const limiter = await openRedisRateLimiter({ url: server.url });
    const limit = { perMinute: 1, burst: 1 };
    await limiter.take('key', limit);
    await server.kill();
    const outcome = () =>
      limiter.take('key', limit).then(
        ({ allowed }) => allowed,
        (error: Fault) => `${error.kind} ${error.code}`,
      );
    await expect.poll(outcome).toBe('retryable limits_unavailable');
    const began = performance.now();
    expect(await outcome()).toBe('retryable limits_unavailable');
    expect(performance.now() - began).toBeLessThan(COMMAND_MS / 2);
    await server.start();
    await expect.poll(outcome, { timeout: 10_000 }).toBe(true);
    await limiter.close();
    await server.stop();
  });
});
