// Work items: what a decider asks an effect to do. They live on `dats.work.<lane>`, keyed by task.
import { z } from 'zod';
import { artifactRefSchema } from './content.js';
import { allowanceSchema, contextSchema, DOMAINS, QA_PROFILES, taskIdSchema } from './task.js';
import { TIERS } from './topics.js';

/** Version 1: the work of a task. */
export const workRequestedV1 = z.object({
  task_id: taskIdSchema,
  kind: z.enum(['analyse', 'decompose', 'generate', 'check']),
  /** 0 for work before the first attempt. */
  attempt: z.int().min(0),
  tier: z.enum(TIERS),
  domain: z.enum(DOMAINS),
  model: z.string().optional(),
  prompt_version: z.string(),
  qa_profile: z.enum(QA_PROFILES).optional(),
  context: contextSchema,
  /** Not worth starting after this instant, RFC 3339. */
  due: z.string(),
});

export const WORK_KINDS = ['analyse', 'decompose', 'generate', 'check', 'revalidate', 'redo', 'replay'] as const;
/** Version 2: without an allowance. */
export const workRequestedV2 = workRequestedV1.extend({
  kind: z.enum(WORK_KINDS),
  /** Of kind `revalidate`: is the artifact right without what is tainted of what it was made from? */
  revalidate: z
    .object({
      cascade_id: z.string().min(1).max(64),
      artifact_id: z.string().min(1).max(64),
      /** Ids of what it consumed and is tainted. */
      without: z.array(z.string().min(1).max(64)).max(1_000),
      /** The versions that stand in their places. */
      instead: z.array(artifactRefSchema).max(1_000),
    })
    .optional(),
  /** Of kind `redo`: the task is submitted anew, as `new_task_id`, on these inputs. */
  redo: z
    .object({
      rollback_id: z.string().min(1).max(64),
      new_task_id: taskIdSchema,
      depends_on: z.array(taskIdSchema).max(100),
      inputs: z.array(artifactRefSchema).max(100),
    })
    .optional(),
  /** Of kind `replay`: `context.created` is the offset of the request. */
  replay_id: z.string().min(1).max(64).optional(),
});
export const workRequested = workRequestedV2.extend({
  /** What the work may use of models; absent: no limit. */
  allowance: allowanceSchema.optional(),
});
export type Work = z.infer<typeof workRequested>;
