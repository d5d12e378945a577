import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrate, openClickhouse, readMigrations } from '../streams/clickhouse/index.js';
import type { Analytics } from '../streams/index.js';
import { ASK_LIMITS, countOf } from './analytics-store.js';
import { endingsSql, outputsSql, type Rows } from './history-sql.js';

const ENGINE = fileURLToPath(new URL('../dist/streams/clickhouse/engine/main.js', import.meta.url));
const MIGRATIONS = fileURLToPath(new URL('../deploy/clickhouse', import.meta.url));
/** More than STRIDE several times, so that there is something to consume. */
const ROWS: Rows = { seed: 5, executions: 60_000, days: 90, until: Date.UTC(2026, 10, 1), projects: 200, partitions: 4 };

describe('the rows of P8', () => {
  let dir: string;
  let store: Analytics;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'dats-rows-'));
    store = openClickhouse({ embedded: { dir, limits: ASK_LIMITS, engine: ENGINE } });
    await migrate(store, await readMigrations(MIGRATIONS));
    for (const [from, to] of [
      [0, 17_000],
      [17_000, 60_000],
    ] as const) {
      await store.command(endingsSql(ROWS, from, to));
      await store.command(outputsSql(ROWS, from, to));
    }
  });
  afterAll(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('reach every table by the views, each execution once', async () => {
    expect(await countOf(store, 'SELECT count() AS n FROM dats.provenance')).toBe(ROWS.executions);
    expect(await countOf(store, 'SELECT uniqExact(provenance_id) AS n FROM dats.provenance')).toBe(ROWS.executions);
    expect(await countOf(store, 'SELECT sum(executions) AS n FROM dats.execution_minutes')).toBe(ROWS.executions);
    const made = await countOf(store, 'SELECT sum(length(artifact_ids)) AS n FROM dats.provenance');
    expect(await countOf(store, 'SELECT count() AS n FROM dats.artifacts')).toBe(made);
    const consumed = await countOf(store, 'SELECT sum(length(artifact_ids) * length(consumed_ids)) AS n FROM dats.provenance');
    expect(await countOf(store, 'SELECT count() AS n FROM dats.artifact_edges')).toBe(consumed);
    expect(consumed).toBeGreaterThan(ROWS.executions / 10);
  });

  test('are skewed as is said: 80 % accepted, 15 % rejected, and a tenth of one project', async () => {
    const share = async (where: string): Promise<number> =>
      (await countOf(store, `SELECT countIf(${where}) AS n FROM dats.provenance`)) / ROWS.executions;
    expect(await share("status = 'accepted'")).toBeCloseTo(0.8, 2);
    expect(await share("status = 'rejected'")).toBeCloseTo(0.15, 2);
    expect(await share("project_id = 'project-0'")).toBeCloseTo(0.1, 2);
    expect(await countOf(store, 'SELECT uniqExact(project_id) AS n FROM dats.provenance')).toBe(ROWS.projects);
  });

  test('consume only what an accepted execution of the same project made before', async () => {
    const inputs = await countOf(store, 'SELECT sum(length(consumed_ids)) AS n FROM dats.provenance');
    const found = await countOf(
      store,
      `SELECT count() AS n FROM (SELECT project_id, time, arrayJoin(consumed_ids) AS id FROM dats.provenance) AS c
       INNER JOIN (SELECT project_id, time, arrayJoin(artifact_ids) AS id FROM dats.provenance WHERE status = 'accepted') AS m
       ON c.id = m.id AND c.project_id = m.project_id WHERE m.time < c.time`,
    );
    expect(inputs).toBeGreaterThan(0);
    expect(found).toBe(inputs);
  });

  test('are the same in whatever chunks they come', async () => {
    const digest =
      'SELECT groupBitXor(cityHash64(topic, offset, id, time, task_id, execution_status, artifact_ids, consumed_ids, data)) AS n FROM dats.events';
    const first = await countOf(store, digest);
    await store.command('TRUNCATE TABLE dats.events');
    await store.command(endingsSql(ROWS, 0, ROWS.executions));
    await store.command(outputsSql(ROWS, 0, ROWS.executions));
    expect(first).not.toBe(0);
    expect(await countOf(store, digest)).toBe(first);
  });
});
