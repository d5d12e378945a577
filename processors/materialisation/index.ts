export * from './materialise.js';
export * from './project-view.js';
export * from './task-view.js';
