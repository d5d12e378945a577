// Examples of what history answers, for the OpenAPI document; a test holds each against its schema.
import type { z } from 'zod';
import type {
  Execution,
  Lineage,
  migratedSchema,
  Provenance,
  QueryAnswer,
  queryBodySchema,
  rebuildAnswerSchema,
  StatsAnswer,
} from '../../schemas/index.js';
import { EXAMPLES } from './examples.js';

const { artifact, task } = EXAMPLES;
const CONSUMED = '7d0e3a52-63f1-5c07-8d0f-93c0f2a5b6d4';

const shape = {
  provenance_id: 'a2b8b0c0-58a0-5d4a-8d7e-2f6f1f6d9c11',
  project_id: task.project_id,
  task_id: task.task_id,
  parent_id: null,
  attempt: 1,
  status: 'accepted',
  model: 'qwen-coder',
  provider: 'ollama',
  scripted: false,
  prompt_version: 'generate.1',
  tier: 'small',
  domain: 'code',
  node: 'local',
  started_at: '2026-11-21T09:00:00.010Z',
  finished_at: '2026-11-21T09:00:00.450Z',
  duration_ms: 190,
  input_tokens: 412,
  output_tokens: 96,
  score: 1,
  error_code: null,
  taint: 'clean',
} as const;

const execution: Execution = { ...shape, artifacts: [{ artifact_id: artifact.artifact_id, path: artifact.path }] };

const provenance: Provenance = {
  ...shape,
  mode: 'new_project',
  priority: 'normal',
  model_digest: null,
  prompt_sha256: artifact.sha256,
  config_version: '5f2a90c11b7e',
  worker: 'local:4711',
  fence: '3',
  ready_at: '2026-11-21T09:00:00.004Z',
  output_at: '2026-11-21T09:00:00.200Z',
  queue_ms: 6,
  total_ms: 446,
  cost_usd: 0.00021,
  confidence: null,
  verification: { profile: 'tests', score: 1, passed: ['syntax:python', 'tests:python'], failed: [], reasons: [] },
  error: null,
  artifacts: [
    {
      artifact_id: artifact.artifact_id,
      path: artifact.path,
      type: artifact.type,
      sha256: artifact.sha256,
      bytes: artifact.bytes,
      taint: 'clean',
    },
  ],
  consumed: [{ artifact_id: CONSUMED, task_id: '01936b2e-7b00-7d30-9d1c-5f0f3a6f2b10', path: 'README.md' }],
  decision: {
    chosen: 'qwen-coder',
    reason: 'score',
    config_version: 'c0ffee123456+3',
    candidates: [
      {
        id: 'qwen-coder',
        verdict: 'chosen',
        tier_distance: 0,
        preference: 10,
        features: { load: 0.25, loaded: true },
        score: 15,
        parts: { preference: 10, load: 5, cold: 0 },
      },
    ],
  },
  calls: [{ model: 'qwen-coder', provider: 'ollama', outcome: 'ok', input_tokens: 812, output_tokens: 240, duration_ms: 5_210 }],
  trace_id: '01936b2e7c1970008000000000000001',
  correlation_id: task.correlation_id,
  event: { id: '01936b2e-7ddc-7000-8000-0000000000aa', topic: 'dats.lifecycle', partition: 2, offset: 18 },
};

const lineage: Lineage = {
  id: artifact.artifact_id,
  direction: 'up',
  depth: 10,
  roots: [artifact.artifact_id],
  nodes: [
    {
      artifact_id: artifact.artifact_id,
      depth: 0,
      path: artifact.path,
      task_id: task.task_id,
      project_id: task.project_id,
      provenance_id: shape.provenance_id,
      attempt: 1,
      model: shape.model,
      status: 'accepted',
      taint: 'clean',
    },
  ],
  edges: [],
  truncated: false,
};

const query: z.input<typeof queryBodySchema> = {
  sql: 'SELECT model, count() AS executions FROM dats.provenance WHERE project_id = {project:String} GROUP BY model ORDER BY executions DESC',
  parameters: { project: 'calculator' },
};
const answer: QueryAnswer = {
  columns: [
    { name: 'model', type: 'LowCardinality(String)' },
    { name: 'executions', type: 'UInt64' },
  ],
  rows: [['qwen-coder', 42]],
  row_count: 1,
  elapsed_ms: 3.2,
  rows_read: 8_192,
};
const stats: StatsAnswer = {
  name: 'first-pass-yield',
  question: 'Which share of tasks is accepted at the first attempt, by model, prompt version and tier?',
  columns: answer.columns,
  rows: answer.rows,
};
const rebuild: z.infer<typeof rebuildAnswerSchema> = {
  views: ['analytics'],
  detail: 'the tables are empty and are filled from the log again',
};
const migrated: z.infer<typeof migratedSchema> = { applied: ['006_more.sql'], generation: '15fe17fd-5bd3-4ea2-97a2-d006e5278ba2' };

export const HISTORY_EXAMPLES = { execution, provenance, lineage, query, answer, stats, rebuild, migrated } as const;
