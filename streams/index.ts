export * from './log.js';
export * from './record.js';
export * from './view-store.js';
