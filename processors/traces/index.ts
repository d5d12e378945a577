export * from './deliver.js';
export * from './export-traces.js';
export * from './ids.js';
export * from './names.js';
export * from './span.js';
export * from './spans.js';
