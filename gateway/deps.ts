// What the gateway needs. `createApp(deps)` opens nothing itself.
import type { Logger } from 'pino';
import type { Exchange, ModelGateway } from '../models/index.js';
import type { Signer } from '../processors/attestation/index.js';
import type { Agents, ArtifactStore } from '../processors/index.js';
import type { Homes } from '../processors/link/index.js';
import type { Spending as Ledger } from '../processors/quota/index.js';
import type { Settings } from '../processors/settings/index.js';
import type { AdmissionState, NodeVitals, Servers } from '../schemas/index.js';
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

/** What the gateway knows of the other nodes. */
export interface Nodes extends Homes {
  /** What a node proves itself with; undefined where its variable is not set here. */
  tokenOf(node: string): string | undefined;
  /** Calls of models that other nodes have. */
  readonly exchange: Exchange;
  /** Which life of this node's own store it is. @throws Fault of the log, where that has to be asked and is away */
  store(): Promise<{ readonly id: string; readonly epoch: number }>;
}

/** An edge node's line to the core, as far as this process has it. */
export interface LineState {
  readonly connected: boolean;
  readonly epoch?: number;
  /** Records that the core does not have yet. */
  readonly backlog?: number;
  /** Why it is not connected. */
  readonly detail?: string;
  /** Over the line since this process began: bytes of batches, and batches. */
  readonly sent?: { readonly bytes: number; readonly batches: number };
}

/** Budgets and quotas of those who ask models through this gateway. */
export type Spending = Pick<Ledger, 'reserve'>;

export interface GatewayDeps {
  readonly config: Servers;
  /** What holds of what can be changed while this runs. */
  readonly settings: Settings;
  readonly log: Log;
  readonly views: ViewStore;
  readonly artifacts: ArtifactStore;
  readonly agents: Agents;
  readonly models: ModelGateway;
  readonly limiter: RateLimiter;
  /** Absent: nobody has a budget. */
  readonly spending?: Spending;
  readonly live: LiveText;
  /** Absent: this is the only node. */
  readonly nodes?: Nodes | undefined;
  /** The line to the core; absent: this is the core, or the only node. */
  readonly line?: (() => LineState) | undefined;
  /** Records that the core does not have, now; undefined: nobody knows here. */
  readonly unsent?: (() => Promise<number | undefined>) | undefined;
  /** How this node is. */
  readonly vitals?: () => Promise<NodeVitals>;
  /** Does this node take new work? Absent: always. */
  readonly admission?: () => AdmissionState;
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
