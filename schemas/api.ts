// What goes over HTTP: bodies of requests (strict: an unknown field is an error that names it) and of answers.
import { z } from 'zod';
import { TAINTS } from './analytics-api.js';
import { LANGUAGES, pathSchema, sha256Schema } from './content.js';
import { checkResultSchema } from './qa.js';
import {
  CONFIDENTIALITIES,
  DOMAINS,
  errorSchema,
  MODES,
  optionsSchema,
  PRIORITIES,
  projectIdSchema,
  QA_PROFILES,
  taskIdSchema,
  testsSchema,
} from './task.js';
import { TIERS } from './topics.js';

/** Longest description, in UTF-8 bytes. Material that is longer belongs into `files`. */
export const DESCRIPTION_LIMIT_BYTES = 1024 * 1024;
export const FILE_LIMIT_BYTES = 10 * 1024 * 1024;
export const BATCH_LIMIT = 10_000;

const utf8Within = (limit: number) => (text: string) => text.length * 3 <= limit || Buffer.byteLength(text) <= limit;

export const submitFileSchema = z.strictObject({
  path: pathSchema,
  content: z.string().refine(utf8Within(FILE_LIMIT_BYTES), `at most ${FILE_LIMIT_BYTES} bytes a file`),
});

export const submitTaskSchema = z.strictObject({
  description: z
    .string()
    .min(1)
    .refine(utf8Within(DESCRIPTION_LIMIT_BYTES), `at most ${DESCRIPTION_LIMIT_BYTES} bytes; put longer material into "files"`),
  project_id: projectIdSchema.default('default'),
  priority: z.enum(PRIORITIES).default('normal'),
  options: z.strictObject(optionsSchema.shape).default({}),
  inputs: z.array(z.string().min(1).max(64)).max(100).default([]),
  files: z.array(submitFileSchema).max(200).default([]),
  tests: z.strictObject(testsSchema.shape).optional(),
  depends_on: z.array(taskIdSchema).max(100).default([]),
  /**
   * In a batch: a name by which later or earlier items of the same batch can `depends_on` this one.
   */
  ref: z.string().min(1).max(64).optional(),
  submitted_by: z.string().min(1).max(128).optional(),
});
export type SubmitTask = z.infer<typeof submitTaskSchema>;

export const STATES = [
  'pending',
  'analyzing',
  'waiting',
  'queued',
  'running',
  'validating',
  'in_review',
  'retrying',
  'completed',
  'failed',
  'cancelled',
] as const;
export type TaskState = (typeof STATES)[number];
export const STATUSES = ['pending', 'running', 'completed', 'failed', 'cancelled'] as const;
export type TaskStatus = (typeof STATUSES)[number];

const COARSE: Readonly<Record<TaskState, TaskStatus>> = {
  pending: 'pending',
  analyzing: 'pending',
  waiting: 'pending',
  queued: 'pending',
  retrying: 'pending',
  running: 'running',
  validating: 'running',
  in_review: 'running',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};
export const statusOf = (state: TaskState): TaskStatus => COARSE[state];

export const acceptedSchema = z.object({
  task_id: taskIdSchema,
  project_id: projectIdSchema,
  status: z.enum(STATUSES),
  created_at: z.string(),
  estimated_completion: z.string().nullable(),
  /** Open tasks of the project before this one; null when it is not known. */
  position: z.int().nullable(),
  /** The node that decides the project, where that is another one: the task is on disk here, and goes there as soon as there is a line. */
  home: z.string().optional(),
});

export const artifactViewSchema = z.object({
  artifact_id: z.string(),
  task_id: taskIdSchema,
  project_id: projectIdSchema,
  type: z.enum(LANGUAGES),
  path: pathSchema,
  sha256: sha256Schema,
  bytes: z.int(),
  attempt: z.int(),
  /** True once the attempt's verdict accepted it. */
  accepted: z.boolean(),
  /** How it stands now. */
  taint: z.enum(TAINTS),
  created_at: z.string(),
  /** Where it came from. */
  model: z.string(),
  provider: z.string(),
  scripted: z.boolean(),
  prompt_version: z.string(),
  consumed: z.array(z.string()),
  /** Offset of its event in the project's partition. */
  at: z.int(),
});
export type ArtifactView = z.infer<typeof artifactViewSchema>;

