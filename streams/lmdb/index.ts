export { type LmdbBroadcastOptions, openLmdbBroadcast } from './broadcast.js';
export { HEARTBEAT_MS, kernelLiveness, LEASE_MS, type Liveness } from './groups.js';
export { type LmdbLiveTextOptions, openLmdbLiveText } from './live-text.js';
export { LmdbLog } from './log.js';
export { type Life, lifeOf, type ProcessIdentity, thisProcess } from './process-identity.js';
export { type LmdbOptions, type LmdbStorage, openLmdbLog, openLmdbStorage, openLmdbViewStore, POLL_MS } from './storage.js';
