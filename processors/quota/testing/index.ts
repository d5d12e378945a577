export * from './ledger-world.js';
