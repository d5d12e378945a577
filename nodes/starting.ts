// What the parts of a node have in common while it is put together.
import type { Logger } from 'pino';
import type { ModelGateway, ModelLender } from '../models/index.js';
import { type ArtifactStore, type Policies, promptVersionsOf } from '../processors/index.js';
import { type Admission, HOMES_GROUP } from '../processors/link/index.js';
import { dearestPrice, LEDGER_GROUP, type Spending } from '../processors/quota/index.js';
import type { Effective, Settings } from '../processors/settings/index.js';
import type { Lane, PromptName, Servers } from '../schemas/index.js';
import type { LiveText, Log, RateLimiter, Recorded, ViewStore } from '../streams/index.js';
import type { Load, Slots } from '../streams/runtime/index.js';
import type { NodeAnalytics } from './analytics.js';
import type { Metrics } from './metrics/index.js';
import type { Roles } from './roles.js';
import type { NodeKey } from './signing-key.js';
import type { TelemetrySink } from './telemetry.js';
import type { Tracing } from './tracing.js';
import type { Vitals } from './vitals.js';

/** Group names: part of the stored offsets, never to be changed. */
export const GROUPS = {
  deciders: 'core',
  cascade: 'cascade',
  views: 'views',
  workers: 'workers',
  history: 'history',
  traces: 'traces',
  audit: 'audit',
  link: 'link',
  homes: HOMES_GROUP,
  nodes: 'nodes',
  settings: 'settings',
  uplink: 'uplink',
  quota: LEDGER_GROUP,
} as const;

export interface StartOptions {
  readonly config: Servers;
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
  /** What can be changed while this runs: ask it each time, never keep what it said. */
  readonly settings: Settings;
  readonly views: ViewStore;
  readonly limiter: RateLimiter;
  readonly live: LiveText;
  readonly artifacts: ArtifactStore;
  readonly models: ModelGateway;
  /** The same, for what other nodes ask of it. */
  readonly lender: Pick<ModelGateway, 'status'> & ModelLender;
  readonly telemetry: TelemetrySink;
  readonly metrics: Metrics;
  /** Budgets of whoever asks models without an attempt of a task. */
  readonly spending: Spending;
  readonly analytics: NodeAnalytics | undefined;
  /** Signs checkpoints and attestations. */
  readonly key: NodeKey;
  readonly tracing: Tracing | undefined;
  /** Does this node take new work? */
  readonly admission: Admission;
  readonly vitals: Vitals;
  /** How busy this process is: what can wait gives way. */
  readonly load: Load;
  /** How much of each lane of the worker role runs at a time here. */
  readonly slots: ReadonlyMap<Lane, Slots>;
  readonly problem: (where: string) => (error: unknown, record?: Recorded) => void;
  /** Joins a group; a handler that fails for good ends the node. */
  serve(...args: Parameters<Log['join']>): Promise<void>;
  readonly atEnd: AtEnd;
}

/** Work items that run in this process now. */
export const runningWork = (slots: Starting['slots']): number => [...slots.values()].reduce((sum, { taken }) => sum + taken, 0);

/** What is in force, as routing reads it. */
export const routingOf =
  ({ models }: Servers) =>
  ({ routing, quotas }: Effective) => ({
    askModelBelow: routing.ask_model_below,
    callsPerTask: quotas.task.calls,
    modelAvailable: models.some((model) => model.runner !== 'scripted'),
  });

/** A part of the settings as deciders ask for it. */
export const policiesOf = <P>(settings: Settings, part: (effective: Effective) => P): Policies<P> => ({
  now: () => part(settings.current()),
  under: (configversion) => part(settings.under(configversion)),
});

/** What most parts of a process need of the settings. */
export const settingsFor = (settings: Settings) => ({
  configVersion: () => settings.current().version,
  promptVersions: () => promptVersionsOf(settings.current().prompts),
  known: (configversion: string, signal: AbortSignal) => settings.known(configversion, signal),
  prompts: (name: PromptName, version: number) => settings.promptOf(name, version),
});

/** What a token may cost at the most, by the prices in force. */
export const priceOf = ({ models }: Servers, settings: Settings): Spending['price'] =>
  dearestPrice(
    () => models,
    () => settings.current().prices,
  );
