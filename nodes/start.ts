// The composition root: opens what a node needs for its roles, starts them, stops them in order. It alone opens adapters.
//
// P1. Starting opens stores first, then deciders and workers, then the door; stopping goes the other way: nothing is accepted that could not be kept.
// P2. A part that dies ends the node: `failed` resolves with the error, and whoever started it exits, so that a supervisor can start it anew.
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createApp, type DependencyHealth, serveGateway } from '../gateway/index.js';
import { type ModelGateway, openModelGateway } from '../models/index.js';
import { openArtifactFiles } from '../processors/artifact-files.js';
import { generateEffect } from '../processors/generation/index.js';
import { newInterrupts, runDeciders, runEffects } from '../processors/host/index.js';
import { type ArtifactStore, type Decider, ingestHistory, materialise } from '../processors/index.js';
import { qaEffect } from '../processors/qa/effect.js';
import { openSandbox, type Sandbox } from '../processors/qa/index.js';
import { analyseEffect, createAgents, decomposeEffect, routingDecider } from '../processors/routing/index.js';
import { schedulingDecider } from '../processors/scheduling/index.js';
import { type Lane, LIFECYCLE, type Servers, TELEMETRY, WORK_TOPICS, workTopic } from '../schemas/index.js';
import type { LiveText, Log, Recorded, ViewStore } from '../streams/index.js';
import { Slots } from '../streams/runtime/index.js';
import { type NodeAnalytics, openAnalytics } from './analytics.js';
import { ANSWER_MS, healthOf } from './health.js';
import { followInterrupts } from './interrupt-tail.js';
import { livePublisher } from './live-publisher.js';
import { silentLogger } from './logger.js';
import { type Metrics, openMetrics, serveMetrics } from './metrics/index.js';
import { ALL_ROLES, describeRoles, type Roles } from './roles.js';
import { startSampler } from './sampler.js';
import { readStats } from './stats-files.js';
import { openStorage } from './storage.js';
import { openTelemetrySink, type TelemetrySink } from './telemetry.js';
import { idsOf, openTracing, type Tracing } from './tracing.js';
import { VERSION } from './version.js';

export interface NodeOptions {
  readonly config: Servers;
  /** Digest of the configuration: the `configversion` of events. */
  readonly configVersion: string;
  /** What relative paths of the configuration are relative to. */
  readonly baseDir: string;
  readonly roles?: Roles;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly logger?: Logger;
  readonly now?: () => number;
}

export interface RunningNode {
  /** Where it answers; undefined without the gateway role. */
  readonly url: string | undefined;
  /** Where Prometheus scrapes it; undefined without the gateway role and `telemetry.metrics_port`. */
  readonly metricsUrl: string | undefined;
  readonly roles: Roles;
  /** The node's own log, for whoever measures or inspects it in this process. */
  readonly log: Log;
  readonly models: ModelGateway;
  readonly health: () => Promise<readonly DependencyHealth[]>;
  /** Resolves when a part of the node failed for good, with its error. */
  readonly failed: Promise<unknown>;
  /** Stops accepting, lets running work end within its time, closes the stores. Idempotent. */
  stop(): Promise<void>;
}

/** Group names: part of the stored offsets, never to be changed. */
const GROUPS = { deciders: 'core', views: 'views', workers: 'workers', history: 'history', traces: 'traces' } as const;
/** How long running work may go on when the node stops, in milliseconds. */
const DRAIN_MS = 5_000;

/** What the parts of a node have in common, and how they are ended: in the order opposite to their start. */
interface Starting {
  readonly options: Required<Pick<NodeOptions, 'config' | 'configVersion' | 'baseDir' | 'roles' | 'env' | 'logger' | 'now'>>;
  readonly log: Log;
  readonly views: ViewStore;
  readonly live: LiveText;
  readonly artifacts: ArtifactStore;
  readonly models: ModelGateway;
  readonly telemetry: TelemetrySink;
  readonly metrics: Metrics;
  readonly analytics: NodeAnalytics | undefined;
  readonly tracing: Tracing | undefined;
  /** How much of each lane of the worker role runs at a time here. */
  readonly slots: ReadonlyMap<Lane, Slots>;
  readonly problem: (where: string) => (error: unknown, record?: Recorded) => void;
  /** Joins a group; a handler that fails for good ends the node. */
  serve(...args: Parameters<Log['join']>): Promise<void>;
  atEnd(close: () => Promise<unknown>): void;
}

