// What is said when something turned out bad: what was built on it, how each piece stands now, and what is taken back.
//
// A cascade belongs to one project; a recall over several projects is one cascade in each, with the same `recall_id`. Marks are per cascade: how an artifact
// stands is the worst of what open cascades say of it.
import { z } from 'zod';
import { pathSchema } from './content.js';
import { checkResultSchema } from './qa.js';
import { QA_PROFILES, taskIdSchema } from './task.js';

const idSchema = z.string().min(1).max(64);
const instantSchema = z.iso.datetime({ offset: true });

/** Which artifacts: those for which all of it holds. */
export const selectorShape = {
  artifact_id: idSchema.optional(),
  task_id: taskIdSchema.optional(),
  /** Id in servers.yaml. */
  model: z.string().min(1).max(256).optional(),
  /** Build digest of the model. */
  model_digest: z.string().min(1).max(256).optional(),
  prompt_version: z.string().min(1).max(128).optional(),
  node: z.string().min(1).max(128).optional(),
  config_version: z.string().min(1).max(64).optional(),
  /** Made at or after, RFC 3339. */
  from: instantSchema.optional(),
  /** Made before, RFC 3339. */
  until: instantSchema.optional(),
} as const;
export const selectorSchema = z.object(selectorShape);
export type Selector = z.infer<typeof selectorSchema>;

/** Who or what began it. `late_use`: an artifact was made from one that had been tainted by a cascade that was over. */
export const CASCADE_TRIGGERS = ['request', 'security_alert', 'late_rejection', 'late_use'] as const;
export type CascadeTrigger = (typeof CASCADE_TRIGGERS)[number];

/** What an artifact is to one that was made with it: the text of the same file went on into a new version of it, or it was read beside. */
export const EDGE_KINDS = ['derived', 'informed'] as const;
export type EdgeKind = (typeof EDGE_KINDS)[number];

export const cascadeLimitsSchema = z.object({
  /** Steps from a root; what lies deeper is left, and the cascade says that it was cut. */
  max_depth: z.int().min(0).max(1_000),
  /** Artifacts marked. */
  max_artifacts: z.int().min(1).max(1_000_000),
  /** Artifacts marked a second. */
  per_second: z.int().min(1).max(100_000),
  /** Suspects that are being checked at a time. */
  revalidations: z.int().min(1).max(1_000),
  /** What becomes of suspects for which nothing can tell. */
  unproven: z.enum(['taint', 'clear']),
});
export type CascadeLimits = z.infer<typeof cascadeLimitsSchema>;

const begun = {
  cascade_id: idSchema,
  recall_id: idSchema.optional(),
  trigger: z.enum(CASCADE_TRIGGERS),
  selector: selectorSchema,
  reason: z.string().max(1_000),
  by: z.string().max(128),
  limits: cascadeLimitsSchema,
};
export const cascadeRequested = z.object(begun);
export const cascadeStarted = z.object({
  ...begun,
  /** Artifacts that the selector names. */
  roots: z.int().min(0),
  /** What can be reached from them: all of it, whatever revalidation will clear. */
  reach: z.object({ artifacts: z.int().min(0), tasks: z.int().min(0), depth: z.int().min(0) }),
});
export const cascadeCancelRequested = z.object({ cascade_id: idSchema, reason: z.string().max(1_000), by: z.string().max(128) });

const counts = {
  /** Marked by this cascade, and still so. */
  tainted: z.int().min(0),
  /** Waiting for their revalidation. */
  suspect: z.int().min(0),
  cleared: z.int().min(0),
  /** Reached, and tainted by another cascade before. */
  already_tainted: z.int().min(0),
  /** The deepest that was marked. */
  depth: z.int().min(0),
};
export const cascadeProgressed = z.object({ cascade_id: idSchema, ...counts, remaining: z.int().min(0) });
export const CASCADE_OUTCOMES = ['completed', 'cut', 'cancelled'] as const;
export const cascadeCompleted = z.object({
  cascade_id: idSchema,
  /** `cut`: a limit was reached, and what lies beyond is not marked. */
  outcome: z.enum(CASCADE_OUTCOMES),
  ...counts,
  duration_ms: z.number().min(0),
  detail: z.string().max(1_000).optional(),
});

const marked = {
  cascade_id: idSchema,
  artifact_id: idSchema,
  task_id: taskIdSchema,
  path: pathSchema,
  /** Steps from the root; 0: a root. */
  depth: z.int().min(0),
  /** The artifact through which it was reached; absent on a root. */
  via: idSchema.optional(),
  edge: z.enum(EDGE_KINDS).optional(),
};
export const artifactTainted = z.object({
  ...marked,
  /** `revalidation`: it was suspect, and did not pass. */
  cause: z.enum(['root', 'edge', 'revalidation']),
  reason: z.string().max(8_000),
});
export const artifactSuspect = z.object(marked);

/** A suspect is to be checked again, without what is bad of what it was made from. The work item goes with it. */
export const revalidationRequested = z.object({
  cascade_id: idSchema,
  artifact_id: idSchema,
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  /** What it consumed and is tainted: left out, or replaced by the last good version of the same path. */
  without: z.array(idSchema).max(1_000),
  /** Unproven if there is no verdict by then, RFC 3339. */
  due: z.string(),
});
/** `unproven`: there is nothing that could tell (no tests, no sandbox, no answer in time). */
export const REVALIDATION_VERDICTS = ['cleared', 'failed', 'unproven'] as const;
export type RevalidationVerdict = (typeof REVALIDATION_VERDICTS)[number];
export const artifactRevalidated = z.object({
  cascade_id: idSchema,
  artifact_id: idSchema,
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  verdict: z.enum(REVALIDATION_VERDICTS),
  profile: z.enum(QA_PROFILES),
  checks: z.array(checkResultSchema),
  reasons: z.array(z.string().max(8_000)),
});

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];
export const securityAlert = z.object({
  alert_id: idSchema,
  /** Such as `secret_leaked`, `malicious_code`, `vulnerable_dependency`. */
  kind: z.string().min(1).max(128),
  severity: z.enum(SEVERITIES),
  artifact_id: idSchema.optional(),
  task_id: taskIdSchema.optional(),
  detail: z.string().max(8_000),
  by: z.string().max(128),
});
