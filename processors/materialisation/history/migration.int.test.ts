// A new numbered file on a full database: what was there answers, what is new is filled.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type DataOf, derivedId, LIFECYCLE, TELEMETRY } from '../../../schemas/index.js';
import { migrate, readMigrations } from '../../../streams/clickhouse/index.js';
import { outgoing } from '../../../streams/index.js';
import { openMemoryLog } from '../../../streams/memory/index.js';
import { eventOf } from '../../testing/index.js';
import { ingestHistory } from './ingest.js';
import { cleanUp, MIGRATIONS_DIR, openEmbedded } from './testing/engine.js';

const ROWS = 200_000;
const WITHIN = { timeout: 90_000, interval: 200 };
const NEW_FILE = `-- Counts by operation.
ALTER TABLE dats.events ADD COLUMN IF NOT EXISTS region LowCardinality(String) DEFAULT 'unknown';
ALTER TABLE dats.project_days ADD COLUMN IF NOT EXISTS alerts SimpleAggregateFunction(sum, UInt64);

CREATE TABLE IF NOT EXISTS dats.operations
(
    operation LowCardinality(String),
    topic LowCardinality(String),
    partition UInt16,
    calls SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (operation, topic, partition)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS dats.operations_mv TO dats.operations AS
SELECT operation, topic, partition, count() AS calls FROM dats.events WHERE type = 'dats.model.called' GROUP BY operation, topic, partition;
`;

afterEach(cleanUp);

test(`a column, a table and a view are added to ${ROWS} rows: old answers stay, new ones are filled, and it goes on`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dats-migrations-'));
  const log = openMemoryLog({ partitions: 2 });
  try {
    cpSync(MIGRATIONS_DIR, folder, { recursive: true });
    let files = await readMigrations(folder);
    const store = openEmbedded();
    const generation = async () => (await migrate(store, files)).generation;
    const call = (n: number): DataOf<'dats.model.called'> => ({
      operation: n % 4 === 0 ? 'embeddings' : 'chat',
      model: `m${n % 3}`,
      request_model: 'm',
      provider: 'p',
      purpose: 'generate',
      task_id: `t${n % 1_000}`,
      attempt: 1,
      node: 'n',
      input_tokens: n % 100,
      output_tokens: 1,
      cost_usd: 0.000001,
      duration_ms: 1 + (n % 5_000),
      outcome: 'ok',
    });
    const begin = Date.now() - 86_400_000;
    const append = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 5_000) {
        const events = Array.from({ length: Math.min(5_000, to - n) }, (_, i) =>
          eventOf('dats.model.called', call(n + i), {
            id: derivedId('call', n + i),
            projectid: `p${(n + i) % 7}`,
            time: new Date(begin + (n + i) * 10).toISOString(),
          }),
        );
        await log.append(events.map((event) => outgoing(TELEMETRY, event)));
      }
    };
    await append(0, ROWS);
    await log.join('history', [LIFECYCLE, TELEMETRY], (assignment) =>
      ingestHistory(assignment, { log, analytics: store, generation, flushMs: 20, lookMs: 500 }),
    );
    const count = async (): Promise<number> =>
      Number((await store.query<{ n: number }>('SELECT count() AS n FROM dats.events').catch(() => []))[0]?.n);
    await expect.poll(count, WITHIN).toBe(ROWS);
    const old = () =>
      store.query<{ calls: number }>(
        'SELECT project_id, sum(calls) AS calls, toString(sum(cost_usd)) AS cost, quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms) AS q FROM dats.call_minutes GROUP BY project_id ORDER BY project_id',
      );
    // A block is in its table before it is in those made of it.
    await expect.poll(async () => (await old()).reduce((sum, { calls }) => sum + Number(calls), 0), WITHIN).toBe(ROWS);
    const before = await old();

    writeFileSync(join(folder, '900_operations.sql'), NEW_FILE);
    files = await readMigrations(folder);
    expect((await Promise.all([migrate(store, files), migrate(store, files)])).map(({ applied }) => applied.length <= 1)).toEqual([
      true,
      true,
    ]);
    const operations = (): Promise<unknown> =>
      store.query('SELECT operation, sum(calls) AS calls FROM dats.operations GROUP BY operation ORDER BY operation');
    await expect.poll(operations, WITHIN).toEqual([
      { operation: 'chat', calls: (ROWS * 3) / 4 },
      { operation: 'embeddings', calls: ROWS / 4 },
    ]);
    await expect.poll(count, WITHIN).toBe(ROWS);
    // Whoever looks between a new table and its view sees a generation of its own: all may be brought twice.
    await expect.poll(old, WITHIN).toEqual(before);
    const regions = () => store.query('SELECT region, count() AS n FROM dats.events GROUP BY region');
    await expect.poll(regions, WITHIN).toEqual([{ region: 'unknown', n: ROWS }]);

    await append(ROWS, ROWS + 100);
    await expect.poll(count, WITHIN).toBe(ROWS + 100);
    await expect.poll(operations, WITHIN).toEqual([
      { operation: 'chat', calls: (ROWS * 3) / 4 + 75 },
      { operation: 'embeddings', calls: ROWS / 4 + 25 },
    ]);

    writeFileSync(join(folder, '900_operations.sql'), `${NEW_FILE}\n-- A change that came too late.\n`);
    await expect(migrate(store, await readMigrations(folder))).rejects.toMatchObject({ kind: 'terminal', code: 'migration_changed' });
  } finally {
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
