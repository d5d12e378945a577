// The views in a real Redis that is emptied and killed while they are written: they end as views that were never lost.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fault, LIFECYCLE } from '../../schemas/index.js';
import type { Log, ViewStore } from '../../streams/index.js';
import { openMemoryLog, openMemoryViewStore } from '../../streams/memory/index.js';
import { openRedisViewStore } from '../../streams/redis/index.js';
import { type RedisServer, startRedis } from '../../streams/redis/testing/redis-server.js';
import { describeWith } from '../../streams/testing/servers.js';
import { materialise } from '../index.js';
import { append, hasAll, histories, randomOf, shown } from './testing/histories.js';

describeWith(['redis'], 'on a real Redis', () => {
  const SEED = Number(process.env['VIEWS_SEED'] ?? Date.now() % 1_000_000);
  const TASKS = 200;
  const LOOK_MS = 50;
  const WITHIN = { timeout: 30_000, interval: 20 };

  let redis: RedisServer;
  let log: Log;
  let views: ViewStore;
  let reference: ViewStore;
  const problems: Fault[] = [];

  beforeEach(async () => {
    console.log(`views-lost: VIEWS_SEED=${SEED}`);
    redis = await startRedis();
    log = openMemoryLog({ partitions: 2 });
    views = await openRedisViewStore({ url: redis.url });
    reference = openMemoryViewStore();
    problems.length = 0;
    await log.join('reference', [LIFECYCLE], (assignment) => materialise(assignment, { log, views: reference }));
  });
  afterEach(async () => {
    await log.close();
    await views.close();
    await redis.stop();
  });

  const follow = (group: string, to: ViewStore) =>
    log.join(group, [LIFECYCLE], (assignment) =>
      materialise(assignment, { log, views: to, lookMs: LOOK_MS, onProblem: (fault) => void problems.push(fault) }),
    );
  const caughtUp = async (): Promise<void> => {
    await expect.poll(() => hasAll(log, reference), WITHIN).toBe(true);
    await expect.poll(() => hasAll(log, views), WITHIN).toBe(true);
  };

  test('emptied and killed in the middle of the events, the views end as if they never had been', async () => {
    const random = randomOf(SEED);
    const events = histories(TASKS, random);
    expect(events.length).toBeGreaterThan(500);
    const membership = await follow('views', views);
    let harm = 0;
    for (let at = 0; at < events.length; ) {
      const size = 1 + Math.floor(random() * 40);
      await append(log, events.slice(at, at + size));
      at += size;
      const dice = random();
      if (dice < 0.3) {
        await redis.command('FLUSHALL');
        harm++;
      } else if (dice < 0.4) {
        await redis.kill();
        await append(log, events.slice(at, at + 5));
        at += 5;
        await redis.start();
        harm++;
      } else if (dice < 0.7) await expect.poll(() => hasAll(log, views), WITHIN).toBe(true);
    }
    expect(harm).toBeGreaterThan(3);
    await caughtUp();
    expect(await shown(views, events)).toEqual(await shown(reference, events));
    expect(problems.map(({ kind }) => kind)).not.toContain('fatal');
    await membership.leave();
    await membership.done;
  });

  test('emptied or killed when nothing happens any more, they are filled again without a new event', async () => {
    const events = histories(TASKS, randomOf(SEED));
    await follow('views', views);
    await append(log, events);
    await caughtUp();
    const whole = await shown(reference, events);
    for (const harm of [() => redis.command('FLUSHALL'), () => redis.kill().then(() => redis.start())]) {
      await harm();
      await expect.poll(() => hasAll(log, views), WITHIN).toBe(true);
      expect(await shown(views, events)).toEqual(whole);
    }
    const [last] = histories(1, randomOf(SEED + 1), 'later');
    await append(log, [last!]);
    await caughtUp();
    expect(await shown(views, [...events, last!])).toEqual(await shown(reference, [...events, last!]));
  });

  test('two that write the same views at once, emptied in between, do not corrupt them', async () => {
    const random = randomOf(SEED + 2);
    const events = histories(TASKS, random);
    const twin = await openRedisViewStore({ url: redis.url });
    await follow('views', views);
    // Another group owns every partition too: the writer that should have stopped.
    await follow('zombie', twin);
    for (let at = 0; at < events.length; at += 20) {
      await append(log, events.slice(at, at + 20));
      if (random() < 0.2) await redis.command('FLUSHALL');
      if (random() < 0.3) await expect.poll(() => hasAll(log, views), WITHIN).toBe(true);
    }
    await caughtUp();
    expect(await shown(views, events)).toEqual(await shown(reference, events));
    await twin.close();
  });

  test('a partition that is given up while Redis is away is given up without an error', async () => {
    const membership = await follow('views', views);
    await append(log, histories(5, randomOf(SEED)));
    await caughtUp();
    await redis.kill();
    await append(log, histories(5, randomOf(SEED), 'more'));
    await expect.poll(() => problems.some(({ code }) => code === 'views_unavailable'), WITHIN).toBe(true);
    await membership.leave();
    await membership.done;
  });
});
