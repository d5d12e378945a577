export * from './agents.js';
export * from './artifact-store.js';
export * from './decider.js';
export * from './draft.js';
export * from './effect.js';
