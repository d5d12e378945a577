// What is asked of history over HTTP, and what is answered: provenance, lineage, SQL, statistics. Executions and artifacts are those of deploy/clickhouse.
import { z } from 'zod';
import { callSummarySchema, decisionSchema } from './model-choice.js';

export const EXECUTION_STATUSES = ['accepted', 'rejected', 'failed', 'timed_out', 'cancelled'] as const;
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number];
/** From harmless to worst. `reverted`: it was tainted, and is not in use any more. */
export const TAINTS = ['clean', 'reverted', 'suspect', 'tainted'] as const;
export type Taint = (typeof TAINTS)[number];
export const LINEAGE_DIRECTIONS = ['up', 'down'] as const;
export type LineageDirection = (typeof LINEAGE_DIRECTIONS)[number];

/** Artifacts in one lineage; above, it is cut and says so. */
export const LINEAGE_NODES_LIMIT = 10_000;
export const LINEAGE_DEPTH_LIMIT = 50;
export const PROVENANCE_PAGE_LIMIT = 1_000;
export const STATS_ROWS_LIMIT = 10_000;
/** Of a statement, in characters. */
export const SQL_LIMIT = 100_000;
/** Of all values of a statement, in characters of JSON: they travel in an address. */
const PARAMETERS_LIMIT = 64 * 1024;

/** What an execution is known by in lists. */
const executionShape = {
  provenance_id: z.string(),
  project_id: z.string(),
  task_id: z.string(),
  parent_id: z.string().nullable(),
  attempt: z.int(),
  status: z.enum(EXECUTION_STATUSES),
  model: z.string().nullable(),
  provider: z.string().nullable(),
  scripted: z.boolean(),
  prompt_version: z.string().nullable(),
  tier: z.string().nullable(),
  domain: z.string().nullable(),
  node: z.string().nullable(),
  started_at: z.string().nullable(),
  /** When it had its verdict, or ended without one. */
  finished_at: z.string(),
  /** Of the model's work, milliseconds. */
  duration_ms: z.number().nullable(),
  input_tokens: z.number(),
  output_tokens: z.number(),
  score: z.number().nullable(),
  error_code: z.string().nullable(),
  taint: z.enum(TAINTS),
} as const;

export const executionSchema = z.object({
  ...executionShape,
  artifacts: z.array(z.object({ artifact_id: z.string(), path: z.string() })),
});
export type Execution = z.infer<typeof executionSchema>;

/** Everything that is recorded of an execution: one attempt of a task. */
export const provenanceSchema = z.object({
  ...executionShape,
  mode: z.string().nullable(),
  priority: z.string().nullable(),
  model_digest: z.string().nullable(),
  prompt_sha256: z.string().nullable(),
  config_version: z.string(),
  worker: z.string().nullable(),
  fence: z.string().nullable(),
  ready_at: z.string().nullable(),
  output_at: z.string().nullable(),
  /** From ready to started, milliseconds. */
  queue_ms: z.number().nullable(),
  /** From ready to finished, milliseconds. */
  total_ms: z.number().nullable(),
  /** USD, of all model calls for it; null where no call, or no price, is known. */
  cost_usd: z.number().nullable(),
  /** Why this model: every candidate, what was known of it, its points. Null where no model was to be chosen. */
  decision: decisionSchema.nullable(),
  /** Every call on the way, those that failed included. */
  calls: z.array(callSummarySchema),
  confidence: z.number().nullable(),
  /** Null where there was nothing to check. */
  verification: z
    .object({
      profile: z.string(),
      score: z.number().nullable(),
      passed: z.array(z.string()),
      failed: z.array(z.string()),
      reasons: z.array(z.string()),
    })
    .nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  artifacts: z.array(
    z.object({
      artifact_id: z.string(),
      path: z.string(),
      type: z.string(),
      sha256: z.string(),
      bytes: z.number(),
      taint: z.enum(TAINTS),
    }),
  ),
  /** What it was made from; the path is null where the artifact is not recorded here. */
  consumed: z.array(z.object({ artifact_id: z.string(), task_id: z.string().nullable(), path: z.string().nullable() })),
  trace_id: z.string().nullable(),
  correlation_id: z.string(),
  /** The event that ended it, and where that stands in the log. */
  event: z.object({ id: z.string(), topic: z.string(), partition: z.int(), offset: z.number() }),
});
export type Provenance = z.infer<typeof provenanceSchema>;

export const provenancePageSchema = z.object({ executions: z.array(executionSchema), next_cursor: z.string().nullable() });

const text = (limit: number, description: string) => z.string().min(1).max(limit).optional().meta({ description });
const instant = (description: string) => z.iso.datetime({ offset: true }).optional().meta({ description });

