// Budgets and quotas: how much a project, a user and an agent may use. What is counted is what models are asked for.
import { z } from 'zod';

/** Who has a budget. An agent is what asks a model: `generate`, `analyse`, `decompose`, or `chat` for the OpenAI-compatible endpoint. */
export const QUOTA_SUBJECTS = ['project', 'user', 'agent'] as const;
export type QuotaSubjectKind = (typeof QUOTA_SUBJECTS)[number];

/** Days and months are those of UTC. A limit that is absent does not hold. */
export const quotaSchema = z.strictObject({
  tokens_per_day: z.int().min(0).optional(),
  tokens_per_month: z.int().min(0).optional(),
  tokens_total: z.int().min(0).optional(),
  cost_usd_per_day: z.number().min(0).optional(),
  cost_usd_per_month: z.number().min(0).optional(),
  cost_usd_total: z.number().min(0).optional(),
  /** Attempts of tasks, and calls of the OpenAI-compatible endpoint, a minute. */
  requests_per_minute: z.int().min(1).optional(),
  /** Of them that run at a time. */
  concurrency: z.int().min(1).optional(),
});
export type Quota = z.infer<typeof quotaSchema>;
export type QuotaLimit = keyof Quota;

const perSubject = z.record(z.string().min(1).max(128), quotaSchema).default({});

/** `"*"`: everyone who is not named, each for itself. */
export const quotasConfigSchema = z.strictObject({
  projects: perSubject,
  users: perSubject,
  agents: perSubject,
  /** For one task, all its attempts, retries, fallbacks and councils together. */
  task: z
    .strictObject({
      calls: z.int().min(1).default(40),
      tokens: z.int().min(1).optional(),
      cost_usd: z.number().min(0).optional(),
    })
    .prefault({}),
});
export type QuotasConfig = z.infer<typeof quotasConfigSchema>;
