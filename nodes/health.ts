// How each dependency of a node is. Readiness tells the truth: what cannot do its work is not ready.
import type { DependencyHealth } from '../gateway/index.js';
import type { ModelGateway } from '../models/index.js';
import { HISTORY_TOPICS, historyBehind } from '../processors/index.js';
import { BEATS, PRESENCE, type PresenceView, type StoredBeat } from '../processors/link/index.js';
import type { Sandbox } from '../processors/qa/index.js';
import type { Settings } from '../processors/settings/index.js';
import { LIFECYCLE, QUOTA, type Servers, TELEMETRY, timeoutSignal, WORK_TOPICS } from '../schemas/index.js';
import { type Analytics, type Log, type ViewStore, within } from '../streams/index.js';
import type { Uplink } from './link/index.js';
import type { Roles } from './roles.js';

export interface HealthDeps {
  readonly log: Log;
  readonly settings: Settings;
  readonly views: ViewStore;
  readonly models: ModelGateway;
  readonly analytics: Analytics | undefined;
  readonly sandbox: Sandbox | undefined;
  /** The line to the core, where this is an edge node. */
  readonly uplink: Uplink | undefined;
  /** The edge nodes, where this is the core of several. */
  readonly edges: readonly string[];
  readonly config: Servers;
  readonly roles: Roles;
  readonly groups: Readonly<Record<'deciders' | 'views' | 'workers' | 'history' | 'traces' | 'quota', string>>;
}

type Found = Pick<DependencyHealth, 'ok' | 'detail'>;

const timedWithin =
  (limitMs: number | undefined) =>
  async (name: string, required: boolean, check: () => Promise<Found>): Promise<DependencyHealth> => {
    const start = performance.now();
    const late = { ok: false, detail: `did not answer within ${(limitMs ?? 0) / 1_000} s` };
    const result = await (limitMs === undefined ? check() : within(limitMs, check()).then((found) => found ?? late)).catch(
      (error: unknown) => ({
        ok: false,
        detail: error instanceof Error ? error.message : String(error),
      }),
    );
    return { name, required, ...result, latency_ms: Math.round((performance.now() - start) * 10) / 10 };
  };

/** How long a dependency may take to answer, in milliseconds. */
export const ANSWER_MS = 1_500;

/** The registry is asked when a process starts; who runs already has what it needs of it. */
const registryHealth = async (url: string): Promise<{ ok: boolean; detail?: string }> => {
  const { ok, status } = await fetch(`${url.replace(/\/$/, '')}/subjects`, { signal: timeoutSignal(ANSWER_MS) });
  return ok ? { ok } : { ok, detail: `the schema registry answers ${status}` };
};

const edgesHealth = async (views: Pick<ViewStore, 'get'>, edges: readonly string[]): Promise<Found> => {
  const [beats, presences] = await Promise.all([
    Promise.all(edges.map(async (id) => views.get<StoredBeat>(BEATS, id))),
    Promise.all(edges.map(async (id) => views.get<PresenceView>(PRESENCE, id))),
  ]);
  const lost = edges.filter((_, i) => presences[i]?.lost === true && beats[i]?.vitals.admission !== 'drained');
  const came = beats.filter((beat) => beat !== undefined).length;
  if (lost.length === 0) return { ok: true, detail: `${edges.length} edge nodes, ${edges.length - came} of them never came, none is lost` };
  return { ok: false, detail: `not heard of: ${lost.join(', ')}; cut off they work on, and send what they did when the line is back` };
};

/** @param limitMs how long each may take; default: as long as it takes by itself */
export const healthOf = (deps: HealthDeps, limitMs?: number) => async (): Promise<readonly DependencyHealth[]> => {
  const { log, settings, views, models, analytics, sandbox, uplink, edges, groups, config } = deps;
  const timed = timedWithin(limitMs);
  const registryUrl = config.log.kind === 'kafka' ? config.log.kafka.registry_url : undefined;
  /** Every partition has an owner somewhere, in this process or another. */
  const owned = async (group: string, topics: Parameters<Log['lag']>[1], what: string) => {
    const lags = await log.lag(group, topics);
    const orphans = lags.filter((lag) => lag.owner === undefined);
    const behind = lags.reduce((n, lag) => n + lag.lag, 0);
    if (orphans.length === 0) return { ok: true, detail: `${behind} records behind` };
    return {
      ok: false,
      detail: `nobody serves ${orphans.map((o) => `${o.topic}/${o.partition}`).join(', ')}: start a process with the ${what} role (dats start --roles ${what})`,
    };
  };
  return Promise.all([
    timed('log', true, () => log.health()),
    timed('views', true, async () => {
      await views.checkpoint('lifecycle', 0);
      return views.health?.() ?? { ok: true };
    }),
    timed('settings', true, async () =>
      settings.isReady()
        ? { ok: true, detail: `version ${settings.current().version}` }
        : { ok: false, detail: 'dats.config has not been read yet: until then nothing is decided here' },
    ),
    ...(registryUrl === undefined ? [] : [timed('registry', false, () => registryHealth(registryUrl))]),
    timed('deciders', false, () => owned(groups.deciders, [LIFECYCLE], 'deciders')),
    timed('materialisation', false, () => owned(groups.views, [LIFECYCLE], 'deciders')),
    timed('budgets', false, () => owned(groups.quota, [QUOTA], 'deciders')),
    timed('workers', false, () => owned(groups.workers, WORK_TOPICS, 'workers')),
    ...(config.telemetry.otlp_url === undefined
      ? []
      : [timed('traces', false, () => owned(groups.traces, [LIFECYCLE, TELEMETRY], 'deciders'))]),
    ...(analytics === undefined
      ? []
      : [
          timed('analytics', false, async () => {
            const [store, history] = await Promise.all([analytics.health(), owned(groups.history, HISTORY_TOPICS, 'deciders')]);
            if (!store.ok || !history.ok) return store.ok ? history : store;
            return { ok: true, detail: `${store.detail}, ${await historyBehind(analytics, log)} records behind` };
          }),
        ]),
    timed('models', false, async () => {
      const status = await models.status();
      const answering = status.filter((model) => model.health.ok);
      const real = answering.filter((model) => !model.scripted);
      if (real.length > 0) return { ok: true, detail: `${real.map((model) => model.id).join(', ')} answer` };
      if (answering.length > 0) return { ok: true, detail: 'no model server answers; the scripted runner does' };
      return { ok: false, detail: 'no model answers: see GET /api/v1/models' };
    }),
    ...(uplink === undefined
      ? []
      : [
          timed('core', false, async () => {
            const { connected, detail } = uplink.state();
            if (connected) return { ok: true, detail: `connected, ${(await uplink.unsent()) ?? 0} records to send` };
            return { ok: false, detail: `cut off: ${detail}; work goes on here, and is sent when the line is back` };
          }),
        ]),
    ...(edges.length === 0 ? [] : [timed('edges', false, () => edgesHealth(views, edges))]),
    ...(sandbox === undefined
      ? []
      : [
          timed('sandbox', false, async () =>
            sandbox.rung === 'none'
              ? { ok: false, detail: 'no sandbox works here: the tests profile cannot run code' }
              : { ok: true, detail: sandbox.rung },
          ),
        ]),
  ]);
};
