// What is asked and answered over HTTP about counterfactual replays, and the report of one.
import { z } from 'zod';
import { REPLAY_GRADES, REPLAY_VERDICTS, replayChangesSchema, replayCountersSchema, replaySliceSchema } from './replay.js';
import { projectIdSchema, taskIdSchema } from './task.js';
import { TIERS } from './topics.js';

const idSchema = z.string().min(1).max(64);
/** An offset of the project's partition, or an instant (RFC 3339). */
const whereSchema = z.union([z.int().min(0), z.iso.datetime({ offset: true })]);

export const REPLAY_CALLS_LIMIT = 100_000;

export const replayBodySchema = z
  .strictObject({
    project_id: projectIdSchema,
    grade: z.enum(REPLAY_GRADES).default('policy'),
    slice: z
      .strictObject({
        /** Tasks created from there on. */
        from: whereSchema.optional(),
        /** Tasks created before. */
        until: whereSchema.optional(),
        task_ids: z.array(taskIdSchema).min(1).max(1_000).optional(),
      })
      .prefault({}),
    changes: replayChangesSchema.strict().prefault({}),
    /** Model calls that the candidate lane may make, over all runs of the replay. */
    max_calls: z.int().min(0).max(REPLAY_CALLS_LIMIT).default(0),
    reason: z.string().min(1).max(1_000).default('what if'),
    by: z.string().min(1).max(128).optional(),
  })
  .refine(({ grade, max_calls }) => grade === 'generation' || max_calls === 0, {
    path: ['max_calls'],
    message: 'grade "policy" calls no model; give grade "generation", or no max_calls',
  })
  .refine(({ grade, changes }) => grade === 'generation' || changes.prompt === undefined, {
    path: ['changes', 'prompt'],
    message: 'estimates of another prompt are not possible without asking models; give grade "generation"',
  });
export type ReplayBody = z.infer<typeof replayBodySchema>;

export const replayAcceptedSchema = z.object({
  replay_id: idSchema,
  project_id: projectIdSchema,
  state: z.literal('requested'),
  grade: z.enum(REPLAY_GRADES),
  /** As offsets: instants are resolved when it is asked for. */
  slice: replaySliceSchema,
});
export type ReplayAccepted = z.infer<typeof replayAcceptedSchema>;

/** What became of the attempts of one tier, or by one model. */
const shareSchema = z.object({
  attempts: z.int(),
  passed: z.int(),
  tokens_in: z.int(),
  tokens_out: z.int(),
  cost_usd: z.number().nullable(),
});
export type ReplayShare = z.infer<typeof shareSchema>;

export const replayLaneSchema = z.object({
  /** Tasks that are judged: those that had ended when the replay was asked for. Parents of subtasks count like any other. */
  tasks: z.int(),
  completed: z.int(),
  failed: z.int(),
  cancelled: z.int(),
  attempts: z.int(),
  /** Completed at the first attempt, of all that had one; null where none had. */
  first_pass_yield: z.number().nullable(),
  rejected: z.int(),
  /** Attempts that ended without an answer: the model failed, or time ran out. */
  unanswered: z.int(),
  tokens_in: z.int(),
  tokens_out: z.int(),
  /** Of answered calls; null where no price is known for any. */
  cost_usd: z.number().nullable(),
  /** Answered calls for which no price is known; they are not in `cost_usd`. */
  unpriced: z.int(),
  /** From the first creation to the last end. */
  makespan_ms: z.number(),
  /** From creation to end. Null where no task ended. */
  lead_ms_p50: z.number().nullable(),
  lead_ms_p95: z.number().nullable(),
  by_tier: z.partialRecord(z.enum(TIERS), shareSchema),
  by_model: z.record(z.string(), shareSchema),
});
export type ReplayLane = z.infer<typeof replayLaneSchema>;

const changeOf = <T extends z.ZodType>(value: T) => z.object({ from: value, to: value });
export const replayDifferenceSchema = z.object({
  task_id: taskIdSchema,
  /** Of the first attempt. */
  tier: changeOf(z.enum(TIERS).nullable()).optional(),
  model: changeOf(z.string().nullable()).optional(),
  attempts: changeOf(z.int()).optional(),
  end: changeOf(z.string()).optional(),
  /** Of the last output: `unknown` where it was estimated. */
  artifacts: z.enum(['different', 'unknown']).optional(),
  tokens: changeOf(z.int()).optional(),
  cost_usd: changeOf(z.number()).optional(),
  lead_ms: changeOf(z.number().nullable()).optional(),
});
export type ReplayDifference = z.infer<typeof replayDifferenceSchema>;

export const REPLAY_DIFFERENCES_LIMIT = 1_000;

export const replayReportSchema = z.object({
  version: z.literal(1),
  project_id: projectIdSchema,
  grade: z.enum(REPLAY_GRADES),
  slice: replaySliceSchema,
  changes: replayChangesSchema,
  /** Tasks of the slice; those that had not ended hold their places in every lane, and are not judged. */
  history: z.object({ tasks: z.int(), submitted: z.int(), open: z.int(), events: z.int() }),
  lanes: z.object({ observed: replayLaneSchema, baseline: replayLaneSchema, candidate: replayLaneSchema }),
  counters: z.object({ baseline: replayCountersSchema, candidate: replayCountersSchema }),
  /** Outcomes that were drawn from what this history knows, in the candidate lane; `unseen`: of a model, tier, prompt or profile that it has too few of. */
  estimates: z.object({ outcomes: z.int(), unseen: z.int() }),
  /** People's decisions, fired again in the candidate lane: how many found their task open, and how many came after its end. */
  cancels: z.object({ fired: z.int(), too_late: z.int() }),
  comparability: z.object({
    /** Share of tasks that end in the baseline as they did: same end, attempts and tiers. */
    reproduced: z.number(),
    /** Share of the candidate's calls that were answered from the record, or by a model. */
    known: z.number(),
    comparable: z.boolean(),
  }),
  verdict: z.enum(REPLAY_VERDICTS),
  /** Why, in words. */
  reasons: z.array(z.string()),
  summary: z.string(),
  /** Candidate against baseline, by task id. */
  differences: z.array(replayDifferenceSchema).max(REPLAY_DIFFERENCES_LIMIT),
  differences_total: z.int(),
});
export type ReplayReport = z.infer<typeof replayReportSchema>;

export const REPLAY_STATES = ['requested', 'running', 'completed', 'failed'] as const;
export const replayRowSchema = z.object({
  replay_id: idSchema,
  project_id: projectIdSchema,
  state: z.enum(REPLAY_STATES),
  grade: z.enum(REPLAY_GRADES),
  slice: replaySliceSchema,
  changes: replayChangesSchema,
  max_calls: z.int(),
  reason: z.string(),
  by: z.string(),
  requested_at: z.string(),
  ended_at: z.string().nullable(),
  progress: z.object({ lane: z.string(), done: z.int(), total: z.int() }).nullable(),
  verdict: z.enum(REPLAY_VERDICTS).nullable(),
  summary: z.string().nullable(),
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).nullable(),
});
export type ReplayRow = z.infer<typeof replayRowSchema>;

export const replayViewSchema = replayRowSchema.extend({
  duration_ms: z.number().nullable(),
  /** When it is completed. */
  report: replayReportSchema.nullable(),
});
export type ReplayView = z.infer<typeof replayViewSchema>;

export const replayListSchema = z.object({ replays: z.array(replayRowSchema) });
