// What a node answers: its API where it is a gateway, else /metrics where a port is named for it.
import { AWAY_MS, createApp, type Nodes, serveGateway } from '../gateway/index.js';
import { signerWith } from '../processors/attestation/index.js';
import { HISTORY_TOPICS, historyBehind } from '../processors/index.js';
import { createAgents } from '../processors/routing/index.js';
import { CONFIG, LIFECYCLE, LINK, NODES, QUOTA, TELEMETRY, WORK_TOPICS } from '../schemas/index.js';
import { edgeFigures } from './edge-figures.js';
import { ANSWER_MS, type HealthDeps, healthOf } from './health.js';
import { serveMetrics } from './metrics/index.js';
import { GROUPS, routingOf, type Starting, settingsFor } from './starting.js';
import { readStats } from './stats-files.js';
import { VERSION } from './version.js';

export interface Door {
  readonly url: string | undefined;
  readonly metricsUrl: string | undefined;
  readonly health: ReturnType<typeof healthOf>;
}

/** What a scrape asks when it comes. */
const askForMetrics = (
  { options, metrics, log, models, views, admission, tracing, analytics }: Starting,
  needs: HealthDeps,
  nodes: Nodes | undefined,
): void =>
  metrics.ask({
    log,
    models,
    health: healthOf(needs, ANSWER_MS),
    groups: [
      { group: GROUPS.deciders, topics: [LIFECYCLE] },
      { group: GROUPS.cascade, topics: [LIFECYCLE] },
      { group: GROUPS.audit, topics: [LIFECYCLE] },
      { group: GROUPS.quota, topics: [QUOTA] },
      { group: GROUPS.views, topics: [LIFECYCLE] },
      ...(nodes === undefined
        ? []
        : [
            { group: GROUPS.link, topics: [LINK] as const },
            { group: GROUPS.homes, topics: [LIFECYCLE] as const },
          ]),
      ...(nodes?.core?.id !== options.config.node.id
        ? []
        : [
            { group: GROUPS.nodes, topics: [NODES] as const },
            { group: GROUPS.settings, topics: [CONFIG] as const },
          ]),
      { group: GROUPS.workers, topics: WORK_TOPICS },
      ...(analytics === undefined ? [] : [{ group: GROUPS.history, topics: HISTORY_TOPICS }]),
      ...(tracing === undefined ? [] : [{ group: GROUPS.traces, topics: [LIFECYCLE, TELEMETRY] as const }]),
    ],
    history: analytics && (() => historyBehind(analytics.store, log)),
    edges:
      nodes && (() => edgeFigures({ nodes, uplink: needs.uplink, admission: admission.state, views, awayMs: AWAY_MS, now: options.now })),
  });

const appOf = async ({ options, ...parts }: Starting, { uplink }: HealthDeps, health: Door['health'], nodes: Nodes | undefined) => {
  const { config, roles, now, logger } = options;
  const { log, settings, views, artifacts, models, limiter, live, metrics, spending, tracing, analytics, key } = parts;
  return createApp({
    config,
    settings,
    log,
    views,
    artifacts,
    agents: createAgents({
      models,
      spending,
      options: () => routingOf(config)(settings.current()),
      ...settingsFor(settings),
      now,
    }),
    models,
    spending,
    health,
    metrics: metrics.scrape,
    requests: metrics.requests,
    ...(tracing === undefined ? {} : { onRequest: tracing.onRequest }),
    analytics: analytics?.store,
    analyticsAdmin: analytics?.admin,
    stats: roles.gateway && analytics !== undefined ? await readStats() : [],
    audit: { vkey: key.vkey },
    signer: signerWith(key),
    limiter,
    live,
    nodes,
    line: uplink?.state,
    unsent: uplink?.unsent,
    vitals: parts.vitals.read,
    admission: parts.admission.state,
    now,
    logger,
    version: VERSION,
  });
};

/** @throws Fault when a port is taken */
export const openDoor = async (starting: Starting, needs: HealthDeps, nodes: Nodes | undefined): Promise<Door> => {
  const { options, metrics, atEnd } = starting;
  const { config, roles, logger } = options;
  const { host, port } = config.gateway;
  const health = healthOf(needs);
  askForMetrics(starting, needs, nodes);
  if (roles.gateway) {
    const server = await serveGateway(await appOf(starting, needs, health, nodes), { host, port, logger });
    atEnd(() => server.close());
    return { url: server.url, metricsUrl: `${server.url}/metrics`, health };
  }
  if (config.telemetry.metrics_port === 0) return { url: undefined, metricsUrl: undefined, health };
  const scraped = await serveMetrics(metrics.scrape, { host, port: config.telemetry.metrics_port });
  atEnd(() => scraped.close());
  return { url: undefined, metricsUrl: `${scraped.url}/metrics`, health };
};
