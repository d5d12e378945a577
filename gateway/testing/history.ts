// History on the embedded engine, filled by hand: rows of `dats.events` as the processors write them, without the processors.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrate, openClickhouse, readMigrations } from '../../streams/clickhouse/index.js';
import type { Analytics, AskLimits } from '../../streams/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What `npm run build` made of it. */
const ENGINE = join(ROOT, 'dist/streams/clickhouse/engine/main.js');

export type EventRow = Readonly<Record<string, unknown>>;

export interface History {
  readonly analytics: Analytics;
  readonly dir: string;
  /** Each with an offset of its own, where it names none. */
  insert(...rows: readonly EventRow[]): Promise<void>;
  close(): Promise<void>;
}

/** RFC 3339 as the columns take it. */
const columnTime = (value: unknown): unknown =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT.*Z$/.test(value) ? value.replace('T', ' ').replace('Z', '') : value;

const LIMITS: AskLimits = { timeoutMs: 10_000, rows: 10_000, memoryBytes: 512 * 1024 * 1024 };

export const openHistory = async (limits: Partial<AskLimits> = {}): Promise<History> => {
  const dir = await mkdtemp(join(tmpdir(), 'dats-history-'));
  const analytics = openClickhouse({ embedded: { dir: join(dir, 'clickhouse'), limits: { ...LIMITS, ...limits }, engine: ENGINE } });
  await migrate(analytics, await readMigrations(join(ROOT, 'deploy/clickhouse')));
  let offset = 0;
  return {
    analytics,
    dir,
    insert: async (...rows) => {
      const lines = rows.map((row) =>
        JSON.stringify({
          topic: 'dats.lifecycle',
          partition: 0,
          offset: offset++,
          ...Object.fromEntries(Object.entries(row).map(([name, value]) => [name, columnTime(value)])),
        }),
      );
      await analytics.insert('dats.events', `${lines.join('\n')}\n`, `test-${offset}`);
    },
    close: async () => {
      await analytics.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
};

export interface MadeOptions {
  readonly project?: string;
  readonly task?: string;
  readonly attempt?: number;
  readonly status?: string;
  readonly at?: string;
  readonly model?: string;
  readonly prompt?: string;
  readonly node?: string;
  /** Path -> artifact id. */
  readonly artifacts?: Readonly<Record<string, string>>;
  /** Artifact id -> its task. */
  readonly consumed?: Readonly<Record<string, string>>;
  readonly over?: EventRow;
}

const later = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString();

/** An execution: its output, and the event that ended it. */
export const execution = (options: MadeOptions = {}): readonly EventRow[] => {
  const { project = 'p', task = 't1', attempt = 1, status = 'accepted', at = '2026-11-21T10:00:00.000Z' } = options;
  const { model = 'qwen', prompt = 'generate.1', node = 'n1', artifacts = {}, consumed = {}, over = {} } = options;
  const paths = Object.keys(artifacts);
  const shared = {
    project_id: project,
    task_id: task,
    subject: task,
    attempt,
    provenance_id: `prov-${task}-${attempt}`,
    correlation_id: `corr-${task}`,
    trace_id: '0af7651916cd43dd8448eb211c80319c',
    config_version: 'c0ffee',
    source: '/effects/generation',
    mode: 'new_project',
    domain: 'code',
    tier: 'small',
    priority: 'normal',
    node,
    worker: `${node}:1`,
    fence: '7',
    ready_at: later(at, -1_000),
    started_at: later(at, -900),
    output_at: later(at, -200),
    model,
    provider: 'ollama',
    prompt_version: prompt,
    prompt_sha256: 'ab'.repeat(32),
    input_tokens: 100,
    output_tokens: 50,
    duration_ms: 700,
    artifact_ids: paths.map((path) => artifacts[path]!),
    artifact_paths: paths,
    artifact_types: paths.map(() => 'python'),
    artifact_sha256: paths.map(() => 'cd'.repeat(32)),
    artifact_bytes: paths.map(() => 42),
    consumed_ids: Object.keys(consumed),
    consumed_tasks: Object.values(consumed),
  };
  const verdict = {
    ...shared,
    id: `end-${task}-${attempt}`,
    type: status === 'accepted' ? 'dats.task.validated' : 'dats.task.rejected',
    time: at,
    execution_status: status,
    profile: 'tests',
    score: status === 'accepted' ? 1 : 0.5,
    checks_passed: ['syntax:python'],
    checks_failed: status === 'accepted' ? [] : ['tests:python'],
    reasons: status === 'accepted' ? [] : ['add(1, 2) gave 4'],
    ...over,
  };
  const output = { ...shared, id: `out-${task}-${attempt}`, type: 'dats.task.output.created', time: later(at, -200) };
  return paths.length === 0 ? [verdict] : [output, verdict];
};

export const call = (options: { readonly task?: string; readonly attempt?: number; readonly over?: EventRow } = {}): EventRow => {
  const { task = 't1', attempt = 1, over = {} } = options;
  return {
    topic: 'dats.telemetry',
    id: `call-${task}-${attempt}`,
    type: 'dats.model.called',
    time: '2026-11-21T09:59:59.500Z',
    project_id: 'p',
    task_id: task,
    attempt,
    node: 'n1',
    model: 'qwen',
    provider: 'ollama',
    operation: 'chat',
    purpose: 'generate',
    outcome: 'ok',
    input_tokens: 100,
    output_tokens: 50,
    duration_ms: 700,
    first_chunk_ms: 40,
    cost_usd: '0.002500000',
    price_version: '2026-11',
    ...over,
  };
};

export const mark = (
  artifact: string,
  how: 'tainted' | 'suspect' | 'reverted' | 'revalidated',
  at = '2026-11-21T11:00:00.000Z',
): EventRow => ({
  id: `${how}-${artifact}`,
  type: `dats.artifact.${how}`,
  subject: artifact,
  project_id: 'p',
  time: at,
  ...(how === 'revalidated' ? { data: JSON.stringify({ verdict: 'cleared' }) } : {}),
});
