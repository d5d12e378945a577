export * from './made-history.js';
export { openRandom, type Random } from './random.js';
