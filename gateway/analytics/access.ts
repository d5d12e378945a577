// The way to history: whether there is any here, and how long a question may take.
import type { Analytics, AskLimits } from '../../streams/index.js';
import { within } from '../deadline.js';
import type { AnalyticsAdmin, GatewayDeps } from '../deps.js';
import { type ProblemCode, refuse } from '../problem.js';

/** What every route that asks history can answer besides its own problems. */
export const HISTORY_PROBLEMS = [
  'analytics_off',
  'no_engine',
  'analytics_unavailable',
  'analytics_missing',
] as const satisfies readonly ProblemCode[];

/** How long a question of ours may take, milliseconds: below the 30 s that clients wait. */
const ANSWER_MS = 25_000;
/** How long a question of somebody else's may wait for its turn, besides its own time limit; milliseconds. */
const TURN_MS = 10_000;

const off = () =>
  refuse(
    'analytics_off',
    'history is not kept here: analytics.kind of servers.yaml is none, or is auto where the log is not on this disk; set it to embedded, or to server with the analytics.url of a ClickHouse, and start again',
  );

/** @throws Fault terminal `analytics_off` */
export const analyticsOf = ({ analytics }: Pick<GatewayDeps, 'analytics'>): Analytics => {
  if (analytics === undefined) throw off();
  return analytics;
};

/** @throws Fault terminal `analytics_off` */
export const adminOf = ({ analyticsAdmin }: Pick<GatewayDeps, 'analyticsAdmin'>): AnalyticsAdmin => {
  if (analyticsAdmin === undefined) throw off();
  return analyticsAdmin;
};

/** The limits of other people's SQL, as servers.yaml has them. */
export const askLimitsOf = ({ config }: Pick<GatewayDeps, 'config'>): AskLimits => {
  const { timeout_ms, rows, memory_bytes } = config.analytics.query;
  return { timeoutMs: timeout_ms, rows, memoryBytes: memory_bytes };
};

/** How long whoever asks with these limits may have to wait, milliseconds. */
export const patienceFor = (limits: AskLimits): number => limits.timeoutMs + TURN_MS;

const busy = (ms: number) =>
  refuse('analytics_unavailable', `history did not answer within ${Math.round(ms / 1_000)} s; it is busy, perhaps: try again`);

/** What `work` gives. @throws Fault retryable `analytics_unavailable` when that takes longer than `ms`; then nobody looks at it any more. */
export const inTime = <T>(work: Promise<T>, ms = ANSWER_MS): Promise<T> => within(work, ms, busy);
