// Which model answered, and why: what a decision was made from, as it is recorded. What a choice is made by: routing-config.ts.
import { z } from 'zod';

/** Candidates and calls that an event names at most; more are left out, the worst first. */
export const MOST_RECORDED = 32;

export const PURPOSES = ['generate', 'analyse', 'decompose', 'embed', 'chat', 'other'] as const;
export type Purpose = (typeof PURPOSES)[number];

/** What became of a candidate: `chosen`, `outranked`, or why it was out of the question. */
export const VERDICTS = [
  'chosen',
  'outranked',
  'ready',
  'down',
  'cooling',
  'waiting',
  'failed',
  'declined',
  'other_model',
  'other_domain',
  'fallback_not_needed',
  /** The access list, the task's confidentiality or a strict rule keeps it away. */
  'not_allowed',
  /** It cannot do what is asked: tools, JSON, the length of the prompt. */
  'not_able',
  /** A rule moves work away from it, and there is another. */
  'avoided',
] as const;
export type Verdict = (typeof VERDICTS)[number];

export const CHOICE_REASONS = [
  'named',
  'only_candidate',
  'rule',
  'tier',
  'score',
  'order',
  'fallback',
  'no_candidate',
  'unknown_model',
  'not_allowed',
] as const;

/** What is known of a candidate when it is chosen. What nobody tells is absent. */
export const featuresSchema = z.object({
  /** Calls running and queued, divided by what it can run at a time. */
  load: z.number().min(0),
  /** Of its last calls that failed, 0..1, newer ones weigh more. */
  error_rate: z.number().min(0).max(1).optional(),
  /** To the first chunk, milliseconds, newer calls weigh more. */
  latency_ms: z.number().min(0).optional(),
  /** Is it in memory, so that it answers without being loaded first? */
  loaded: z.boolean().optional(),
  /** How busy the graphics processor behind it is, 0..1. */
  gpu_ratio: z.number().min(0).max(1).optional(),
  /** USD a million tokens, input and output in the middle. */
  cost_per_mtok: z.number().min(0).optional(),
});
export type Features = z.infer<typeof featuresSchema>;

export const scoredCandidateSchema = z.object({
  id: z.string(),
  verdict: z.enum(VERDICTS),
  /** 0: the asked tier; smaller is better. */
  tier_distance: z.number(),
  preference: z.number(),
  features: featuresSchema,
  /** The sum of `parts`; smaller is better. */
  score: z.number(),
  /** What each feature added, by its name in `routing.weights`. */
  parts: z.record(z.string(), z.number()),
});
export type ScoredCandidate = z.infer<typeof scoredCandidateSchema>;

export const decisionSchema = z.object({
  /** Absent: no model can answer now. */
  chosen: z.string().optional(),
  reason: z.enum(CHOICE_REASONS),
  /** Names of the rules that had a say, in their order. */
  rules: z.array(z.string()).optional(),
  /** The version of the configuration that it was decided under: `<digest of servers.yaml>` or `<digest>+<changes of the registry>`. */
  config_version: z.string().optional(),
  candidates: z.array(scoredCandidateSchema).max(MOST_RECORDED),
});
export type Decision = z.infer<typeof decisionSchema>;

/** One call of a model on the way to an answer, or to none. */
export const callSummarySchema = z.object({
  model: z.string(),
  provider: z.string(),
  outcome: z.enum(['ok', 'error', 'aborted', 'timeout']),
  /** A code of MODEL_FAULTS. */
  error_type: z.string().optional(),
  /** A second call beside a slow one. */
  hedge: z.boolean().optional(),
  input_tokens: z.int().min(0),
  output_tokens: z.int().min(0),
  cost_usd: z.number().min(0).optional(),
  duration_ms: z.number().min(0),
});
export type CallSummary = z.infer<typeof callSummarySchema>;
