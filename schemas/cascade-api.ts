// What is asked and answered over HTTP about taint, impact, cascades, rollbacks and a project as it was.
import { z } from 'zod';
import { STATES } from './api.js';
import {
  CASCADE_OUTCOMES,
  CASCADE_TRIGGERS,
  cascadeLimitsSchema,
  EDGE_KINDS,
  REVALIDATION_VERDICTS,
  SEVERITIES,
  selectorShape,
} from './cascade.js';
import { pathSchema, sha256Schema } from './content.js';
import { ROLLBACK_OUTCOMES, rollbackTargetSchema, TASK_POLICIES } from './rollback.js';
import { projectIdSchema, taskIdSchema } from './task.js';

const reason = z.string().min(1).max(1_000);
const by = z.string().min(1).max(128).optional();
const idSchema = z.string().min(1).max(64);
/** How an artifact stands. */
export const MARKS = ['clean', 'suspect', 'tainted'] as const;
export type Mark = (typeof MARKS)[number];

export const taintSchema = z
  .strictObject({
    ...selectorShape,
    /** Only in this project; without it in every project where something fits. */
    project_id: projectIdSchema.optional(),
    reason,
    by,
    /** Answers with the impact, and does nothing. */
    dry_run: z.boolean().default(false),
    limits: cascadeLimitsSchema.partial().optional(),
  })
  .refine(
    ({ artifact_id, task_id, model, model_digest, prompt_version, node, config_version, from, until }) =>
      [artifact_id, task_id, model, model_digest, prompt_version, node, config_version, from, until].some((field) => field !== undefined),
    'names nothing: give artifact_id, task_id, model, model_digest, prompt_version, node, config_version, from or until',
  );
export type TaintBody = z.infer<typeof taintSchema>;

/** What redoing would take, by what it took: tokens, milliseconds of model time, USD where prices are known. */
const forecastSchema = z.object({
  executions: z.int(),
  tokens: z.int(),
  model_ms: z.number(),
  cost_usd: z.number().nullable(),
  /** Executions for which no price is known. */
  unpriced: z.int(),
});

export const IMPACT_NODES_LIMIT = 10_000;
export const impactSchema = z.object({
  project_id: projectIdSchema,
  /** Artifacts that were named. */
  roots: z.int(),
  /** With the roots. */
  artifacts: z.int(),
  tasks: z.int(),
  open_tasks: z.int(),
  paths: z.int(),
  depth: z.int(),
  /** Artifacts at each depth; the first are the roots. */
  by_depth: z.array(z.int()),
  /** How they stand now. */
  by_mark: z.record(z.enum(MARKS), z.int()),
  forecast: forecastSchema,
  /** True where a limit cut it. */
  cut: z.boolean(),
});
export type Impact = z.infer<typeof impactSchema>;

export const impactNodeSchema = z.object({
  artifact_id: idSchema,
  task_id: taskIdSchema.nullable(),
  path: pathSchema.nullable(),
  depth: z.int(),
  via: idSchema.nullable(),
  edge: z.enum(EDGE_KINDS).nullable(),
  mark: z.enum(MARKS),
  /** It is the version that stands. */
  head: z.boolean(),
  model: z.string().nullable(),
});
export type ImpactNode = z.infer<typeof impactNodeSchema>;

export const impactQuerySchema = z.strictObject({
  direction: z.enum(['down', 'up']).default('down').meta({ description: 'down: what was made from it; up: what it was made from.' }),
  depth: z.coerce.number().int().min(0).max(1_000).default(1_000).meta({ description: 'Steps at most.' }),
  limit: z.coerce
    .number()
    .int()
    .min(0)
    .max(IMPACT_NODES_LIMIT)
    .default(1_000)
    .meta({ description: 'Artifacts listed at most; all are counted.' }),
});
export const impactAnswerSchema = z.object({
  id: z.string(),
  impact: impactSchema,
  nodes: z.array(impactNodeSchema),
  truncated: z.boolean(),
  /** Milliseconds that finding it took. */
  took_ms: z.number(),
});
export type ImpactAnswer = z.infer<typeof impactAnswerSchema>;

