export * from './history/index.js';
export * from './materialise.js';
export * from './project-view.js';
export * from './projection.js';
export * from './task-view.js';
