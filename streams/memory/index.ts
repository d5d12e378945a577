export { type BroadcastHub, createBroadcastHub, openMemoryBroadcast } from './broadcast.js';
export { type MemoryLiveTextOptions, openMemoryLiveText } from './live-text.js';
export { type MemoryLogOptions, openMemoryLog } from './log.js';
export { type MemoryRateLimiterOptions, openMemoryRateLimiter } from './rate-limiter.js';
export { MemoryStore } from './store.js';
export { openMemoryViewStore } from './view-store.js';
