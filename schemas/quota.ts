// Budgets and quotas: how much a project, a user and an agent may use, and the events of the ledger that keeps them. What is counted is what models are asked for.
import { z } from 'zod';
import { taskIdSchema } from './task.js';

/** Who has a budget. An agent is what asks a model: `generate`, `analyse`, `decompose`, `replay`, or `chat` for the OpenAI-compatible endpoint. */
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
  /** Attempts of tasks, and what asks models without one (`/v1`, analyses, plans), a minute. */
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

/** Limits of one task. */
export const TASK_LIMITS = ['calls', 'tokens', 'cost_usd'] as const;
const LIMITS = [...(Object.keys(quotaSchema.shape) as QuotaLimit[]), ...TASK_LIMITS] as const;

const subjectIdSchema = z.string().min(1).max(128);
export const quotaSubjectSchema = z.object({ kind: z.enum(QUOTA_SUBJECTS), id: subjectIdSchema });
export type QuotaSubject = z.infer<typeof quotaSubjectSchema>;

const costSchema = z.number().min(0);
/** What a reservation is for: an attempt of a task, or (neither) a call that belongs to none. */
const purpose = { task_id: taskIdSchema.optional(), attempt: z.int().min(0).optional() };
const whose = { user: subjectIdSchema.optional(), agent: subjectIdSchema };
/** Tokens are input and output together. 0: nobody says, or no limit needs it. */
const amount = { tokens: z.int().min(0), cost_usd: costSchema };

/** To be set aside. The project is the event's. */
export const quotaRequested = z.object({
  reservation_id: z.string().min(1).max(64),
  ...purpose,
  ...whose,
  ...amount,
  /** Less is of use too, where no more is left: but not less than this. Absent: all or nothing. */
  least: z.object(amount).optional(),
  /** Then what was set aside counts as used, unless it was settled, RFC 3339. Absent: whoever asks always settles it. */
  expires: z.string().optional(),
});

/** Set aside. */
export const quotaReserved = z.object({
  reservation_id: z.string().min(1).max(64),
  ...purpose,
  ...whose,
  ...amount,
  expires: z.string().optional(),
});

/** Not now (`retry_at`), or not at all. */
export const quotaBlocked = z.object({
  reservation_id: z.string().min(1).max(64).optional(),
  ...purpose,
  subject: z.object({ kind: z.enum([...QUOTA_SUBJECTS, 'task']), id: subjectIdSchema }),
  limit: z.enum(LIMITS),
  asked: z.number().min(0),
  /** Used up in the window of the limit. */
  used: z.number().min(0),
  /** Set aside for others. */
  reserved: z.number().min(0).optional(),
  allowed: z.number().min(0),
  /** When it is worth asking again, RFC 3339; absent: the budget is used up. */
  retry_at: z.string().optional(),
});
export type QuotaBlocked = z.infer<typeof quotaBlocked>;

/** What was used in the end. Takes the place of the reservation. */
export const quotaConsumed = z.object({
  reservation_id: z.string().min(1).max(64),
  ...purpose,
  ...amount,
  /** Of models. */
  calls: z.int().min(0),
  /** Nobody said what was used: all that was set aside counts. */
  unknown: z.literal(true).optional(),
});

/** An account begins anew: nothing used. What is set aside stays. */
export const quotaReset = z.object({ subject: quotaSubjectSchema, by: z.string().max(128), reason: z.string().max(1000) });
