export * from './decider-specification.js';
export * from './effect-context.js';
export * from './memory-artifact-store.js';
