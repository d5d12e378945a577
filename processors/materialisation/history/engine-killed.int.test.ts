// SIGKILL of the engine under a steady stream of events, and several writers on one engine.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log } from '../../../streams/index.js';
import { openLmdbLog } from '../../../streams/lmdb/index.js';
import { MemoryStore, openMemoryLog } from '../../../streams/memory/index.js';
import { randomOf } from '../testing/histories.js';
import { append, caughtUp, WITHIN } from './testing/catching-up.js';
import { cleanUp, engineDir, enginesOf, killEngines, openEmbedded, openServer, startServer } from './testing/engine.js';
import { lagOf, startIngester } from './testing/ingester.js';
import { script } from './testing/script.js';

const SEED = Number(process.env['DATS_SEED'] ?? Date.now() % 1_000_000);
const KILLS = Number(process.env['DATS_ENGINE_KILLS'] ?? 10);
/** An engine lives so long, in milliseconds: from the middle of its start to well under way. */
const LIFE_MS = [20, 900] as const;

describe('an engine that is killed', () => {
  let random: () => number;
  const logs: Log[] = [];
  const keep = (log: Log): Log => {
    logs.push(log);
    return log;
  };
  beforeEach(() => {
    console.log(`history: DATS_SEED=${SEED}`);
    random = randomOf(SEED);
  });
  afterEach(async () => {
    await Promise.all(logs.splice(0).map((log) => log.close()));
    await cleanUp();
  });

  test(`${KILLS} times at random instants of its life, under a steady stream of events: every table has exactly what the log says`, async () => {
    const dir = engineDir();
    const store = openEmbedded(dir);
    const log = keep(openMemoryLog({ partitions: 2 }));
    const { inserted } = await startIngester(log, store, 10);
    const { records } = script({ tasks: 1_500, random });
    let sent = 0;
    let enough = false;
    const stream = (async () => {
      while (!enough && sent < records.length) {
        const size = 1 + Math.floor(random() * 30);
        await log.append(records.slice(sent, sent + size));
        sent += size;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    })();
    await expect.poll(inserted, WITHIN).toBeGreaterThan(0);
    for (let kills = 0; kills < KILLS; ) {
      // The instant is drawn, not awaited: that it falls anywhere is the point. Every fourth time it waits for progress first.
      await new Promise((resolve) => setTimeout(resolve, LIFE_MS[0] + random() * (LIFE_MS[1] - LIFE_MS[0])));
      if (kills % 4 === 3) {
        const before = inserted();
        await expect.poll(inserted, WITHIN).toBeGreaterThan(before);
      }
      await expect.poll(() => enginesOf(dir).length, WITHIN).toBeGreaterThan(0);
      if (killEngines(dir) > 0) kills++;
    }
    enough = true;
    await stream;
    await caughtUp(log, store);
    expect(inserted()).toBeGreaterThan(0);
  });

  test('for long: the log goes on, and what the history holds of it in memory is bounded', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'dats-history-log-'));
    try {
      const server = await startServer(engineDir());
      const log = keep(await openLmdbLog({ dir, node: 'test', partitions: 2 }));
      const store = openServer(server.url);
      await startIngester(log, store, 0);
      const { records } = script({ tasks: 30, random });
      await append(log, records);
      await caughtUp(log, store);
      await server.kill();
      const held = (): number => {
        globalThis.gc?.();
        const { heapUsed, external } = process.memoryUsage();
        return (heapUsed + external) / 1024 / 1024;
      };
      const before = held();
      // 200 MB of events while it is away.
      const large = JSON.stringify({ task_id: 'x', filler: 'x'.repeat(20_000) });
      const { topic, key, headers } = records[0]!;
      const batch = Array.from({ length: 500 }, () => ({ topic, key, headers, value: large }));
      for (let i = 0; i < 20; i++) await log.append(batch);
      await expect.poll(() => lagOf(log), WITHIN).toBeGreaterThanOrEqual(10_000);
      await expect.poll(() => held() - before, WITHIN).toBeLessThan(120);
    } finally {
      await Promise.all(logs.splice(0).map((log) => log.close()));
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('beside: two writers on one server share the partitions, one of them dies in the middle; counts are exact', async () => {
    const server = await startServer(engineDir());
    const shared = new MemoryStore();
    const open = (node: string): Log => keep(openMemoryLog({ partitions: 4, store: shared, node }));
    const [a, b] = [open('a'), open('b')];
    const [first, second] = [await startIngester(a, openServer(server.url), 5), await startIngester(b, openServer(server.url), 5)];
    await expect.poll(() => [first, second].map(({ membership }) => membership.owned().length), WITHIN).toEqual([4, 4]);
    const { records } = script({ tasks: 400, random });
    const third = Math.floor(records.length / 3);
    await append(a, records.slice(0, third), 20);
    await expect.poll(() => Math.min(first.inserted(), second.inserted()), WITHIN).toBeGreaterThan(0);
    const stream = append(b, records.slice(third), 10);
    // No drain, no leave: what it had under way goes on, and is a zombie's.
    shared.expelNode('a');
    await stream;
    await expect.poll(() => second.membership.owned().length, WITHIN).toBe(8);
    await caughtUp(b, openServer(server.url));
  });
});
