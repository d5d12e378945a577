export { type MemoryLogOptions, openMemoryLog } from './log.js';
export { MemoryStore } from './store.js';
export { openMemoryViewStore } from './view-store.js';
