export * from './family-fold.js';
export * from './history/index.js';
export * from './marks.js';
export * from './materialise.js';
export * from './project-view.js';
export * from './projection.js';
export * from './task-view.js';
export * from './verify/index.js';
