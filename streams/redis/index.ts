export { openRedisBroadcast, type RedisBroadcastOptions } from './broadcast.js';
export type { RedisOptions } from './connection.js';
export { openRedisLiveText, type RedisLiveTextOptions } from './live-text.js';
export { openRedisRateLimiter } from './rate-limiter.js';
export { openRedisViewStore } from './view-store.js';