export const taskViewSchema = z.object({
  task_id: taskIdSchema,
  project_id: projectIdSchema,
  status: z.enum(STATUSES),
  state: z.enum(STATES),
  /** The first 200 characters of the description. */
  title: z.string(),
  priority: z.enum(PRIORITIES),
  mode: z.enum(MODES).nullable(),
  domain: z.enum(DOMAINS).nullable(),
  tier: z.enum(TIERS).nullable(),
  complexity: z.number().nullable(),
  confidence: z.number().nullable(),
  qa_profile: z.enum(QA_PROFILES).nullable(),
  confidentiality: z.enum(CONFIDENTIALITIES).nullable(),
  attempt: z.int(),
  model: z.string().nullable(),
  scripted: z.boolean().nullable(),
  submitted_by: z.string(),
  correlation_id: z.string(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  updated_at: z.string(),
  estimated_completion: z.string().nullable(),
  execution_time_ms: z.number().nullable(),
  /** Of the newest attempt; accepted ones once the task is completed. */
  artifacts: z.array(
    z.object({ artifact_id: z.string(), type: z.enum(LANGUAGES), path: pathSchema, sha256: sha256Schema, bytes: z.int() }),
  ),
  provenance_id: z.string().nullable(),
  parent_id: taskIdSchema.nullable(),
  children: z.array(taskIdSchema),
  depends_on: z.array(taskIdSchema),
  /** Newest verdict. */
  verdict: z
    .object({
      attempt: z.int(),
      passed: z.boolean(),
      profile: z.enum(QA_PROFILES),
      score: z.number(),
      checks: z.array(checkResultSchema),
      reasons: z.array(z.string()),
    })
    .nullable(),
  error: errorSchema.nullable(),
  /** Why it waits and since when it may go on, while it is queued, waiting or retrying. */
  waiting_for: z.string().nullable(),
  /** How its artifacts stand, those of its subtasks too. The only thing that changes after its end. */
  flags: z.array(z.enum(['tainted', 'suspect', 'rolled_back'])),
  /** Offsets of its first and newest event in the project's partition. */
  first_offset: z.int(),
  last_offset: z.int(),
});
export type TaskView = z.infer<typeof taskViewSchema>;

export const projectViewSchema = z.object({
  project_id: projectIdSchema,
  counts: z.partialRecord(z.enum(STATES), z.int()),
  total: z.int(),
  running: z.int(),
  queued: z.int(),
  /** Creation time of the oldest open task. */
  oldest_open: z.string().nullable(),
  /** Completed, per minute, over the last ten minutes. */
  completed_per_minute: z.number(),
  duration_p50_ms: z.number().nullable(),
  duration_p95_ms: z.number().nullable(),
  max_running: z.int(),
  home: z.string(),
});
export type ProjectStatus = z.infer<typeof projectViewSchema>;

/** RFC 9457, with our extensions. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  instance: z.string().optional(),
  correlation_id: z.string(),
  retryable: z.boolean(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
});
export type Problem = z.infer<typeof problemSchema>;

const agentInput = {
  description: z.string().min(1).refine(utf8Within(DESCRIPTION_LIMIT_BYTES), `at most ${DESCRIPTION_LIMIT_BYTES} bytes`),
  files: z.array(submitFileSchema).max(200).default([]),
  project_id: projectIdSchema.default('default'),
  /** Who asks, for budgets. */
  submitted_by: z.string().min(1).max(128).optional(),
};
export const analyzeSchema = z.strictObject({ ...agentInput, options: z.strictObject(optionsSchema.shape).default({}) });
export const decomposeSchema = analyzeSchema;
export const estimateSchema = analyzeSchema;
export type AnalyzeBody = z.infer<typeof analyzeSchema>;

export const cancelSchema = z.strictObject({
  reason: z.string().max(1000).default('cancelled by the user'),
  by: z.string().min(1).max(128).optional(),
});
