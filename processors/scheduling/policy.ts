// The numbers of scheduling, and what follows from them: backoff, escalation, limits. Pure.
import { createHash } from 'node:crypto';
import { type Servers, TIERS, type Tier } from '../../schemas/index.js';
import type { OpenTask } from './state.js';

export type SchedulingPolicy = Servers['scheduling'];

export const maxRunning = (policy: SchedulingPolicy, project: string): number =>
  policy.projects[project]?.max_running ?? policy.max_running_per_project;
export const timeoutMs = (policy: SchedulingPolicy, options: OpenTask['options']): number => (options.timeout_s ?? policy.timeout_s) * 1000;
export const maxAttempts = (policy: SchedulingPolicy, task: OpenTask): number => task.options.max_attempts ?? policy.max_attempts;

/** Exponential, with jitter between half and the whole, drawn from the task and attempt so that replay gives the same. */
export const backoffMs = (policy: SchedulingPolicy, taskId: string, attempt: number): number => {
  const whole = Math.min(policy.backoff_max_ms, policy.backoff_base_ms * 2 ** Math.max(0, attempt - 1));
  const draw = createHash('sha256').update(`${taskId}\u001f${attempt}`).digest().readUInt32BE(0) / 2 ** 32;
  return Math.round(whole * (0.5 + draw / 2));
};

/** The next tier up; the highest stays. */
export const escalate = (tier: Tier): Tier => TIERS[Math.min(TIERS.length - 1, TIERS.indexOf(tier) + 1)]!;
