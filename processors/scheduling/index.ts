export { PROMPT_VERSION, schedulingDecider } from './decider.js';
export type { SchedulingPolicy } from './policy.js';
export type { SchedulingQuotas } from './quota.js';
