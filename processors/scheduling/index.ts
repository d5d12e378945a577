export { schedulingDecider } from './decider.js';
export { maxRunning, type SchedulingPolicy } from './policy.js';
export type { SchedulingQuotas } from './quota.js';
