// Taking back: the files of a project go back to versions that were good, as compensating events. Nothing is deleted; a rollback can be rolled back.
import { z } from 'zod';
import { pathSchema } from './content.js';
import { taskIdSchema } from './task.js';

const idSchema = z.string().min(1).max(64);

/** What is taken back. */
export const rollbackTargetSchema = z.discriminatedUnion('kind', [
  /** What the cascade tainted. */
  z.object({ kind: z.literal('cascade'), cascade_id: idSchema }),
  /** What the task made (for a parent: its subtasks), and what was made from that. */
  z.object({ kind: z.literal('task'), task_id: taskIdSchema }),
  /** Everything from this offset of the project's partition on: files stand again as the events below it left them. */
  z.object({ kind: z.literal('offset'), offset: z.int().min(0), said: z.string().max(128) }),
  /** An earlier rollback. */
  z.object({ kind: z.literal('rollback'), rollback_id: idSchema }),
]);
export type RollbackTarget = z.infer<typeof rollbackTargetSchema>;

/** What happens to the tasks behind what is taken back. `close`: open ones are cancelled; `requeue`: also all are submitted anew; `keep`: nothing. */
export const TASK_POLICIES = ['close', 'requeue', 'keep'] as const;
export type TaskPolicy = (typeof TASK_POLICIES)[number];

const begun = {
  rollback_id: idSchema,
  target: rollbackTargetSchema,
  tasks: z.enum(TASK_POLICIES),
  reason: z.string().max(1_000),
  by: z.string().max(128),
};
export const rollbackRequested = z.object(begun);
export const rollbackStarted = z.object({
  ...begun,
  /** Paths whose version is to change, and tasks concerned. */
  paths: z.int().min(0),
  affected_tasks: z.int().min(0),
  /** Of the last event before the target, where the target is a place in the log; what runs anew runs under today's configuration. */
  config_then: z.string().optional(),
  config_now: z.string(),
});
export const ROLLBACK_OUTCOMES = ['completed', 'nothing_to_do', 'refused'] as const;
export const rollbackCompleted = z.object({
  rollback_id: idSchema,
  outcome: z.enum(ROLLBACK_OUTCOMES),
  reverted: z.int().min(0),
  restored: z.int().min(0),
  /** Paths that had a newer version when their turn came: left as they are. */
  skipped: z.int().min(0),
  tasks_closed: z.int().min(0),
  tasks_requeued: z.int().min(0),
  duration_ms: z.number().min(0),
  detail: z.string().max(1_000).optional(),
});

/** The version of a path goes back. */
export const artifactReverted = z.object({
  rollback_id: idSchema,
  artifact_id: idSchema,
  task_id: taskIdSchema,
  path: pathSchema,
  /** The version that stands now; absent: the path is gone. */
  to: idSchema.optional(),
});
/** A version that had been taken back stands again. */
export const artifactRestored = z.object({
  rollback_id: idSchema,
  artifact_id: idSchema,
  task_id: taskIdSchema,
  path: pathSchema,
  /** The version that stood; absent: none did. */
  replaces: idSchema.optional(),
  /** How the artifact stands, apart from having been taken back. */
  mark: z.enum(['clean', 'suspect', 'tainted']),
});
