// Counterfactual replay: a project's history decided again with something changed, in a shadow namespace. Asked for, how far it is, and what came out.
import { z } from 'zod';
import { contentSchema, sha256Schema } from './content.js';
import { DOMAINS, QA_PROFILES, taskIdSchema } from './task.js';
import { TIERS } from './topics.js';

const idSchema = z.string().min(1).max(64);

/** `policy`: no model is called. `generation`: recorded answers where the inputs are the same, else the model is called. */
export const REPLAY_GRADES = ['policy', 'generation'] as const;
export type ReplayGrade = (typeof REPLAY_GRADES)[number];

/** Which part of the history: tasks created in it, with all their subtasks. */
export const replaySliceSchema = z.object({
  /** Offsets of the project's partition: from, and up to (excluding). */
  from: z.int().min(0).optional(),
  until: z.int().min(0).optional(),
  task_ids: z.array(taskIdSchema).max(1_000).optional(),
});
export type ReplaySlice = z.infer<typeof replaySliceSchema>;

/** A routing rule: tasks that fit all of `when` begin on `tier`, or with `model`. The first that fits counts. */
export const replayRuleSchema = z.object({
  when: z.object({
    domain: z.enum(DOMAINS).optional(),
    /** Tier chosen in the recorded analysis. */
    tier: z.enum(TIERS).optional(),
    complexity_below: z.number().min(0).max(1).optional(),
    complexity_from: z.number().min(0).max(1).optional(),
    language: z.string().max(32).optional(),
  }),
  tier: z.enum(TIERS).optional(),
  model: z.string().min(1).max(128).optional(),
});
export type ReplayRule = z.infer<typeof replayRuleSchema>;

/** What is different in the candidate lane. */
export const replayChangesSchema = z.object({
  routing: z.array(replayRuleSchema).max(100).optional(),
  /** Every generation by this model. */
  model: z.string().min(1).max(128).optional(),
  /** Text put in place of the generation prompt's system message. */
  prompt: z
    .string()
    .min(1)
    .max(32 * 1024)
    .optional(),
  qa_profile: z.enum(QA_PROFILES).optional(),
  max_running: z.int().min(1).max(100_000).optional(),
  max_attempts: z.int().min(1).max(20).optional(),
  timeout_s: z.number().positive().max(86_400).optional(),
});
export type ReplayChanges = z.infer<typeof replayChangesSchema>;

/** Calls of a lane. */
export const replayCountersSchema = z.object({
  /** A recorded answer was given: the inputs were the same. */
  served: z.int().min(0),
  /** Nothing was recorded for those inputs: the model was called, or, with grade `policy`, its outcome was estimated. */
  missed: z.int().min(0),
  /** Was not allowed to happen: over the calls of the replay or a budget, or a side effect. */
  blocked: z.int().min(0),
  /** The decisions went another way than recorded. */
  diverged: z.int().min(0),
});
export type ReplayCounters = z.infer<typeof replayCountersSchema>;

/** `pass`: comparable, and the candidate is not worse. `hold`: comparable, and it is worse somewhere. */
export const REPLAY_VERDICTS = ['pass', 'hold', 'not_comparable'] as const;

export const replayRequested = z.object({
  replay_id: idSchema,
  grade: z.enum(REPLAY_GRADES),
  slice: replaySliceSchema,
  changes: replayChangesSchema,
  /** Model calls that the candidate lane may make, over all runs of the replay; with grade `policy` none. */
  max_calls: z.int().min(0).max(100_000),
  /** Digest of the body as it was sent, where it had an Idempotency-Key: the same key with another body is a mistake. */
  body_sha256: sha256Schema.optional(),
  reason: z.string().max(1_000),
  by: z.string().max(128),
});
export const replayProgressed = z.object({
  replay_id: idSchema,
  lane: z.enum(['observed', 'baseline', 'candidate']),
  done: z.int().min(0),
  total: z.int().min(0),
  /** Model calls that may have been made so far: said before they are, so that no run makes more than are left. */
  calls: z.int().min(0).optional(),
});
export const replayCompleted = z.object({
  replay_id: idSchema,
  verdict: z.enum(REPLAY_VERDICTS),
  /** One line for people. */
  summary: z.string().max(2_000),
  baseline: replayCountersSchema,
  candidate: replayCountersSchema,
  tasks: z.int().min(0),
  duration_ms: z.number().min(0),
  /** The whole report, JSON. */
  report: contentSchema,
});
export const replayFailed = z.object({
  replay_id: idSchema,
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }),
});
