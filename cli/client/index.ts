export type * from './answers.js';
export { linesOf, type ProofQuery } from './audit.js';
export type { RejectRequest, RollbackRequest, SecurityAlertRequest, TaintRequest } from './cascades.js';
export * from './client.js';
export { type FollowOptions, RECONNECT_FOR_MS } from './events.js';
export type { ExecutionFilter, StatsFilter } from './history.js';
export type { TextEvent } from './live-text.js';
export { isProblem, isRefused, problemText, statusOfFault } from './problem.js';
export { type Sleep, sleep } from './wait.js';
