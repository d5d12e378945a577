// How budgets stand, as the API shows it.
import { z } from 'zod';
import { QUOTA_SUBJECTS, quotaSchema } from './quota.js';

const sumSchema = z.object({
  /** Input and output together. */
  tokens: z.int(),
  cost_usd: z.number(),
});

export const quotaAccountSchema = z.object({
  kind: z.enum(QUOTA_SUBJECTS),
  id: z.string(),
  /** What holds for it now: its own quota, else that of `"*"`. Empty: nothing is limited. */
  limits: quotaSchema,
  /** Settled, in the windows that hold now. Counted is what went through the ledger: where a quota applied to the project, the user or the agent. */
  used: z.object({ day: sumSchema, month: sumSchema, total: sumSchema }),
  /** Of attempts and calls that are not over. */
  reserved: sumSchema,
  /** How many they are. */
  running: z.int(),
  /** Begun in the last minute. */
  requests_last_minute: z.int(),
  /** When what was used of a day, and of a month, counts no more. RFC 3339. */
  day_ends: z.string(),
  month_ends: z.string(),
});
export type QuotaAccount = z.infer<typeof quotaAccountSchema>;

export const quotaPageSchema = z.object({ quotas: z.array(quotaAccountSchema), next_cursor: z.string().nullable() });

export const resetQuotaSchema = z.strictObject({
  reason: z.string().min(1).max(1000).default('reset by an operator'),
  by: z.string().min(1).max(128).optional(),
});
export type ResetQuota = z.infer<typeof resetQuotaSchema>;

export const resetAnswerSchema = z.object({
  /** False: it is on disk, but the ledger has not taken it in yet. */
  done: z.boolean(),
  quota: quotaAccountSchema,
});
export type ResetAnswer = z.infer<typeof resetAnswerSchema>;
