// The history on the real engine: what is in the tables is what the log says.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault, LIFECYCLE } from '../../../schemas/index.js';
import { dropAll } from '../../../streams/clickhouse/index.js';
import type { Analytics, Log, Outgoing } from '../../../streams/index.js';
import { openMemoryLog } from '../../../streams/memory/index.js';
import { randomOf } from '../testing/histories.js';
import { EVENTS } from './tables.js';
import { append, caughtUp, WITHIN } from './testing/catching-up.js';
import { cleanUp, engineDir, openEmbedded, openServer, startServer } from './testing/engine.js';
import { faulty, lagOf, startIngester } from './testing/ingester.js';
import { type Script, script } from './testing/script.js';
import { everything, lasting, recordsOf, tallyOf, tallyOfLog } from './testing/tally.js';

const SEED = Number(process.env['DATS_SEED'] ?? Date.now() % 1_000_000);

describe('the history on the real engine', () => {
  let log: Log;
  let random: () => number;
  beforeEach(() => {
    console.log(`history: DATS_SEED=${SEED}`);
    random = randomOf(SEED);
    log = openMemoryLog({ partitions: 2 });
  });
  afterEach(async () => {
    await log.close();
    await cleanUp();
  });

  describe('a scripted history', () => {
    const checkTables = async (store: Analytics, { executions, calls, edges, artifacts, projectDays }: Script): Promise<void> => {
      const provenance = await store.query<Record<string, never>>(
        'SELECT task_id, attempt, status, project_id, model, node, artifact_ids, consumed_ids FROM dats.provenance ORDER BY task_id, attempt',
      );
      const order = (a: { task_id: string; attempt: number }, b: { task_id: string; attempt: number }): number =>
        a.task_id === b.task_id ? a.attempt - b.attempt : a.task_id < b.task_id ? -1 : 1;
      expect(provenance).toEqual([...executions].sort(order));
      for (const table of ['artifact_edges', 'artifact_edges_up']) {
        const rows = await store.query<{ edge: string }>(
          `SELECT concat(source_id, ' -> ', target_id) AS edge FROM dats.${table} ORDER BY edge`,
        );
        expect(rows.map(({ edge }) => edge)).toEqual([...edges].sort());
      }
      const rows = await store.query<{ id: string }>('SELECT artifact_id AS id FROM dats.artifacts ORDER BY id');
      expect(rows.map(({ id }) => id)).toEqual([...artifacts].sort());
      const days = await store.query<{ day: string; n: number }>(
        "SELECT concat(project_id, ' ', toString(day)) AS day, sum(events) AS n FROM dats.project_days GROUP BY day ORDER BY day",
      );
      expect(new Map(days.map(({ day, n }) => [day, n]))).toEqual(projectDays);
      const costs = await store.query<{ task: string; cost: string }>(
        "SELECT concat(project_id, ' ', task_id, ' ', toString(attempt)) AS task, toDecimalString(sum(cost_usd), 9) AS cost FROM dats.task_costs GROUP BY task ORDER BY task",
      );
      const wanted = calls.map(({ project_id, task_id, attempt, nanos }) => ({
        task: `${project_id} ${task_id} ${attempt}`,
        cost: String(nanos)
          .padStart(10, '0')
          .replace(/(\d{9})$/, '.$1'),
      }));
      expect(costs).toEqual(wanted.sort((a, b) => (a.task < b.task ? -1 : 1)));
      const [quantiles] = await store.query<{ q: readonly number[] }>(
        'SELECT quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms) AS q FROM dats.call_minutes',
      );
      const sorted = calls.map(({ duration_ms }) => duration_ms).sort((a, b) => a - b);
      [0.5, 0.95, 0.99].forEach((level, i) => {
        const exact = [Math.floor, Math.ceil].map((round) => sorted[round(level * (sorted.length - 1))]!);
        expect(quantiles!.q[i]).toBeGreaterThan(exact[0]! * 0.99);
        expect(quantiles!.q[i]).toBeLessThan(exact[1]! * 1.01);
      });
    };

    test('is there once, and every table says of it what was written', async () => {
      const store = openEmbedded();
      const written = script({ tasks: 400, random });
      await startIngester(log, store);
      await append(log, written.records, 137);
      await caughtUp(log, store);
      await checkTables(store, written);
    });

    test('by clocks that are hours ahead and behind, across midnights and months: nothing is lost, and positions keep the order', async () => {
      const store = openEmbedded();
      // The last minutes of last month.
      const at = new Date().setUTCDate(1) - (Date.now() % 86_400_000) - 120_000;
      const skews = [0, 9 * 3_600_000, -9 * 3_600_000, 40 * 86_400_000, -40 * 86_400_000];
      const written = script({ tasks: 200, random, timeOf: (n) => at + n * 100 + skews[n % skews.length]! });
      await append(log, written.records);
      await startIngester(log, store);
      await caughtUp(log, store);
      await checkTables(store, written);
      for (const records of await recordsOf(log)) {
        expect(records.length).toBeGreaterThan(0);
        const { topic, partition } = records[0]!;
        const rows = await store.query<{ id: string }>(
          'SELECT id FROM dats.events WHERE topic = {topic:String} AND partition = {partition:UInt16} ORDER BY offset',
          { topic, partition },
        );
        expect(rows.map(({ id }) => id)).toEqual(records.map(({ headers }) => headers.id));
      }
    });

    test('of records that would poison a table: each has its row, and the others are not held up', async () => {
      const store = openEmbedded();
      const { records } = script({ tasks: 20, random });
      const bend = (record: Outgoing, headers: Record<string, string>, value: string = String(record.value)): Outgoing => ({
        topic: record.topic,
        key: record.key,
        headers: { ...record.headers, ...headers },
        value,
      });
      const failed = (message: string): Outgoing => {
        const made = records.find(({ headers }) => headers.type === 'dats.task.attempt.failed' || headers.type === 'dats.task.created')!;
        return bend(
          made,
          { type: 'dats.task.attempt.failed', dataschema: 'urn:dats:task.attempt.failed:1' },
          JSON.stringify({ task_id: 'x', attempt: 1, stage: 'qa', error: { code: 'c', message, retryable: false } }),
        );
      };
      const call = records.find(({ headers }) => headers.type === 'dats.model.called')!;
      const ofCall = (change: object): Outgoing => bend(call, {}, JSON.stringify({ ...JSON.parse(String(call.value)), ...change }));
      await append(log, [
        ...records,
        failed(`cut in the middle of a character: ${'😀'.slice(0, 1)}`),
        failed('\u0000\u001f\u2028 \\ \' " {x:String}'),
        bend(records[0]!, { time: '2026-99-99T99:99:99.000Z' }),
        bend(records[1]!, { time: '2026-01-01T00:00:00+14:00' }),
        bend(records[2]!, { time: '1066-10-14T09:00:00.000Z' }),
        bend(records[2]!, { time: '9999-12-31T23:59:59.999Z' }),
        bend(records[3]!, { id: '\ud800', correlationid: 'a\nb\tc' }),
        bend(records[4]!, { dataschema: 'urn:dats:task.created:70000' }),
        bend(records[5]!, { type: 'dats.task.sung' }, 'la la la'),
        { topic: LIFECYCLE, key: 'north', headers: {}, value: Uint8Array.of(0, 255, 254) },
        ofCall({ cost_usd: 5e12, attempt: 70_000, input_tokens: Number.MAX_SAFE_INTEGER }),
        ofCall({ duration_ms: 1e300, cost_usd: 1e-12 }),
        ...records.slice(6, 20),
      ]);
      const ingester = await startIngester(log, store);
      const wanted = (await recordsOf(log)).map((of) => of.length).reduce((a, b) => a + b);
      await expect.poll(() => lagOf(log), WITHIN).toBe(0);
      expect(await store.query('SELECT count() AS n, uniqExact(topic, partition, offset) AS u FROM dats.events')).toEqual([
        { n: wanted, u: wanted },
      ]);
      expect(ingester.problems).toEqual([]);
      const bare = await store.query<{ code: string }>(
        "SELECT error_code AS code FROM dats.events WHERE error_code IN ('not_an_event', 'unknown_type', 'unknown_version') ORDER BY code",
      );
      expect(bare.map(({ code }) => code)).toEqual(['not_an_event', 'unknown_type', 'unknown_version']);
    });

    test('of many years, more months than an insert may touch by default, brought again after its acknowledgement was lost', async () => {
      const store = openEmbedded();
      const written = script({ tasks: 30, random, timeOf: (n) => Date.UTC(1990, n % 130, 3) });
      await append(log, written.records);
      const lossy = faulty(store, async ({ nth, apply }) => {
        await apply();
        if (nth < 2) throw new Fault('retryable', 'lost', 'the acknowledgement was lost');
      });
      const { problems } = await startIngester(log, lossy, 200);
      await expect.poll(() => lagOf(log), WITHIN).toBe(0);
      expect(lasting(await tallyOf(store))).toEqual(lasting(await tallyOfLog(log)));
      expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['lost']));
    });
  });

  describe('tables that are taken away', () => {
    test.each(['everything', EVENTS, 'dats.provenance', 'dats.project_days', 'dats.call_minutes_mv', 'dats.migrations'])(
      '%s: all comes back while events go on, and answers are the same',
      async (what) => {
        const store = openEmbedded();
        const { records } = script({ tasks: 120, random });
        const half = Math.floor(records.length / 2);
        const { membership, problems } = await startIngester(log, store);
        await append(log, records.slice(0, half));
        await caughtUp(log, store);
        await append(log, records.slice(half));
        await caughtUp(log, store);
        const before = await everything(store);
        expect(before['events']!.split('\n')).toHaveLength(records.length);
        if (what === 'everything') await dropAll(store);
        else await store.command(`DROP ${what.endsWith('_mv') ? 'VIEW' : 'TABLE'} ${what} SYNC`);
        const more = script({ tasks: 30, random, name: 'more' }).records;
        await append(log, more, 50);
        await caughtUp(log, store);
        const after = await everything(store);
        expect(after['events']!.split('\n')).toHaveLength(records.length + more.length);
        // The same log in fresh tables.
        const fresh = openEmbedded();
        const again = openMemoryLog({ partitions: 2 });
        await append(again, [...records, ...more], 300);
        await startIngester(again, fresh);
        await caughtUp(again, fresh);
        const reference = await everything(fresh);
        for (const table of Object.keys(reference)) expect([table, after[table]]).toEqual([table, reference[table]]);
        expect(problems.every(({ kind }) => kind === 'retryable')).toBe(true);
        await membership.leave();
        await again.close();
      },
    );
  });

  describe('a store that is away', () => {
    test('from the start: the log goes on and the lag shows; it catches up by itself', async () => {
      const dir = engineDir();
      const server = await startServer(dir);
      await server.kill();
      const store = openServer(server.url);
      const { problems, membership } = await startIngester(log, store);
      const { records } = script({ tasks: 100, random });
      await append(log, records);
      await expect.poll(() => problems.length, WITHIN).toBeGreaterThan(0);
      expect(new Set(problems.map(({ kind, code }) => `${kind} ${code}`))).toEqual(new Set(['retryable analytics_unavailable']));
      expect(problems.length).toBeLessThanOrEqual(membership.owned().length);
      expect(await lagOf(log)).toBe(records.length);
      expect(membership.owned()).toHaveLength(4);
      await startServer(dir, Number(new URL(server.url).port));
      await caughtUp(log, store);
    });

    test('in flight: likewise, and what was in doubt is in once', async () => {
      const dir = engineDir();
      const first = await startServer(dir);
      const store = openServer(first.url);
      const { inserted } = await startIngester(log, store, 0);
      const { records } = script({ tasks: 300, random });
      for (let i = 0; i < records.length; i += 40) {
        await log.append(records.slice(i, i + 40));
        if (i === 1_200) {
          await expect.poll(inserted, WITHIN).toBeGreaterThan(0);
          await first.kill();
        }
      }
      await expect.poll(() => lagOf(log), WITHIN).toBeGreaterThan(0);
      await startServer(dir, Number(new URL(first.url).port));
      await caughtUp(log, store);
    });
  });

  test('inserts that the server gathers (async_insert) are in once', async () => {
    const server = await startServer(engineDir());
    const store = openServer(server.url, { asyncInsert: true });
    const written = script({ tasks: 150, random });
    await startIngester(log, store);
    await append(log, written.records, 60);
    await caughtUp(log, store);
  });
});
