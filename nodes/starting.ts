// What the parts of a node have in common while it is put together.
import type { Logger } from 'pino';
import type { ModelGateway } from '../models/index.js';
import type { ArtifactStore } from '../processors/index.js';
import { dearestPrice, LEDGER_GROUP, type Spending } from '../processors/quota/index.js';
import type { Lane, Servers } from '../schemas/index.js';
import type { LiveText, Log, RateLimiter, Recorded, ViewStore } from '../streams/index.js';
import type { Slots } from '../streams/runtime/index.js';
import type { NodeAnalytics } from './analytics.js';
import type { Metrics } from './metrics/index.js';
import type { Roles } from './roles.js';
import type { NodeKey } from './signing-key.js';
import type { TelemetrySink } from './telemetry.js';
import type { Tracing } from './tracing.js';

/** Group names: part of the stored offsets, never to be changed. */
export const GROUPS = {
  deciders: 'core',
  cascade: 'cascade',
  views: 'views',
  workers: 'workers',
  history: 'history',
  traces: 'traces',
  audit: 'audit',
  quota: LEDGER_GROUP,
} as const;

export interface StartOptions {
  readonly config: Servers;
  readonly configVersion: string;
  readonly baseDir: string;
  readonly roles: Roles;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly now: () => number;
}

/** How a part is ended: in the order opposite to their start. */
export type AtEnd = (close: () => Promise<unknown>) => void;

export interface Starting {
  readonly options: StartOptions;
  readonly log: Log;
  readonly views: ViewStore;
  readonly limiter: RateLimiter;
  readonly live: LiveText;
  readonly artifacts: ArtifactStore;
  readonly models: ModelGateway;
  readonly telemetry: TelemetrySink;
  readonly metrics: Metrics;
  /** Budgets of whoever asks models without an attempt of a task. */
  readonly spending: Spending;
  readonly analytics: NodeAnalytics | undefined;
  /** Signs checkpoints and attestations. */
  readonly key: NodeKey;
  readonly tracing: Tracing | undefined;
  /** How much of each lane of the worker role runs at a time here. */
  readonly slots: ReadonlyMap<Lane, Slots>;
  readonly problem: (where: string) => (error: unknown, record?: Recorded) => void;
  /** Joins a group; a handler that fails for good ends the node. */
  serve(...args: Parameters<Log['join']>): Promise<void>;
  readonly atEnd: AtEnd;
}

/** What a token may cost at the most. */
export const priceOf = ({ models, prices }: Servers): Spending['price'] =>
  dearestPrice(
    () => models,
    () => prices,
  );

/** What routing knows of the models. */
export const routingOf = (config: Servers) => ({
  askModelBelow: config.routing.ask_model_below,
  callsPerTask: () => config.quotas.task.calls,
  modelAvailable: config.models.some((model) => model.runner !== 'scripted'),
});
