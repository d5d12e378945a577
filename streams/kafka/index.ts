export type { SchemaIds } from './codec.js';
export * from './log.js';
export * from './registry.js';
export * from './registry-schemas.js';
