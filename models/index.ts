export * from './gateway.js';
export * from './runner.js';
