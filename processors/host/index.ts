export * from './arrival.js';
export * from './fold.js';
export * from './interrupts.js';
export * from './next-step.js';
export * from './rebuild.js';
export * from './run-deciders.js';
export * from './run-effects.js';
export * from './stamp.js';
