export * from './balance.js';
export * from './follow.js';
export * from './limits.js';
export * from './member.js';
