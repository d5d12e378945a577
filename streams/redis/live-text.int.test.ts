// Live text on a real Redis: the contract, what it costs Redis, and what happens when Redis goes away.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LiveText } from '../index.js';
import { liveTextContract, numbers, say, watch } from '../live-text.contract.js';
import { REPLAY_BYTES } from '../live-text.js';
import { describeWith } from '../testing/servers.js';
import { openRedisLiveText } from './index.js';
import { PENDING_CHARS } from './live-publisher.js';
import { type RedisServer, startRedis } from './testing/redis-server.js';
import { startStallingProxy } from './testing/stalling-proxy.js';

describeWith(['redis'], 'on a real Redis', () => {
  let shared: RedisServer;
  beforeAll(async () => {
    shared = await startRedis();
  });
  afterAll(() => shared?.stop());

  let serial = 0;
  liveTextContract('redis', async () => {
    const prefix = `test-${++serial}:`;
    return { open: () => openRedisLiveText({ url: shared.url, prefix }), dispose: async () => {} };
  });

  describe('redis: live text between processes', () => {
    let redis: RedisServer;
    let here: LiveText;
    let there: LiveText;
    beforeEach(async () => {
      redis = await startRedis();
      here = await openRedisLiveText({ url: redis.url });
      there = await openRedisLiveText({ url: redis.url });
    });
    afterEach(async () => {
      await here.close();
      await there.close();
      redis.resume();
      await redis.stop();
    });

    const scriptCalls = async (): Promise<number> => {
      const stats = await redis.command('INFO', 'commandstats');
      return [...stats.matchAll(/cmdstat_(?:eval|evalsha):calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0);
    };
    /** Says more and more until the follower has heard something that was said after `from`. */
    const heard = async (watcher: ReturnType<typeof watch>, from: number): Promise<number> => {
      let next = from;
      await expect
        .poll(
          () => {
            say(here, 'task', next, ++next);
            return watcher.seen.items.at(-1)?.seq ?? -1;
          },
          { timeout: 15_000, interval: 10 },
        )
        .toBeGreaterThanOrEqual(from);
      return next;
    };

    test('many small pieces cost Redis a few calls', async () => {
      const watcher = watch(there, 'task');
      say(here, 'task', 0, 1);
      await watcher.until(0);
      const before = await scriptCalls();
      say(here, 'task', 1, 1_001);
      expect(await watcher.until(1_000)).toEqual(numbers(0, 1_001));
      expect((await scriptCalls()) - before).toBeLessThanOrEqual(3);
      await watcher.stop();
    });

    test('however many follow, there is one listening connection, and nothing is listened to when nobody follows', async () => {
      const connections = async () => Number(/connected_clients:(\d+)/.exec(await redis.command('INFO', 'clients'))![1]);
      const before = await connections();
      const watchers = numbers(0, 40).map((i) => watch(there, `task-${i % 20}`));
      for (const i of numbers(0, 20)) say(here, `task-${i}`, 0, 1);
      await Promise.all(watchers.map((watcher) => watcher.until(0)));
      expect(await connections()).toBe(before);
      expect((await redis.command('PUBSUB', 'CHANNELS')).startsWith('*20\r\n')).toBe(true);
      await Promise.all(watchers.map((watcher) => watcher.stop()));
      await expect.poll(() => redis.command('PUBSUB', 'CHANNELS')).toBe('*0\r\n');
      const again = watch(there, 'task-3');
      expect(await again.until(0)).toEqual([0]);
      await again.stop();
    });

    test('what is kept for late comers is small and goes away by itself', async () => {
      const watcher = watch(there, 'task');
      for (let from = 0; from < 300; from += 50) {
        say(here, 'task', from, from + 50, () => 'x'.repeat(1_000));
        await watcher.until(from + 49);
      }
      const kept = Number((await redis.command('GET', 'dats:live:{task}:size')).split('\r\n')[1]);
      expect(kept).toBeLessThanOrEqual(REPLAY_BYTES);
      expect(kept).toBeGreaterThan(REPLAY_BYTES / 2);
      for (const key of ['said', 'size']) {
        const left = Number((await redis.command('PTTL', `dats:live:{task}:${key}`)).slice(1));
        expect(left).toBeGreaterThan(4 * 60_000);
        expect(left).toBeLessThanOrEqual(5 * 60_000);
      }
      await redis.command('DEL', 'dats:live:{task}:size');
      say(here, 'task', 300, 301);
      await watcher.until(300);
      const late = watch(there, 'task');
      expect(await late.until(300)).toEqual([300]);
      await Promise.all([watcher.stop(), late.stop()]);
    });

    test('when Redis was killed and is back, followers go on by themselves', async () => {
      const watcher = watch(there, 'task');
      say(here, 'task', 0, 3);
      await watcher.until(2);
      await redis.kill();
      expect(() => say(here, 'task', 3, 6)).not.toThrow();
      await redis.start();
      const next = await heard(watcher, 6);
      const late = watch(there, 'task');
      await late.until(await heard(late, next).then((at) => at - 1));
      const seen = watcher.seen.items.map(({ seq }) => seq);
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
      await Promise.all([watcher.stop(), late.stop()]);
    });

    test('a follower whose connection breaks catches up with what was said meanwhile', async () => {
      const watcher = watch(there, 'task');
      say(here, 'task', 0, 3);
      await watcher.until(2);
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      say(here, 'task', 3, 30);
      expect(await watcher.until(29)).toEqual(numbers(0, 30));
      await watcher.stop();
    });

    test('who follows while Redis is away hears it when it is there', async () => {
      await redis.kill();
      const watcher = watch(there, 'task');
      await redis.start();
      await heard(watcher, 0);
      await watcher.stop();
    });

    test('a server that stands still blocks nobody, what waits for it stays small, and followers go on when it does', async () => {
      const watcher = watch(there, 'task');
      say(here, 'task', 0, 3);
      await watcher.until(2);
      redis.pause();
      const text = 'x'.repeat(10_000);
      const began = performance.now();
      say(here, 'task', 3, 3 + Math.ceil((5 * PENDING_CHARS) / text.length), () => text);
      expect(performance.now() - began).toBeLessThan(1_000);
      redis.resume();
      await heard(watcher, 1_000);
      const seen = watcher.seen.items.map(({ seq }) => seq);
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
      expect(seen.filter((seq) => seq >= 3 && seq < 1_000).length * text.length).toBeLessThanOrEqual(PENDING_CHARS);
      await watcher.stop();
    });

    test('a listening connection that died without a word is noticed, and what was said meanwhile is caught up with', async () => {
      const proxy = await startStallingProxy(redis.port);
      const listening = await openRedisLiveText({ url: proxy.url, pingMs: 20 });
      const watcher = watch(listening, 'task');
      say(here, 'task', 0, 3);
      await watcher.until(2);
      const before = proxy.taken;
      proxy.stall();
      say(here, 'task', 3, 30);
      await expect.poll(() => proxy.taken, { timeout: 10_000 }).toBeGreaterThan(before);
      expect(watcher.seen.items).toHaveLength(3);
      proxy.resume();
      await watcher.seen.until((chunks) => chunks.length === 30);
      expect(watcher.seen.items.map(({ seq }) => seq)).toEqual(numbers(0, 30));
      await watcher.stop();
      await listening.close();
      await proxy.close();
    });

    test('what others say on the channel is not taken for text', async () => {
      const watcher = watch(there, 'task');
      say(here, 'task', 0, 1);
      await watcher.until(0);
      for (const junk of ['', '{', '7', '[1]', '[[1,"x",2]]', '[null]']) await redis.command('PUBLISH', 'dats:live:task', junk);
      say(here, 'task', 1, 2);
      expect(await watcher.until(1)).toEqual([0, 1]);
      await watcher.stop();
    });
  });
});
