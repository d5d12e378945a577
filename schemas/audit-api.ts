// Answers about the tamper evidence of a project's history: what was verified, what a proof holds, which checkpoints there are.
import { z } from 'zod';
import { auditCheckpoint } from './audit.js';
import { projectIdSchema } from './task.js';

/** What can be wrong with a history, each by its name. */
export const AUDIT_PROBLEMS = [
  /** The event is another one than was signed. */
  'changed',
  /** An event that was signed is not there. */
  'missing',
  /** An event is there that was never signed, between ones that were. */
  'inserted',
  /** The event stands at another place than was signed. */
  'reordered',
  /** The newest events that were signed are not there. */
  'truncated',
  /** The checkpoint has no valid signature of the key. */
  'bad_signature',
  /** The events, or the leaves that the checkpoint lists, are not those of the root that was signed. */
  'bad_root',
  /** The checkpoint does not go on where the one before it ended. */
  'inconsistent_checkpoint',
] as const;
export type AuditProblemKind = (typeof AUDIT_PROBLEMS)[number];

export const auditProblemSchema = z.object({
  kind: z.enum(AUDIT_PROBLEMS),
  /** One line for people. */
  message: z.string(),
  /** Where the event stands, or stood, in the project's partition. */
  offset: z.int().optional(),
  /** Number of the leaf in the tree, from 0. */
  leaf: z.int().optional(),
  event_id: z.string().optional(),
  type: z.string().optional(),
  /** Ids of the events on both sides of a gap, where there are any. */
  after: z.string().optional(),
  before: z.string().optional(),
  /** Size of the tree that the checkpoint says. */
  checkpoint: z.int().optional(),
  /** How many in a row; absent: one. */
  count: z.int().optional(),
});
export type AuditProblem = z.infer<typeof auditProblemSchema>;

export const auditReportSchema = z.object({
  project_id: z.string(),
  /** Nothing that was signed is wrong. Says nothing about events that no checkpoint covers. */
  ok: z.boolean(),
  /** Events that were looked at. */
  events: z.int(),
  /** Leaves of the newest checkpoint whose signature and root are right; 0: none is. */
  size: z.int(),
  /** Base64 of its root hash; null where there is none. */
  root: z.string().nullable(),
  /** Events that are, in content and place, what was signed. */
  covered: z.int(),
  /** Events after the last checkpoint: not proven yet. */
  uncovered: z.int(),
  checkpoints: z.object({ total: z.int(), verified: z.int() }),
  /** The key that was verified with. */
  vkey: z.string(),
  /** The first 1,000. */
  problems: z.array(auditProblemSchema),
  problems_total: z.int(),
});
export type AuditReport = z.infer<typeof auditReportSchema>;

const hashSchema = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);

const eventShape = {
  offset: z.int().min(0),
  headers: z.record(z.string(), z.string()),
  data: z.unknown().optional(),
  /** Base64, instead of `data`: of a value that is no JSON. */
  raw: z.string().optional(),
};
/** What is not in the leaf has no place beside it. */
const hasOneContent = ({ data, raw }: { data?: unknown; raw?: string | undefined }): boolean =>
  (data === undefined) !== (raw === undefined);
const ONE_CONTENT = 'must have either data or raw';

export const auditEventSchema = z.strictObject(eventShape).refine(hasOneContent, ONE_CONTENT);

export const AUDIT_PROOF_FORMAT = 'dats-audit-proof/1';
/** All that is needed, beside the vkey, to prove that events are in a signed history. */
export const auditProofSchema = z.strictObject({
  format: z.literal(AUDIT_PROOF_FORMAT),
  project_id: projectIdSchema,
  artifact_id: z.string().optional(),
  /** The signed note of the newest checkpoint. */
  checkpoint: z.string(),
  events: z
    .array(
      z
        .strictObject({
          ...eventShape,
          /** Number of the leaf, from 0. */
          leaf: z.int().min(0),
          /** Audit path of RFC 6962, from the bottom up. */
          proof: z.array(hashSchema).max(64),
        })
        .refine(hasOneContent, ONE_CONTENT),
    )
    .min(1),
});
export type AuditProof = z.infer<typeof auditProofSchema>;

export const auditCheckpointsSchema = z.object({
  vkey: z.string(),
  origin: z.string(),
  /** Newest first. */
  checkpoints: z.array(
    auditCheckpoint.pick({ size: true, root: true, note: true }).extend({
      /** When it was signed, RFC 3339. */
      time: z.string(),
      /** Offsets of the first and the last event since the checkpoint before. */
      from: z.int(),
      to: z.int(),
    }),
  ),
});
export type AuditCheckpoints = z.infer<typeof auditCheckpointsSchema>;
