// Verdicts. A verdict says what was checked and how it went, check by check.
import { z } from 'zod';
import { QA_PROFILES, taskIdSchema } from './task.js';

export const checkResultSchema = z.object({
  /** `syntax:python`, `tests:python`. */
  name: z.string(),
  status: z.enum(['passed', 'failed', 'skipped']),
  /** Why, in words that the next attempt and a person can use. Bounded. */
  detail: z.string().max(8_000).optional(),
  duration_ms: z.number().min(0),
});
export type CheckResult = z.infer<typeof checkResultSchema>;

const verdict = {
  task_id: taskIdSchema,
  attempt: z.int().min(1),
  profile: z.enum(QA_PROFILES),
  checks: z.array(checkResultSchema),
  /** Share of the checks that passed, 0..1. */
  score: z.number().min(0).max(1),
};
export const taskValidated = z.object(verdict);
export const taskRejected = z.object({ ...verdict, reasons: z.array(z.string().max(8_000)).min(1), retryable: z.boolean() });
