// Tamper evidence: checkpoints of the Merkle tree (RFC 6962) over each project's lifecycle events. Formats: C2SP tlog-checkpoint and signed-note.
import { z } from 'zod';
import { projectIdSchema } from './task.js';

const base64Hash = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);

export const auditCheckpoint = z.object({
  project_id: projectIdSchema,
  /** Partition of the lifecycle topic in which the project lives. */
  partition: z.int().min(0),
  /** Leaves of the tree. */
  size: z.int().min(1),
  /** Base64 of the tree's root hash. */
  root: base64Hash,
  /** The leaves since the checkpoint before: offset of each event, and base64 of its leaf hash. */
  leaves: z.array(z.tuple([z.int().min(0), base64Hash])).max(10_000),
  /** The signed note: origin, size, root, signature. */
  note: z.string().max(4_096),
});
export type AuditCheckpoint = z.infer<typeof auditCheckpoint>;
