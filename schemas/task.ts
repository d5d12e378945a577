// Task events: what happens to a task from submission to its end. State machine: docs/lifecycle.md.
import { z } from 'zod';
import { artifactRefSchema, artifactSchema, contentSchema, fileSchema, LANGUAGES, pathSchema } from './content.js';
import { callSummarySchema, decisionSchema, MOST_RECORDED } from './model-choice.js';
import { TIERS } from './topics.js';

export const PRIORITIES = ['low', 'normal', 'high', 'urgent'] as const;
export type Priority = (typeof PRIORITIES)[number];
export const MODES = ['new_project', 'modify', 'fix', 'review', 'document', 'test'] as const;
export type Mode = (typeof MODES)[number];
export const DOMAINS = ['code', 'web', 'data', 'infra', 'docs', 'test', 'general'] as const;
export type Domain = (typeof DOMAINS)[number];
export const QA_PROFILES = ['none', 'syntax', 'tests'] as const;
export type QaProfile = (typeof QA_PROFILES)[number];
export const CONFIDENTIALITIES = ['public', 'internal', 'confidential'] as const;

export const taskIdSchema = z.string().min(1).max(64);
export const projectIdSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, ".", "_" and "-", beginning with a letter or digit');

export const optionsSchema = z.object({
  /** Split into subtasks first. */
  decompose: z.boolean().optional(),
  qa_profile: z.enum(QA_PROFILES).optional(),
  confidentiality: z.enum(CONFIDENTIALITIES).optional(),
  /** A model id of servers.yaml; routing then chooses nothing. */
  model: z.string().min(1).max(128).optional(),
  /** The tier of the first attempt. */
  tier: z.enum(TIERS).optional(),
  /** RFC 3339; a task that is not finished by then fails with code `deadline`. */
  deadline: z.iso.datetime({ offset: true }).optional(),
  max_attempts: z.int().min(1).max(20).optional(),
  /** For one attempt, from ready to verdict. */
  timeout_s: z.number().positive().max(86_400).optional(),
});

export const testsSchema = z.object({
  language: z.enum(['python', 'javascript', 'typescript']),
  /** Test code; runs in the sandbox beside the produced files. Exit code 0 = passed. */
  code: z.string().max(1024 * 1024),
  /** For HumanEval-like tests: the function handed to `check(candidate)`. */
  entry_point: z
    .string()
    .regex(/^[A-Za-z_$][\w$]*$/)
    .max(128)
    .optional(),
  /** Where the test file goes; default `test_solution.py`, `solution.test.mjs`, `solution.test.ts`. */
  path: pathSchema.optional(),
  /** Command line instead of the default runner; no shell: words are separated by blanks. */
  command: z.string().min(1).max(500).optional(),
  /** Wall-clock limit of one run, default from servers.yaml. */
  timeout_s: z.number().positive().max(600).optional(),
});
export type Tests = z.infer<typeof testsSchema>;
/** Tests as they stand in an event: code above the inline limit is a claim check. */
export const storedTestsSchema = testsSchema.omit({ code: true }).extend({ code: contentSchema });
export type StoredTests = z.infer<typeof storedTestsSchema>;

export const taskCreatedV1 = z.object({
  task_id: taskIdSchema,
  description: contentSchema,
  priority: z.enum(PRIORITIES),
  options: optionsSchema,
  parent_id: taskIdSchema.optional(),
  /** Tasks of the same project that must be completed first; their artifacts become inputs. */
  depends_on: z.array(taskIdSchema).max(100),
  /** Ids of artifacts of the same project that are input as well. */
  inputs: z.array(artifactRefSchema).max(100),
  files: z.array(fileSchema).max(200),
  tests: storedTestsSchema.optional(),
  submitted_by: z.string().max(128),
});
export const taskCreated = taskCreatedV1.extend({
  /** A rollback took back what this task had made, and it is done anew. */
  redo: z.object({ rollback_id: z.string().min(1).max(64), task_id: taskIdSchema }).optional(),
});

export const taskAnalyzedV1 = z.object({
  task_id: taskIdSchema,
  mode: z.enum(MODES),
  domain: z.enum(DOMAINS),
  tier: z.enum(TIERS),
  language: z.enum(LANGUAGES).optional(),
  /** 0 trivial .. 1 as hard as it gets. */
  complexity: z.number().min(0).max(1),
  /** How sure the analyser is, 0..1. */
  confidence: z.number().min(0).max(1),
  estimated_tokens: z.int().min(0),
  estimated_duration_ms: z.int().min(0),
  estimated_completion: z.string(),
  analyser: z.object({ name: z.string(), version: z.string(), model: z.string().optional() }),
  /** What it was decided from, so that it can be decided again without a model. */
  features: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  candidates: z.array(z.object({ tier: z.enum(TIERS), score: z.number() })),
});
const callsSchema = z.array(callSummarySchema).max(MOST_RECORDED);
export const taskAnalyzed = taskAnalyzedV1.extend({
  /** Every call of a model on the way. */
  calls: callsSchema.optional(),
});
export type Analysis = Omit<z.infer<typeof taskAnalyzed>, 'task_id'>;

export const planItemSchema = z.object({
  task_id: taskIdSchema,
  title: z.string().max(200),
  description: contentSchema,
  depends_on: z.array(taskIdSchema),
  files: z.array(fileSchema).max(200).optional(),
  tests: storedTestsSchema.optional(),
});
export const taskDecomposedV1 = z.object({
  task_id: taskIdSchema,
  children: z.array(planItemSchema).min(1).max(100),
  planner: z.object({ name: z.string(), version: z.string(), model: z.string().optional() }),
});
export const taskDecomposed = taskDecomposedV1.extend({ calls: callsSchema.optional() });