export const provenanceQuerySchema = z.strictObject({
  project_id: text(128, 'Of this project. With it the list is quickest.'),
  task_id: text(64, 'Of this task: its attempts.'),
  model: text(256, 'Id of the model.'),
  prompt_version: text(128, 'Such as `generate.1`.'),
  node: text(128, 'That did the work.'),
  status: z.enum(EXECUTION_STATUSES).optional(),
  taint: z.enum(TAINTS).optional().meta({ description: 'The worst of its artifacts.' }),
  q: text(256, 'Part of the path of one of its artifacts.'),
  since: instant('Finished at this instant or later, RFC 3339.'),
  until: instant('Finished before this instant, RFC 3339.'),
  limit: z.coerce.number().int().min(1).max(PROVENANCE_PAGE_LIMIT).default(50).meta({ description: 'Items a page.' }),
  cursor: text(1_024, 'From `next_cursor` or `Link: rel="next"` of the page before.'),
});
export type ProvenanceQuery = z.infer<typeof provenanceQuerySchema>;

export const lineageQuerySchema = z.strictObject({
  direction: z.enum(LINEAGE_DIRECTIONS).default('up').meta({ description: '`up`: what it was made from. `down`: what was made from it.' }),
  depth: z.coerce.number().int().min(1).max(LINEAGE_DEPTH_LIMIT).default(10).meta({ description: 'Steps.' }),
});

export const lineageNodeSchema = z.object({
  artifact_id: z.string(),
  /** Steps from where it was asked. */
  depth: z.int(),
  path: z.string().nullable(),
  task_id: z.string().nullable(),
  project_id: z.string().nullable(),
  provenance_id: z.string().nullable(),
  attempt: z.int().nullable(),
  model: z.string().nullable(),
  /** Of the execution that made it; null while that has no verdict. */
  status: z.enum(EXECUTION_STATUSES).nullable(),
  taint: z.enum(TAINTS),
});
export type LineageNode = z.infer<typeof lineageNodeSchema>;

export const lineageSchema = z.object({
  id: z.string(),
  direction: z.enum(LINEAGE_DIRECTIONS),
  depth: z.int(),
  /** Where it begins: the artifact, or those of the task or execution. */
  roots: z.array(z.string()),
  /** Breadth first, each once. */
  nodes: z.array(lineageNodeSchema),
  /** `target` was made from `source`. */
  edges: z.array(z.object({ source: z.string(), target: z.string(), kind: z.string() })),
  /** There is more than fits. */
  truncated: z.boolean(),
});
export type Lineage = z.infer<typeof lineageSchema>;

export const columnSchema = z.object({ name: z.string(), type: z.string() });
/** What a cell holds: JSON. Whole numbers above 2^53 are strings of digits, times RFC 3339. */
export const rowsSchema = z.array(z.array(z.unknown()));

const scalar = z.union([z.string(), z.number(), z.boolean()]);
export const queryBodySchema = z.strictObject({
  sql: z.string().min(1).max(SQL_LIMIT),
  /** Values for `{name:Type}` in the statement. */
  parameters: z
    .record(z.string().regex(/^\w{1,64}$/), z.union([scalar, z.array(z.union([z.string(), z.number()]))]))
    .refine((values) => JSON.stringify(values).length <= PARAMETERS_LIMIT, `at most ${PARAMETERS_LIMIT} characters in all`)
    .default({}),
});

export const queryAnswerSchema = z.object({
  columns: z.array(columnSchema),
  rows: rowsSchema,
  row_count: z.int(),
  elapsed_ms: z.number(),
  /** Rows that were looked at. */
  rows_read: z.number(),
});
export type QueryAnswer = z.infer<typeof queryAnswerSchema>;

export const statsQuerySchema = z.strictObject({
  project_id: text(128, 'Of this project; all where it is not given.'),
  since: instant('From this instant, RFC 3339; figures of days and minutes are taken whole.'),
  until: instant('Before this instant, RFC 3339.'),
  limit: z.coerce.number().int().min(1).max(STATS_ROWS_LIMIT).default(100).meta({ description: 'Rows at most.' }),
});
export type StatsQuery = z.infer<typeof statsQuerySchema>;

export const statsNameSchema = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9-]*$/, 'small letters, digits and "-"');
export const statsAnswerSchema = z.object({ name: z.string(), question: z.string(), columns: z.array(columnSchema), rows: rowsSchema });
export type StatsAnswer = z.infer<typeof statsAnswerSchema>;
export const statsListSchema = z.object({ stats: z.array(z.object({ name: z.string(), question: z.string() })) });

export const rebuildBodySchema = z.strictObject({
  /** Which views; there is one kind that is rebuilt by asking. */
  views: z
    .array(z.enum(['analytics']))
    .min(1)
    .max(1)
    .default(['analytics']),
});
export const rebuildAnswerSchema = z.object({ views: z.array(z.string()), detail: z.string() });
export const migratedSchema = z.object({
  /** Files that were applied now. */
  applied: z.array(z.string()),
  /** A new one whenever the tables were made anew. */
  generation: z.string(),
});
