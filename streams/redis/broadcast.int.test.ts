// Words on a real Redis: the contract, and what happens when Redis goes away.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { broadcastContract, inForce, listenTo, sayAll, words } from '../broadcast.contract.js';
import type { Broadcast } from '../index.js';
import type { Collector } from '../testing/log-driver.js';
import { describeWith } from '../testing/servers.js';
import { UNSAID_CHARS } from './broadcast.js';
import { openRedisBroadcast } from './index.js';
import { type RedisServer, startRedis } from './testing/redis-server.js';
import { startStallingProxy } from './testing/stalling-proxy.js';

describeWith(['redis'], 'on a real Redis', () => {
  let shared: RedisServer;
  beforeAll(async () => {
    shared = await startRedis();
  });
  afterAll(() => shared?.stop());

  let serial = 0;
  broadcastContract('redis', async () => {
    const prefix = `test-${++serial}:`;
    return { open: () => openRedisBroadcast({ url: shared.url, prefix }), dispose: async () => {} };
  });

  describe('redis: words between processes', () => {
    let redis: RedisServer;
    let here: Broadcast;
    let there: Broadcast;
    beforeEach(async () => {
      redis = await startRedis();
      here = await openRedisBroadcast({ url: redis.url });
      there = await openRedisBroadcast({ url: redis.url });
    });
    afterEach(async () => {
      await here.close();
      await there.close();
      redis.resume();
      await redis.stop();
    });
    const has = (message: string) => (heard: readonly string[]) => heard.includes(message);
    /** Says it again and again until it is heard (B2). */
    const reaches = async (speaker: Broadcast, heard: Collector<string>, message: string): Promise<void> => {
      const look = async (): Promise<boolean> => {
        await speaker.publish('channel', message);
        return heard.items.includes(message);
      };
      await expect.poll(look, { timeout: 15_000, interval: 10 }).toBe(true);
    };

    test('when Redis was killed and is back, words flow again, both ways', async () => {
      const [heardHere, heardThere] = [listenTo(here, 'channel'), listenTo(there, 'channel')];
      await inForce(here, there);
      await here.publish('channel', 'before');
      await heardThere.until(has('before'));
      await redis.kill();
      await sayAll(here, 'channel', words('lost', 100));
      await redis.start();
      await reaches(here, heardThere, 'here');
      await reaches(there, heardHere, 'there');
      expect(heardThere.items.filter((word) => word.startsWith('lost'))).toEqual([]);
      expect(heardHere.items).not.toContain('here');
    });

    test('who listens while Redis is away hears when it is there, and who opens then, too', async () => {
      await redis.kill();
      const late = await openRedisBroadcast({ url: redis.url });
      const heard = [listenTo(there, 'channel'), listenTo(late, 'channel')];
      await inForce(there, late);
      await redis.start();
      for (const each of heard) await reaches(here, each, 'word');
      await late.close();
    });

    test('a listening connection that breaks is made again with all its channels', async () => {
      const heard = ['one', 'two', 'channel'].map((channel) => listenTo(there, channel));
      const gone = listenTo(there, 'gone');
      await inForce(there);
      gone.end();
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await reaches(here, heard[2]!, 'word');
      for (const channel of ['one', 'two', 'gone']) await here.publish(channel, 'word');
      await Promise.all(heard.map((each) => each.until(has('word'))));
      expect(await redis.command('PUBSUB', 'NUMSUB', 'dats:words:gone')).toMatch(/:0\r\n$/);
    });

    test('a listening connection that died without a word is noticed', async () => {
      const proxy = await startStallingProxy(redis.port);
      const listening = await openRedisBroadcast({ url: proxy.url, pingMs: 20 });
      const heard = listenTo(listening, 'channel');
      await reaches(here, heard, 'before');
      const before = proxy.taken;
      proxy.stall();
      await here.publish('channel', 'lost');
      await expect.poll(() => proxy.taken, { timeout: 10_000 }).toBeGreaterThan(before);
      proxy.resume();
      await reaches(here, heard, 'after');
      expect(heard.items).not.toContain('lost');
      await listening.close();
      await proxy.close();
    });

    test('a server that stands still blocks nobody for long, and what waits for it stays small', async () => {
      const heard = listenTo(there, 'channel');
      await inForce(there);
      redis.pause();
      const began = performance.now();
      const megabyte = 'x'.repeat(1024 * 1024);
      const count = 2 * Math.ceil(UNSAID_CHARS / megabyte.length);
      await sayAll(
        here,
        'channel',
        words('word', count).map((word) => `${word} ${megabyte}`),
      );
      expect(performance.now() - began).toBeLessThan(10_000);
      redis.resume();
      await reaches(here, heard, 'after');
      expect(heard.items.filter((word) => word.startsWith('word')).length).toBeLessThanOrEqual(count / 2);
    });

    test('however many listen there is one subscription a channel, and none when nobody does', async () => {
      const channels = Array.from({ length: 20 }, (_, i) => `channel-${i}`);
      const all = [...channels, ...channels].map((channel) => listenTo(there, channel));
      await inForce(there);
      expect((await redis.command('PUBSUB', 'CHANNELS')).startsWith('*20\r\n')).toBe(true);
      expect(await redis.command('PUBSUB', 'NUMSUB', 'dats:words:channel-3')).toMatch(/:1\r\n$/);
      for (const each of all) each.end();
      await expect.poll(() => redis.command('PUBSUB', 'CHANNELS')).toBe('*0\r\n');
    });

    test('what others say on the channel is not taken for a word', async () => {
      const heard = listenTo(there, 'channel');
      await inForce(there);
      for (const junk of ['', '{', 'junk that is longer than a name']) await redis.command('PUBLISH', 'dats:words:channel', junk);
      await here.publish('channel', 'word');
      await heard.until(has('word'));
      expect(heard.items).toEqual(['word']);
    });

    test('an address that is none is refused', async () => {
      await expect(openRedisBroadcast({ url: 'http://localhost' })).rejects.toMatchObject({ kind: 'fatal', code: 'bad_redis_url' });
    });
  });
});
