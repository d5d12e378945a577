export { type Asked, askReplay, lookAtReplay } from './ask.js';
export { createReplays, REPLAYS_LIMIT, type Replays, replaysOf } from './replays.js';
export { offsetAt } from './request.js';
