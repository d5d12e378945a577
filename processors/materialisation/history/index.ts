export { HISTORY_TOPICS, historyBehind } from './behind.js';
export { type HistoryOptions, ingestHistory } from './ingest.js';
export { type EventRow, rowOf } from './row.js';
