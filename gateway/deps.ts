// What the gateway needs. `createApp(deps)` opens nothing itself.
import type { Logger } from 'pino';
import type { ModelGateway } from '../models/index.js';
import type { Signer } from '../processors/attestation/index.js';
import type { Agents, ArtifactStore } from '../processors/index.js';
import type { Servers } from '../schemas/index.js';
import type { Analytics, LiveText, Log, RateLimiter, ViewStore } from '../streams/index.js';
import type { StatsQuestion } from './analytics/index.js';
import type { AuditIdentity } from './audit/index.js';

export interface DependencyHealth {
  readonly name: string;
  readonly ok: boolean;
  /** Without it the gateway cannot take tasks. */
  readonly required: boolean;
  readonly detail?: string;
  readonly latency_ms?: number;
}

/** What is done to the analytics tables as a whole. */
export interface AnalyticsAdmin {
  /** Drops them and has them brought again from the log; resolves when that has begun. */
  rebuild(): Promise<unknown>;
  migrate(): Promise<{ readonly applied: readonly string[]; readonly generation: string }>;
}

/** For a route (its pattern, never a path): what to call with the status and the milliseconds of each answer. Must not throw. */
export type RequestTimer = (method: string, route: string) => (status: number, ms: number) => void;

/** A request that took part in a trace, answered. Times are milliseconds since the epoch. */
export interface TracedRequest {
  readonly traceId: string;
  readonly spanId: string;
  /** The caller's span; absent where the trace began with this request. */
  readonly parentSpanId?: string;
  readonly sampled: boolean;
  readonly correlationId: string;
  readonly method: string;
  /** The route's pattern, never a path. */
  readonly route: string;
  readonly status: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** What a call of a model may use at most, set aside before it is made. */
export interface SpendingRequest {
  /** New for every request. */
  readonly reservationId: string;
  readonly project: string;
  readonly user?: string;
  readonly agent: 'chat';
  /** Input and output together. */
  readonly tokens: number;
  /** 0 where nobody says what the model costs. */
  readonly costUsd: number;
  /** From now; what nobody settled until then is free again. Milliseconds. */
  readonly expiresMs: number;
}

/** What was used in the end, by all calls together, those that failed included. */
export interface Spent {
  readonly tokens: number;
  readonly costUsd: number;
}

export type Reservation =
  | { readonly ok: true; settle(used: Spent): Promise<void> }
  /** Which budget does not allow it, and until when; for whoever asks. */
  | { readonly ok: false; readonly message: string; readonly retryAfterMs?: number };

/** Budgets and quotas of those who ask models through this gateway. */
export interface Spending {
  /** @throws Fault, or the signal's reason when aborted */
  reserve(request: SpendingRequest, signal: AbortSignal): Promise<Reservation>;
}

export interface GatewayDeps {
  readonly config: Servers;
  /** `servers.yaml`'s digest: the configversion of events. */
  readonly configVersion: string;
  readonly log: Log;
  readonly views: ViewStore;
  readonly artifacts: ArtifactStore;
  readonly agents: Agents;
  readonly models: ModelGateway;
  readonly limiter: RateLimiter;
  /** Absent: nobody has a budget. */
  readonly spending?: Spending;
  readonly live: LiveText;
  /** History; none where `analytics.kind` is `none`. */
  readonly analytics?: Analytics | undefined;
  readonly analyticsAdmin?: AnalyticsAdmin | undefined;
  /** Who signs checkpoints; none: history is not audited here. */
  readonly audit?: AuditIdentity | undefined;
  /** Signs attestations; none: they are not to be had. */
  readonly signer?: Signer | undefined;
  /** The questions of deploy/clickhouse/stats. */
  readonly stats?: readonly StatsQuestion[];
  /** Each dependency of the whole node (log, views, models, sandbox, deciders, workers). Never throws. */
  readonly health: () => Promise<readonly DependencyHealth[]>;
  /** What Prometheus scrapes of this process. Answers within seconds, whatever hangs. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** Told how long requests took; absent: nobody wants to know. */
  readonly requests?: RequestTimer;
  /** Told of every request that says something about a task, with the span that it is for its events; absent: requests are no spans. Must not throw. */
  readonly onRequest?: (request: TracedRequest) => void;
  readonly now: () => number;
  readonly logger: Logger;
  readonly version: string;
}
