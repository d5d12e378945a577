export * from './agents.js';
export * from './artifact-store.js';
export * from './content.js';
export * from './decider.js';
export * from './draft.js';
export * from './effect.js';
export * from './materialisation/index.js';
export * from './task-spec.js';
