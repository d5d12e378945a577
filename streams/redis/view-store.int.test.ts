// The view store on a real Redis: the contract, and what a server that goes away or stands still does to its callers.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../schemas/index.js';
import type { Document, ViewStore } from '../index.js';
import { describeWith } from '../testing/servers.js';
import { viewStoreContract } from '../view-store.contract.js';
import { COMMAND_MS } from './connection.js';
import { openRedisViewStore } from './index.js';
import { type RedisServer, startRedis } from './testing/redis-server.js';

describeWith(['redis'], 'on a real Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.stop());

  let serial = 0;
  const ownPrefix = () => `test-${++serial}:`;

  viewStoreContract('redis', async () => {
    const views = await openRedisViewStore({ url: redis.url, prefix: ownPrefix() });
    return { views, dispose: () => views.close() };
  });

  const doc = (id: string, version: number, text: unknown = id): Document => ({
    collection: 'task',
    id,
    version,
    doc: text,
    indexes: [`all/${id}`],
  });

  describe('redis: the view store of several processes', () => {
    const opened: ViewStore[] = [];
    const open = async (prefix: string, url = redis.url): Promise<ViewStore> => {
      const views = await openRedisViewStore({ url, prefix });
      opened.push(views);
      return views;
    };
    afterEach(async () => {
      for (const views of opened.splice(0)) await views.close();
    });

    test('what one process wrote, the others see; another prefix is another store', async () => {
      const prefix = ownPrefix();
      const [one, two, other] = [await open(prefix), await open(prefix), await open(ownPrefix())];
      await one.put([doc('a', 1)], { view: 'v', partition: 0, from: 0, next: 5 });
      expect(await two.get('task', 'a')).toBe('a');
      expect(await two.checkpoint('v', 0)).toBe(5);
      expect(await two.list('task', 'all/', { limit: 9 })).toEqual([{ key: 'all/a', id: 'a' }]);
      expect(await other.get('task', 'a')).toBeUndefined();
      expect(await other.checkpoint('v', 0)).toBe(0);
      await other.clear();
      expect(await one.get('task', 'a')).toBe('a');
    });

    test('a store that was emptied and brought to the same offset by another is not taken for the one it was', async () => {
      const prefix = ownPrefix();
      const [one, two] = [await open(prefix), await open(prefix)];
      await one.put([doc('a', 5)], { view: 'v', partition: 0, from: 0, next: 5 });
      await two.clear();
      await two.put([doc('a', 5)], { view: 'v', partition: 0, from: 0, next: 5 });
      await expect(one.put([doc('a', 6, 'wrong')], { view: 'v', partition: 0, from: 5, next: 6 })).rejects.toMatchObject({
        code: 'views_moved',
      });
      expect(await one.get('task', 'a')).toBe('a');
      expect(await one.checkpoint('v', 0)).toBe(5);
      await one.put([doc('a', 6, 'right')], { view: 'v', partition: 0, from: 5, next: 6 });
      expect(await two.get('task', 'a')).toBe('right');
    });

    test('scripts that Redis forgot are sent again', async () => {
      const views = await open(ownPrefix());
      await views.put([doc('a', 1)]);
      await redis.command('SCRIPT', 'FLUSH');
      await views.put([doc('a', 2, 'again')]);
      expect(await views.get('task', 'a')).toBe('again');
    });

    test('it works on one slot of a cluster', async () => {
      const cluster = await startRedis('--cluster-enabled', 'yes');
      try {
        await cluster.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
        await expect.poll(() => cluster.command('CLUSTER', 'INFO'), { timeout: 10_000 }).toContain('cluster_state:ok');
        const views = await open(ownPrefix(), cluster.url);
        await views.put([doc('a', 1), doc('b', 1)], { view: 'v', partition: 0, from: 0, next: 2 });
        expect((await views.list('task', '', { limit: 9 })).map(({ id }) => id)).toEqual(['a', 'b']);
        await views.clear();
        expect(await views.checkpoint('v', 0)).toBe(0);
      } finally {
        await cluster.stop();
      }
    });

    test('an address that is none is refused without showing its password', async () => {
      const refused = await openRedisViewStore({ url: 'http://user:secret@host' }).catch((error: unknown) => error as Fault);
      expect(refused).toMatchObject({ kind: 'fatal', code: 'bad_redis_url' });
      expect(String(refused)).not.toContain('secret');
    });
  });

  describe('redis: the view store and a server in trouble', () => {
    let server: RedisServer;
    let views: ViewStore;
    const open = async (...options: readonly string[]) => {
      server = await startRedis(...options);
      views = await openRedisViewStore({ url: server.url });
    };
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')];
    beforeEach(() => {
      for (const spy of printed) spy.mockClear();
    });
    afterEach(async () => {
      await views.close();
      server.resume();
      await server.stop();
      for (const spy of printed) expect(spy).not.toHaveBeenCalled();
    });
    const unavailable = { kind: 'retryable', code: 'views_unavailable' };
    const all = (): readonly Promise<unknown>[] => [
      Promise.resolve(views.get('task', 'a')),
      views.put([doc('a', 2)]),
      views.checkpoint('v', 0),
      views.list('task', '', { limit: 1 }),
      views.clear(),
    ];

    test('while it is away everything fails at once; when it is back everything works, without anybody doing anything', async () => {
      await open();
      await views.put([doc('a', 1)]);
      await server.kill();
      await expect.poll(() => Promise.resolve(views.get('task', 'a')).catch((error: Fault) => error.code)).toBe('views_unavailable');
      const began = performance.now();
      for (const call of all()) await expect(call).rejects.toMatchObject(unavailable);
      expect(performance.now() - began).toBeLessThan(COMMAND_MS / 2);
      expect(await views.health!()).toMatchObject({ ok: false, detail: expect.stringContaining(`127.0.0.1:${server.port}`) });
      await server.start();
      await expect.poll(async () => (await views.health!()).ok, { timeout: 10_000 }).toBe(true);
      expect(await views.get('task', 'a')).toBeUndefined();
      await views.put([doc('a', 1, 'new')]);
      expect(await views.get('task', 'a')).toBe('new');
    });

    test('a server that stands still fails calls within their time, then at once, and is used again when it goes on', async () => {
      await open();
      await views.put([doc('a', 1)]);
      server.pause();
      const began = performance.now();
      await Promise.all(all().map((call) => expect(call).rejects.toMatchObject(unavailable)));
      expect(performance.now() - began).toBeLessThan(COMMAND_MS + 500);
      await expect
        .poll(async () => {
          const from = performance.now();
          await Promise.resolve(views.get('task', 'a')).catch(() => undefined);
          return performance.now() - from;
        })
        .toBeLessThan(COMMAND_MS / 2);
      server.resume();
      await expect.poll(async () => (await views.health!()).ok, { timeout: 10_000 }).toBe(true);
      await views.put([doc('b', 1)]);
      expect(await views.get('task', 'b')).toBe('b');
    });

    test('calls that are under way when the server dies fail at once', async () => {
      await open();
      server.pause();
      const began = performance.now();
      const calls = all().map((call) => expect(call).rejects.toMatchObject(unavailable));
      await server.kill();
      await Promise.all(calls);
      expect(performance.now() - began).toBeLessThan(COMMAND_MS - 200);
    });

    test('it opens while the server is away, and finds it later', async () => {
      await open();
      await views.close();
      await server.kill();
      views = await openRedisViewStore({ url: server.url });
      await expect(views.checkpoint('v', 0)).rejects.toMatchObject(unavailable);
      await server.start();
      await expect.poll(() => views.checkpoint('v', 0).catch((error: Fault) => error.code), { timeout: 10_000 }).toBe(0);
    });

    test('a server without room takes no part of a write, and says so', async () => {
      await open('--maxmemory', '4mb', '--maxmemory-policy', 'noeviction');
      const big = 'x'.repeat(100_000);
      const writes = async () => {
        for (let i = 0; i < 200; i++)
          await views.put([doc(`t${i}`, 1, big), doc(`u${i}`, 1, big)], { view: 'v', partition: 0, from: i, next: i + 1 });
      };
      await expect(writes()).rejects.toMatchObject({ kind: 'retryable', code: 'redis_full' });
      const written = await views.checkpoint('v', 0);
      expect(written).toBeGreaterThan(0);
      expect(await views.list('task', '', { limit: 1_000 })).toHaveLength(2 * written);
      expect(await views.get('task', `u${written - 1}`)).toBe(big);
      expect(await views.get('task', `t${written}`)).toBeUndefined();
    });

    test('a server that may drop views is not well', async () => {
      await open('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
      expect(await views.health!()).toMatchObject({ ok: false, detail: expect.stringContaining('noeviction') });
      await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
      expect(await views.health!()).toMatchObject({ ok: true });
    });

    test('a wrong password is told as it is, and without the password', async () => {
      await open('--requirepass', 'right');
      await views.close();
      views = await openRedisViewStore({ url: server.url.replace('redis://', 'redis://:secret@') });
      const refused = await views.checkpoint('v', 0).catch((error: unknown) => error as Fault);
      expect(refused).toMatchObject(unavailable);
      expect(String(refused)).toContain('WRONGPASS');
      expect(String(refused)).not.toContain('secret');
      await views.close();
      views = await openRedisViewStore({ url: server.url.replace('redis://', 'redis://:right@') });
      expect(await views.checkpoint('v', 0)).toBe(0);
    });
  });
});
