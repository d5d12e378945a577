import { expect, test } from 'vitest';
import { rateLimiterContract } from '../rate-limiter.contract.js';
import { openMemoryRateLimiter } from './index.js';

rateLimiterContract('memory', async () => {
  const shared = openMemoryRateLimiter();
  return { open: async () => shared, dispose: () => shared.close() };
});

test('a minute gives back exactly what it should, whole or in parts', async () => {
  let now = 0;
  const limiter = openMemoryRateLimiter({ now: () => now });
  const limit = { perMinute: 60, burst: 10 };
  await limiter.take('key', limit, 10);
  expect(await limiter.take('key', limit)).toEqual({ allowed: false, remaining: 0, retryAfterMs: 1_000 });
  now = 999;
  expect(await limiter.take('key', limit)).toEqual({ allowed: false, remaining: 0, retryAfterMs: 1 });
  now = 1_000;
  expect(await limiter.take('key', limit)).toEqual({ allowed: true, remaining: 0, retryAfterMs: 0 });
  now = 4_500;
  expect(await limiter.take('key', limit, 0)).toEqual({ allowed: true, remaining: 3, retryAfterMs: 0 });
  now = 60_000;
  expect(await limiter.take('key', limit, 0)).toEqual({ allowed: true, remaining: 10, retryAfterMs: 0 });
});

test('keys that are forgotten are those that were used longest ago', async () => {
  const limiter = openMemoryRateLimiter({ now: () => 1, maxKeys: 2 });
  const limit = { perMinute: 1, burst: 1 };
  await limiter.take('one', limit);
  await limiter.take('two', limit);
  expect(await limiter.take('one', limit)).toMatchObject({ allowed: false });
  await limiter.take('three', limit);
  expect(await limiter.take('one', limit)).toMatchObject({ allowed: false });
  expect(await limiter.take('two', limit)).toMatchObject({ allowed: true });
});
