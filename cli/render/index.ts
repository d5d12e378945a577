export * from './colours.js';
export * from './event-line.js';
export * from './history.js';
export * from './progress.js';
export * from './table.js';
export * from './text.js';
export * from './views.js';
