export { DONE_STATE } from './committer.js';
export { MAP_LIMIT_BYTES } from './completion-map.js';
export { consumeWork } from './consume.js';
export { deadLetter, deadLetterAlert, type Failure, isDeadLetter, revive } from './dead-letter.js';
export { ABORT_GRACE_MS } from './drain.js';
export type { Ordering } from './keyed-queue.js';
export { GIVE_WAY_MS, giveWay, isBusy, type Load, openLoad, WINDOW_MS } from './load.js';
export { backoffMs, nextAttempt, RETRY_AFTER_LIMIT_MS, type RetryPolicy } from './retry.js';
export { Slots } from './slots.js';
export { systemTimers, type Timers } from './timers.js';
export { untilDone } from './until-done.js';
export {
  DEFAULT_DRAIN_MS,
  DEFAULT_MAX_IN_FLIGHT,
  DEFAULT_RETRY,
  MAX_IN_FLIGHT_LIMIT,
  type WorkContext,
  type WorkEvent,
  type WorkOptions,
  type WorkStats,
} from './work.js';
