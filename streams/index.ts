export * from './analytics.js';
export * from './live-text.js';
export * from './log.js';
export * from './pause.js';
export * from './rate-limiter.js';
export * from './record.js';
export * from './view-store.js';
export * from './within.js';
