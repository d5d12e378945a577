export { analyticsKind } from './analytics.js';
export * from './configuration.js';
export { openLine } from './link/index.js';
export * from './logger.js';
export * from './roles.js';
export * from './start.js';
export * from './version.js';