const routingOf = (config: Servers) => ({
  askModelBelow: config.routing.ask_model_below,
  modelAvailable: config.models.some((model) => model.runner !== 'scripted'),
});

const startDeciders = async ({ options, log, views, metrics, analytics, tracing, problem, serve }: Starting): Promise<void> => {
  const { config, configVersion, now } = options;
  const deciders: readonly Decider[] = [routingDecider(routingOf(config)) as Decider, schedulingDecider(config.scheduling) as Decider];
  const run = {
    group: GROUPS.deciders,
    source: `/deciders/${GROUPS.deciders}`,
    configVersion,
    now,
    deciders,
    onProblem: problem('deciders'),
  };
  await serve(GROUPS.deciders, [LIFECYCLE], (assignment) => runDeciders(assignment, { ...run, onCommitted: metrics.lifecycle() }));
  await serve(GROUPS.views, [LIFECYCLE], (assignment) => materialise(assignment, { log, views, onProblem: problem('views') }));
  if (tracing !== undefined) await serve(GROUPS.traces, [LIFECYCLE, TELEMETRY], tracing.export);
  if (analytics === undefined) return;
  const { store, generation } = analytics;
  const history = { log, analytics: store, generation, flushMs: config.analytics.flush_ms, onProblem: problem('history') };
  await serve(GROUPS.history, [LIFECYCLE, TELEMETRY], (assignment) => ingestHistory(assignment, history));
};

const startWorkers = async (starting: Starting): Promise<Sandbox> => {
  const { options, log, live, models, artifacts, telemetry, metrics, slots, problem, serve, atEnd } = starting;
  const { config, configVersion, env, now, roles } = options;
  const node = config.node.id;
  const sandbox = await openSandbox({ rung: config.sandbox.rung, hidden: [config.node.data_dir], env });
  const interrupts = newInterrupts();
  const stopping = new AbortController();
  // Every partition that is followed listens to it.
  setMaxListeners(0, stopping.signal);
  const following = followInterrupts(log, interrupts, stopping.signal, problem('interrupts'));
  atEnd(() => {
    stopping.abort();
    return following;
  });
  const { timeout_s, memory_bytes, processes, output_bytes, disk_bytes } = config.sandbox;
  const limits = { timeout_ms: timeout_s * 1000, memory_bytes, processes, output_bytes, disk_bytes };
  const shared = {
    group: GROUPS.workers,
    effects: [generateEffect(), qaEffect, analyseEffect(), decomposeEffect()],
    ports: { models, artifacts, checks: { sandbox, limits } },
    log,
    interrupts,
    node,
    worker: `${node}:${process.pid}`,
    configVersion,
    now,
    takeCalls: telemetry.take,
    speak: livePublisher(live),
    drainMs: DRAIN_MS,
  };
  await serve(GROUPS.workers, roles.workers.map(workTopic), (assignment) => {
    const lane = assignment.topic.slice('dats.work.'.length) as Lane;
    return runEffects(assignment, { ...shared, slots: slots.get(lane)!, onEvent: metrics.work(GROUPS.workers, assignment.topic) });
  });
  return sandbox;
};

const startSampling = ({ options, log, slots, problem, atEnd }: Starting): void => {
  const { config, configVersion, now, roles } = options;
  const sampler = startSampler({
    log,
    everyS: config.telemetry.sample_s,
    node: config.node.id,
    version: VERSION,
    roles: describeRoles(roles),
    configVersion,
    now,
    runningWork: () => [...slots.values()].reduce((sum, { taken }) => sum + taken, 0),
    onProblem: problem('sampler'),
  });
  atEnd(async () => sampler.stop());
};

/** A node, ready when the promise resolves. @throws Fault when a store cannot be opened or the port is taken; then nothing is left open. */
export const startNode = async (request: NodeOptions): Promise<RunningNode> => {
  const ends: (() => Promise<unknown>)[] = [];
  const end = async (): Promise<void> => {
    for (let close = ends.pop(); close !== undefined; close = ends.pop()) await close();
  };
  try {
    const node = await startParts(request, (close) => void ends.push(close));
    let stopped: Promise<void> | undefined;
    return { ...node, stop: () => (stopped ??= end()) };
  } catch (error) {
    await end();
    throw error;
  }
};

