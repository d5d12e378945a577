// What the gateway needs. `createApp(deps)` opens nothing itself.
import type { Logger } from 'pino';
import type { ModelGateway } from '../models/index.js';
import type { Agents, ArtifactStore } from '../processors/index.js';
import type { Servers } from '../schemas/index.js';
import type { LiveText, Log, RateLimiter, ViewStore } from '../streams/index.js';

export interface DependencyHealth {
  readonly name: string;
  readonly ok: boolean;
  /** Without it the gateway cannot take tasks. */
  readonly required: boolean;
  readonly detail?: string;
  readonly latency_ms?: number;
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
  readonly live: LiveText;
  /** Each dependency of the whole node (log, views, models, sandbox, deciders, workers). Never throws. */
  readonly health: () => Promise<readonly DependencyHealth[]>;
  readonly now: () => number;
  readonly logger: Logger;
  readonly version: string;
}