export const taintAnswerSchema = z.object({
  dry_run: z.boolean(),
  recall_id: idSchema.nullable(),
  /** One a project; none where nothing fits. */
  cascades: z.array(z.object({ cascade_id: idSchema.nullable(), project_id: projectIdSchema, impact: impactSchema })),
});
export type TaintAnswer = z.infer<typeof taintAnswerSchema>;

export const CASCADE_STATES = ['requested', 'running', 'cancelling', ...CASCADE_OUTCOMES] as const;
export const cascadeViewSchema = z.object({
  cascade_id: idSchema,
  project_id: projectIdSchema,
  recall_id: idSchema.nullable(),
  state: z.enum(CASCADE_STATES),
  trigger: z.enum(CASCADE_TRIGGERS),
  selector: z.strictObject(selectorShape),
  reason: z.string(),
  by: z.string(),
  roots: z.int(),
  reach: z.object({ artifacts: z.int(), tasks: z.int(), depth: z.int() }),
  tainted: z.int(),
  suspect: z.int(),
  cleared: z.int(),
  already_tainted: z.int(),
  /** Reached and not marked yet. */
  remaining: z.int(),
  depth: z.int(),
  requested_at: z.string(),
  completed_at: z.string().nullable(),
  detail: z.string().nullable(),
  /** Offsets of its first and newest event in the project's partition. */
  first_offset: z.int(),
  last_offset: z.int(),
});
export type CascadeView = z.infer<typeof cascadeViewSchema>;

export const cascadeMarkSchema = z.object({
  artifact_id: idSchema,
  task_id: taskIdSchema,
  path: pathSchema,
  depth: z.int(),
  state: z.enum(['tainted', 'suspect', 'cleared']),
  via: idSchema.nullable(),
  verdict: z.enum(REVALIDATION_VERDICTS).nullable(),
});
export const cascadeAnswerSchema = cascadeViewSchema.extend({
  /** What it marked, in order; at most 1,000. */
  marks: z.array(cascadeMarkSchema),
  truncated: z.boolean(),
});
export type CascadeAnswer = z.infer<typeof cascadeAnswerSchema>;

