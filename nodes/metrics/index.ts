export { CATALOGUE, type Definition } from './catalogue.js';
export type { LifecycleObserver } from './lifecycle.js';
export { serveMetrics } from './listen.js';
export { type Metrics, type MetricsOptions, type MetricsText, openMetrics } from './metrics.js';
