// Work items: what a decider asks an effect to do. They live on `dats.work.<lane>`, keyed by task.
import { z } from 'zod';
import { contextSchema, DOMAINS, QA_PROFILES, taskIdSchema } from './task.js';
import { TIERS } from './topics.js';

export const workRequested = z.object({
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
export type Work = z.infer<typeof workRequested>;
