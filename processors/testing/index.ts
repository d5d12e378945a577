export * from './decider-specification.js';
export * from './memory-artifact-store.js';
export * from './effect-context.js';