/** It has to wait: for a free place in its project, or for the tasks it depends on. */
export const taskQueuedV1 = z.object({
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  reason: z.enum(['project_limit', 'dependencies']),
  /** 1 = next, in its project; 0 when it waits for dependencies. */
  position: z.int().min(0),
});
export const taskQueued = taskQueuedV1.extend({
  /** `quota`: for what it may use of models. */
  reason: z.enum(['project_limit', 'dependencies', 'quota']),
  /** Of reason `quota`: the ledger was asked, and its answer is the next thing that happens. */
  reservation_id: z.string().min(1).max(64).optional(),
});

/** Where the effect finds what it needs: offsets in the project's partition of the lifecycle topic. */
export const contextSchema = z.object({
  /** `dats.task.created`; for a subtask the `dats.task.decomposed` that planned it (its own creation is decided in the same commit). */
  created: z.int().min(0),
  /** For a subtask: what `created` is for its parent, whose files it sees too. */
  parent: z.int().min(0).optional(),
  /** The newest `dats.task.output.created`, for checks. */
  output: z.int().min(0).optional(),
  /** The newest `dats.task.rejected` or `dats.task.attempt.failed`. */
  rejected: z.int().min(0).optional(),
  inputs: z.array(artifactRefSchema),
});

export const taskReadyV1 = z.object({
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  tier: z.enum(TIERS),
  domain: z.enum(DOMAINS),
  model: z.string().optional(),
  prompt_version: z.string(),
  context: contextSchema,
  /** When this attempt times out, RFC 3339. */
  due: z.string(),
});

/** What an attempt may use of models. Absent: no limit. */
export const allowanceSchema = z.object({
  calls: z.int().min(0).optional(),
  /** Input and output together. */
  tokens: z.int().min(0).optional(),
  cost_usd: z.number().min(0).optional(),
});
export type Allowance = z.infer<typeof allowanceSchema>;

export const taskReady = taskReadyV1.extend({
  allowance: allowanceSchema.optional(),
  /** What was set aside for it in the ledger. */
  reservation_id: z.string().min(1).max(64).optional(),
});

export const taskStarted = z.object({
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  node: z.string(),
  worker: z.string(),
  /** The fencing token of whoever runs it. */
  fence: z.string(),
});

export const taskOutputCreatedV1 = z.object({
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  artifacts: z.array(artifactSchema).min(1).max(200),
  /** Id in servers.yaml. */
  model: z.string(),
  provider: z.string(),
  /** Build digest of the model where the runner tells it. */
  model_digest: z.string().optional(),
  /** True when a scripted runner made it: not the work of a model. */
  scripted: z.boolean(),
  tokens_in: z.int().min(0),
  tokens_out: z.int().min(0),
  duration_ms: z.number().min(0),
  prompt_version: z.string(),
  prompt_sha256: z.string(),
  sampling: z.object({ temperature: z.number().optional(), seed: z.int().optional(), max_tokens: z.int().optional() }),
  consumed: z.array(artifactRefSchema),
  /** What did not fit into the prompt, and why. */
  omitted: z.array(z.object({ what: z.string(), why: z.string() })),
  confidence: z.number().min(0).max(1).optional(),
  fence: z.string(),
});

export const taskOutputCreated = taskOutputCreatedV1.extend({
  /** Why this model. */
  decision: decisionSchema.optional(),
  /** Every call on the way, the one that answered last. */
  calls: z.array(callSummarySchema).max(MOST_RECORDED).optional(),
});

export const errorSchema = z.object({ code: z.string(), message: z.string(), retryable: z.boolean() });
export type TaskError = z.infer<typeof errorSchema>;

/** An attempt ended without a verdict: the model failed, the answer held no file, a checker was not there. */
export const taskAttemptFailedV1 = z.object({
  task_id: taskIdSchema,
  /** 0: analysis or decomposition, before the first attempt. */
  attempt: z.int().min(0),
  stage: z.enum(['analysis', 'decomposition', 'generation', 'qa']),
  error: errorSchema,
});
export const taskAttemptFailed = taskAttemptFailedV1.extend({
  /** The last decision, where a model was to be chosen. */
  decision: decisionSchema.optional(),
  /** Every call on the way; absent: nobody knows. */
  calls: z.array(callSummarySchema).max(MOST_RECORDED).optional(),
});

export const taskRetryScheduled = z.object({
  task_id: taskIdSchema,
  /** The attempt that is to come. */
  attempt: z.int().min(2),
  due: z.string(),
  backoff_ms: z.int().min(0),
  tier: z.enum(TIERS),
  escalated: z.boolean(),
  reason: z.string(),
});

/** One attempt ran out of time; a retry or `dats.task.failed` follows. */
export const taskTimedOut = z.object({ task_id: taskIdSchema, attempt: z.int().min(1), after_ms: z.number().min(0) });

export const taskCompleted = z.object({
  task_id: taskIdSchema,
  attempt: z.int().min(0),
  /** The id of the execution record: derived from task and attempt. */
  provenance_id: z.string(),
  /** From creation to completion. */
  execution_time_ms: z.number().min(0),
});
export const taskFailed = z.object({ task_id: taskIdSchema, attempt: z.int().min(0), error: errorSchema });
export const taskCancelRequested = z.object({ task_id: taskIdSchema, reason: z.string().max(1000), by: z.string().max(128) });
export const taskCancelled = z.object({ task_id: taskIdSchema, reason: z.string(), by: z.string() });
