export { askLimitsOf, type StatsQuestion, statsQuestionOf } from './analytics/index.js';
export { createApp, type GatewayApp, type GatewayOptions } from './app.js';
export { createDeadLetters, type DeadLetter, type DeadLetters } from './dead-letters.js';
export type {
  AnalyticsAdmin,
  DependencyHealth,
  GatewayDeps,
  LineState,
  Nodes,
  RequestTimer,
  TracedRequest,
} from './deps.js';
export { AWAY_MS, BEAT_MS } from './link/index.js';
export type { OpenApi } from './openapi.js';
export { type ServedGateway, type ServeOptions, serveGateway } from './server.js';