export const cascadeListQuerySchema = z.strictObject({
  project_id: projectIdSchema.optional(),
  state: z.enum(CASCADE_STATES).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const cascadeListSchema = z.object({ cascades: z.array(cascadeViewSchema) });
export const cascadeCancelSchema = z.strictObject({ reason: z.string().max(1_000).default('cancelled by the user'), by });

export const securityAlertSchema = z
  .strictObject({
    kind: z.string().min(1).max(128),
    severity: z.enum(SEVERITIES),
    artifact_id: idSchema.optional(),
    task_id: taskIdSchema.optional(),
    detail: z.string().min(1).max(8_000),
    by,
  })
  .refine(
    ({ artifact_id, task_id }) => (artifact_id === undefined) !== (task_id === undefined),
    'give exactly one of artifact_id and task_id',
  );
export const securityAlertAnswerSchema = z.object({
  alert_id: idSchema,
  project_id: projectIdSchema,
  /** The cascade that it begins by policy; null where the policy asks for none. */
  cascade_id: idSchema.nullable(),
});

/** A person says, after the task was completed, that its result is wrong. */
export const rejectTaskSchema = z.strictObject({ reason, by });
export const rejectTaskAnswerSchema = z.object({
  task_id: taskIdSchema,
  attempt: z.int(),
  /** The cascade that it begins by policy; null where the policy asks for none. */
  cascade_id: idSchema.nullable(),
});

export const rollbackSchema = z
  .strictObject({
    /** Needed with `to`; the others name their project themselves. */
    project_id: projectIdSchema.optional(),
    cascade_id: idSchema.optional(),
    task_id: taskIdSchema.optional(),
    rollback_id: idSchema.optional(),
    /** An instant (RFC 3339), a position (`p0-17`), or the id of an event: files stand again as they stood before it (an instant: at it). */
    to: z.string().min(1).max(64).optional(),
    tasks: z.enum(TASK_POLICIES).default('close'),
    reason: z.string().max(1_000).default('rolled back by the user'),
    by,
    dry_run: z.boolean().default(false),
  })
  .refine(
    ({ cascade_id, task_id, rollback_id, to }) =>
      [cascade_id, task_id, rollback_id, to].filter((target) => target !== undefined).length === 1,
    'give exactly one of cascade_id, task_id, rollback_id and to',
  )
  .refine(({ to, project_id }) => to === undefined || project_id !== undefined, '"to" needs project_id');
export type RollbackBody = z.infer<typeof rollbackSchema>;

export const versionSchema = z.object({
  artifact_id: idSchema,
  task_id: taskIdSchema,
  sha256: sha256Schema,
  made_at: z.string(),
  mark: z.enum(MARKS),
});
export type Version = z.infer<typeof versionSchema>;

export const pathChangeSchema = z.object({
  path: pathSchema,
  /** The version that stands; null: none. */
  from: versionSchema.nullable(),
  to: versionSchema.nullable(),
});
export type PathChange = z.infer<typeof pathChangeSchema>;

export const rollbackPlanSchema = z.object({
  project_id: projectIdSchema,
  target: rollbackTargetSchema,
  changes: z.array(pathChangeSchema),
  /** Tasks behind what is taken back. */
  tasks: z.array(
    z.object({ task_id: taskIdSchema, state: z.enum(['open', 'completed', 'ended']), action: z.enum(['cancel', 'redo', 'keep']) }),
  ),
  config_then: z.string().nullable(),
  config_now: z.string(),
});
export type RollbackPlan = z.infer<typeof rollbackPlanSchema>;

export const ROLLBACK_STATES = ['requested', 'running', ...ROLLBACK_OUTCOMES] as const;
export const rollbackViewSchema = z.object({
  rollback_id: idSchema,
  project_id: projectIdSchema,
  state: z.enum(ROLLBACK_STATES),
  target: rollbackTargetSchema,
  tasks: z.enum(TASK_POLICIES),
  reason: z.string(),
  by: z.string(),
  paths: z.int(),
  affected_tasks: z.int(),
  reverted: z.int(),
  restored: z.int(),
  skipped: z.int(),
  tasks_closed: z.int(),
  tasks_requeued: z.int(),
  config_then: z.string().nullable(),
  config_now: z.string().nullable(),
  requested_at: z.string(),
  completed_at: z.string().nullable(),
  detail: z.string().nullable(),
  first_offset: z.int(),
  last_offset: z.int(),
});
export type RollbackView = z.infer<typeof rollbackViewSchema>;
export const rollbackListQuerySchema = z.strictObject({
  project_id: projectIdSchema.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const rollbackListSchema = z.object({ rollbacks: z.array(rollbackViewSchema) });
export const rollbackAnswerSchema = z.object({ dry_run: z.boolean(), rollback_id: idSchema.nullable(), plan: rollbackPlanSchema });
export type RollbackAnswer = z.infer<typeof rollbackAnswerSchema>;

export const projectStateQuerySchema = z.strictObject({
  at: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .meta({ description: 'An instant (RFC 3339), a position (`p0-17`, that event included), or the id of an event; default: now.' }),
});
export const projectStateSchema = z.object({
  project_id: projectIdSchema,
  /** What was asked for, and the last event of the project that is in it; null: the project had none. */
  at: z.string().nullable(),
  position: z.string().nullable(),
  time: z.string().nullable(),
  config_version: z.string().nullable(),
  events: z.int(),
  files: z.array(z.object({ path: pathSchema, version: versionSchema, versions: z.int() })),
  tasks: z.array(
    z.object({
      task_id: taskIdSchema,
      title: z.string(),
      state: z.enum(STATES),
      attempt: z.int(),
      flags: z.array(z.string()),
      created_at: z.string(),
    }),
  ),
  counts: z.partialRecord(z.enum(STATES), z.int()),
});
export type ProjectState = z.infer<typeof projectStateSchema>;
