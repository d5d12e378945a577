// The SQL of the ClickHouse dashboard against the real tables, in the embedded engine.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate, openClickhouse, readMigrations } from '../../streams/clickhouse/index.js';
import type { Analytics, AskLimits } from '../../streams/index.js';
import { type Panel, readDashboards } from '../prometheus/testing/queries.js';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const LIMITS: AskLimits = { timeoutMs: 10_000, rows: 1_000, memoryBytes: 1_073_741_824 };
/** Seconds. Of today: minutes are not kept for ever. */
const NOW = Math.floor(Date.now() / 1_000);
const [FROM, TO] = [NOW - 3_600, NOW + 3_600];

/** As Grafana's ClickHouse plugin writes its macros out. */
const written = (sql: string): string =>
  sql
    .replace(/\$__timeFilter\((\w+)\)/g, `$1 >= toDateTime(${FROM}) AND $1 <= toDateTime(${TO})`)
    .replace(/\$__timeInterval\((\w+)\)/g, 'toStartOfInterval(toDateTime($1), INTERVAL 60 second)')
    .replaceAll('$__fromTime', `toDateTime(${FROM})`)
    .replaceAll('$__toTime', `toDateTime(${TO})`);

let offset = 0;
const event = (row: object): string =>
  JSON.stringify({
    topic: 'dats.lifecycle',
    partition: 0,
    offset: offset++,
    time: new Date(NOW * 1_000).toISOString().slice(0, 23).replace('T', ' '),
    project_id: 'p',
    task_id: 't',
    attempt: 1,
    node: 'n',
    ...row,
  });

let dir: string;
let store: Analytics;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-dashboard-'));
  const engine = at('../../dist/streams/clickhouse/engine/main.js');
  store = openClickhouse({ embedded: { dir: join(dir, 'clickhouse'), limits: LIMITS, engine } });
  await migrate(store, await readMigrations(at('../clickhouse')));
  const execution = { model: 'm', prompt_version: 'generate@1', tier: 'small', duration_ms: 1_000, provenance_id: 'x' };
  const rows = [
    event({ type: 'dats.task.created', source: '/gateway' }),
    event({
      type: 'dats.model.called',
      model: 'm',
      provider: 'o',
      purpose: 'generate',
      outcome: 'ok',
      input_tokens: 10,
      output_tokens: 5,
      duration_ms: 2_000,
      cost_usd: 0.5,
    }),
    event({ type: 'dats.task.validated', source: '/effects/qa', execution_status: 'accepted', ...execution }),
    event({
      type: 'dats.task.rejected',
      source: '/effects/qa',
      execution_status: 'rejected',
      reasons: ['no'],
      error_code: 'rejected',
      ...execution,
    }),
    event({ type: 'dats.task.completed', source: '/deciders/core', execution_time_ms: 4_000 }),
  ];
  await store.insert('dats.events', rows.join('\n'), 'dashboard-test');
});
afterAll(async () => {
  await store?.close();
  rmSync(dir, { recursive: true, force: true });
});

const panels: readonly Panel[] = [...readDashboards(new URL('./clickhouse/', import.meta.url)).values()].flatMap((one) => one.panels);

it.each(panels.map((panel) => [panel.title, panel] as const))(
  '"%s" asks what the tables can answer',
  async (_title, { type, targets = [] }) => {
    for (const { rawSql = '' } of targets) {
      expect(written(rawSql)).not.toContain('$__');
      const { columns, rows } = await store.ask(written(rawSql), LIMITS);
      expect(rows.length).toBeGreaterThan(0);
      if (type === 'timeseries') expect([columns[0]?.name, columns[0]?.type]).toEqual(['time', expect.stringMatching(/^DateTime/)]);
    }
  },
);
