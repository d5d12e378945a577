export { type HistoryOptions, ingestHistory } from './ingest.js';
export { type EventRow, rowOf } from './row.js';
