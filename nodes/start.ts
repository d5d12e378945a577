// The composition root: opens what a node needs for its roles, starts them, stops them in order. It alone opens adapters.
//
// P1. Starting opens stores first, then deciders and workers, then the door; stopping goes the other way: nothing is accepted that could not be kept.
// P2. A part that dies ends the node: `failed` resolves with the error, and whoever started it exits, so that a supervisor can start it anew.
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { DependencyHealth, Nodes } from '../gateway/index.js';
import { type ModelGateway, openModelGateway } from '../models/index.js';
import { openArtifactFiles } from '../processors/artifact-files.js';
import { isoOf } from '../processors/index.js';
import { followAdmission } from '../processors/link/index.js';
import { openSpending } from '../processors/quota/index.js';
import { type Lane, LIFECYCLE, type Servers, WORK_TOPICS } from '../schemas/index.js';
import { type Log, within } from '../streams/index.js';
import { openLoad, Slots } from '../streams/runtime/index.js';
import { openAnalytics } from './analytics.js';
import { watchDrain } from './drain.js';
import { watchGpus } from './gpu-watch.js';
import type { Uplink } from './link/index.js';
import { silentLogger } from './logger.js';
import { openMetrics } from './metrics/index.js';
import { openDoor } from './open-door.js';
import { ALL_ROLES, describeRoles, type Roles } from './roles.js';
import { startSampler } from './sampler.js';
import { isReadyFor, openNodeSettings } from './settings.js';
import { openSigningKey } from './signing-key.js';
import { startDeciders, startLedger } from './start-deciders.js';
import { nodesOf, openingAt, startLink } from './start-link.js';
import { startWorkers } from './start-workers.js';
import { type AtEnd, GROUPS, priceOf, runningWork, type Starting, settingsFor } from './starting.js';
import { openStorage } from './storage.js';
import { openTelemetrySink } from './telemetry.js';
import { idsOf, openTracing } from './tracing.js';
import { VERSION } from './version.js';
import { openVitals } from './vitals.js';