const startParts = async (request: NodeOptions, atEnd: Starting['atEnd']): Promise<Omit<RunningNode, 'stop'>> => {
  const { config, configVersion, baseDir, roles = ALL_ROLES, env = process.env, logger = silentLogger(), now = Date.now } = request;
  const options = { config, configVersion, baseDir, roles, env, logger, now };
  const metrics = await openMetrics({ version: VERSION, node: config.node.id, roles: describeRoles(roles) });
  const problem: Starting['problem'] = (where) => (error, record) => {
    metrics.problem(where, error);
    logger.warn({ err: error, where, ...idsOf(record) }, 'problem');
  };
  const { log, views, limiter, live, close } = await openStorage({ config, env, onProblem: problem('storage') });
  atEnd(close);
  const artifacts = await openArtifactFiles(join(config.node.data_dir, 'artifacts'));
  const analytics = await openAnalytics(config, env);
  if (analytics !== undefined) atEnd(() => analytics.store.close());
  const tracing = await openTracing({ config, env, onProblem: problem('traces') });
  if (tracing !== undefined) atEnd(tracing.close);
  const telemetry = openTelemetrySink({ log, node: config.node.id, configVersion, now, onProblem: problem('telemetry') });
  const opened = await openModelGateway({
    models: config.models,
    prices: config.prices,
    baseDir,
    env,
    node: config.node.id,
    onCall: (call) => {
      metrics.onCall(call);
      telemetry.onCall(call);
    },
  });
  const models = metrics.watch(opened);
  atEnd(() => models.close());

  let fail!: (error: unknown) => void;
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve;
  });
  const serve: Starting['serve'] = async (...args) => {
    const membership = await log.join(...args);
    membership.done.catch(fail);
    atEnd(() => membership.leave().catch(problem('leave')));
  };
  const slots = new Map<Lane, Slots>(roles.workers.map((lane) => [lane, new Slots(config.slots[lane])]));
  const starting: Starting = {
    options,
    log,
    views,
    live,
    artifacts,
    models,
    telemetry,
    metrics,
    analytics,
    tracing,
    slots,
    problem,
    serve,
    atEnd,
  };
  if (roles.deciders) await startDeciders(starting);
  const sandbox = roles.workers.length > 0 ? await startWorkers(starting) : undefined;

  const needs = { log, views, models, analytics: analytics?.store, sandbox, config, roles, groups: GROUPS };
  const health = healthOf(needs);
  metrics.ask({
    log,
    models,
    health: healthOf(needs, ANSWER_MS),
    groups: [
      { group: GROUPS.deciders, topics: [LIFECYCLE] },
      { group: GROUPS.views, topics: [LIFECYCLE] },
      { group: GROUPS.workers, topics: WORK_TOPICS },
      ...(tracing === undefined ? [] : [{ group: GROUPS.traces, topics: [LIFECYCLE, TELEMETRY] as const }]),
    ],
    history: analytics && { group: GROUPS.history, topics: [LIFECYCLE, TELEMETRY] },
  });
  const agents = createAgents({ models, options: routingOf(config), now });
  const app = createApp({
    config,
    configVersion,
    log,
    views,
    artifacts,
    agents,
    models,
    health,
    metrics: metrics.scrape,
    requests: metrics.requests,
    ...(tracing === undefined ? {} : { onRequest: tracing.onRequest }),
    analytics: analytics?.store,
    analyticsAdmin: analytics?.admin,
    stats: roles.gateway && analytics !== undefined ? await readStats() : [],
    limiter,
    live,
    now,
    logger,
    version: VERSION,
  });
  const { host, port } = config.gateway;
  const server = roles.gateway ? await serveGateway(app, { host, port, logger }) : undefined;
  if (server) atEnd(() => server.close());
  const metricsPort = config.telemetry.metrics_port;
  const scraped = server || metricsPort === 0 ? undefined : await serveMetrics(metrics.scrape, { host, port: metricsPort });
  if (scraped) atEnd(() => scraped.close());
  const at = server ?? scraped;
  const metricsUrl = at && `${at.url}/metrics`;
  startSampling(starting);
  logger.info({ roles: describeRoles(roles), url: server?.url, metrics: metricsUrl }, 'ready');
  return { url: server?.url, metricsUrl, roles, log, models, health, failed };
};
