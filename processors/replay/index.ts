export type { ReplayConfig, ReplayRequest } from './compare.js';
export { type ReplayEffectDeps, replayEffect, shadowOf } from './effect.js';
export type { ReadableLog } from './read.js';