export interface NodeOptions {
  readonly config: Servers;
  /** Digest of the configuration: the `configversion` of events until a setting is changed. */
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

const startSampling = ({ options, log, settings, slots, problem, atEnd }: Starting): void => {
  const { config, now, roles } = options;
  const sampler = startSampler({
    log,
    everyS: config.telemetry.sample_s,
    node: config.node.id,
    version: VERSION,
    roles: describeRoles(roles),
    configVersion: settingsFor(settings).configVersion,
    now,
    runningWork: () => runningWork(slots),
    onProblem: problem('sampler'),
  });
  atEnd(async () => sampler.stop());
};

/** Groups whose lag says what waits on a node. */
const WATCHED = [
  { group: GROUPS.deciders, topics: [LIFECYCLE] },
  { group: GROUPS.workers, topics: WORK_TOPICS },
] as const;
/** A log that does not answer for so long, in milliseconds, does not hold up the start: what it says of this node holds when it is read. */
const ADMISSION_MS = 1_000;

const watchForDrain = (
  { options, log, settings, admission, problem, atEnd }: Starting,
  nodes: Nodes | undefined,
  uplink: Uplink | undefined,
): void => {
  const { config, now } = options;
  const over = new AbortController();
  const isEdge = nodes !== undefined && nodes.core?.id !== nodes.self;
  const watching = watchDrain(
    {
      log,
      node: config.node.id,
      admission,
      groups: WATCHED,
      unsent: isEdge ? async () => uplink?.unsent() : undefined,
      configVersion: settingsFor(settings).configVersion,
      time: () => isoOf(now()),
      onProblem: problem('drain'),
    },
    over.signal,
  );
  atEnd(async () => {
    over.abort();
    await watching;
  });
};

/** An edge node reaches its own models; those of other nodes only the core does. */
const modelsHere = ({ models }: Servers, nodes: Nodes | undefined): Servers['models'] =>
  nodes === undefined || nodes.core?.id === nodes.self ? models : models.filter(({ node }) => node === undefined || node === nodes.self);

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

const startParts = async (request: NodeOptions, atEnd: AtEnd): Promise<Omit<RunningNode, 'stop'>> => {
  const { config, configVersion, baseDir, roles = ALL_ROLES, env = process.env, logger = silentLogger(), now = Date.now } = request;
  const options = { config, baseDir, roles, env, logger, now };
  const metrics = await openMetrics({ version: VERSION, node: config.node.id, roles: describeRoles(roles) });
  const problem: Starting['problem'] = (where) => (error, record) => {
    metrics.problem(where, error);
    logger.warn({ err: error, where, ...idsOf(record) }, 'problem');
  };
  const { log, views, limiter, live, close } = await openStorage({ config, env, onProblem: problem('storage') });
  atEnd(close);
  const opening = await openingAt(log, config);
  const settings = await openNodeSettings({ log, config, digest: configVersion, logger, onProblem: problem('settings') });
  atEnd(() => settings.close());
  const artifacts = await openArtifactFiles(join(config.node.data_dir, 'artifacts'));
  const key = await openSigningKey({ dataDir: config.node.data_dir, keyFile: config.audit.key_file, name: config.audit.origin });
  const analytics = await openAnalytics(config, env);
  if (analytics !== undefined) atEnd(() => analytics.store.close());
  const tracing = await openTracing({ config, env, onProblem: problem('traces') });
  if (tracing !== undefined) atEnd(tracing.close);
  const telemetry = openTelemetrySink({
    log,
    node: config.node.id,
    configVersion: settingsFor(settings).configVersion,
    now,
    onProblem: problem('telemetry'),
  });
  const gpus = config.models.some(({ gpu }) => gpu !== undefined) ? watchGpus() : undefined;
  if (gpus !== undefined) atEnd(async () => gpus.close());
  const spending = openSpending({
    log,
    quotas: () => settings.current().quotas,
    price: priceOf(config, settings),
    source: `/nodes/${config.node.id}`,
    actor: config.node.id,
    configVersion: settingsFor(settings).configVersion,
    now,
    onProblem: problem('spending'),
  });
  atEnd(() => spending.close());
  const nodes = await nodesOf(options, log, settings, atEnd);
  const opened = await openModelGateway({
    models: modelsHere(config, nodes),
    ...(nodes === undefined ? {} : { exchange: nodes.exchange }),
    prices: config.prices,
    policy: () => settings.current(),
    baseDir,
    env,
    logger,
    node: config.node.id,
    onCall: (call) => {
      metrics.onCall(call);
      telemetry.onCall(call);
    },
    ...(gpus === undefined ? {} : { gpu: gpus.of }),
  });
  const models = metrics.watch(opened);
  atEnd(() => models.close());

  let fail!: (error: unknown) => void;
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve;
  });
  const serve: Starting['serve'] = async (group, topics, onAssigned) => {
    const membership = await log.join(group, topics, async (assignment) => {
      if (await isReadyFor(settings, assignment.revoked)) await onAssigned(assignment);
    });
    membership.done.catch(fail);
    atEnd(() => membership.leave().catch(problem('leave')));
  };
  const slots = new Map<Lane, Slots>(roles.workers.map((lane) => [lane, new Slots(config.slots[lane])]));
  const admission = followAdmission({ log, node: config.node.id, onProblem: problem('admission') });
  atEnd(() => admission.close());
  const vitals = openVitals({
    log,
    models,
    groups: WATCHED,
    admission: admission.state,
    runningWork: () => runningWork(slots),
    onProblem: problem('vitals'),
  });
  atEnd(async () => vitals.close());
  const stores = { log, settings, views, limiter, live, artifacts, analytics, key };
  const starting: Starting = {
    options,
    ...stores,
    models,
    lender: opened,
    telemetry,
    metrics,
    spending,
    tracing,
    admission,
    vitals,
    load: openLoad(),
    slots,
    problem,
    serve,
    atEnd,
  };
  await within(ADMISSION_MS, admission.ready);
  if (roles.deciders) await startDeciders(starting, nodes);
  else if (roles.ledger === true) await startLedger(starting);
  const uplink = roles.deciders ? await startLink(starting, nodes, opening) : undefined;
  if (roles.deciders) watchForDrain(starting, nodes, uplink);
  const sandbox = roles.workers.length > 0 ? await startWorkers(starting) : undefined;
  const edges = nodes?.core?.id === config.node.id ? nodes.edges.map(({ id }) => id) : [];
  const needs = { log, settings, views, models, analytics: analytics?.store, sandbox, config, roles, groups: GROUPS, uplink, edges };
  const { url, metricsUrl, health } = await openDoor(starting, needs, nodes);
  startSampling(starting);
  logger.info({ roles: describeRoles(roles), url, metrics: metricsUrl }, 'ready');
  return { url, metricsUrl, roles, log, models, health, failed };
};
