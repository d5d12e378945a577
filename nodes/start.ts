// The composition root: opens what a node needs for its roles, starts them, stops them in order. It alone opens adapters.
//
// P1. Starting opens stores first, then deciders and workers, then the door; stopping goes the other way: nothing is accepted that could not be kept.
// P2. A part that dies ends the node: `failed` resolves with the error, and whoever started it exits, so that a supervisor can start it anew.
import { setMaxListeners } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createApp, type DependencyHealth, serveGateway } from '../gateway/index.js';
import { type ModelGateway, openModelGateway } from '../models/index.js';
import { openArtifactFiles } from '../processors/artifact-files.js';
import { generateEffect } from '../processors/generation/index.js';
import { newInterrupts, runDeciders, runEffects } from '../processors/host/index.js';
import { materialise } from '../processors/index.js';
import { qaEffect } from '../processors/qa/effect.js';
import { openSandbox } from '../processors/qa/index.js';
import { analyseEffect, createAgents, decomposeEffect, routingDecider } from '../processors/routing/index.js';
import { schedulingDecider } from '../processors/scheduling/index.js';
import { type Lane, LIFECYCLE, type Servers, workTopic } from '../schemas/index.js';
import type { Log, Membership, ViewStore } from '../streams/index.js';
import { openLmdbStorage } from '../streams/lmdb/index.js';
import { openMemoryLog, openMemoryViewStore } from '../streams/memory/index.js';
import { Slots } from '../streams/runtime/index.js';
import { healthOf } from './health.js';
import { followInterrupts } from './interrupt-tail.js';
import { silentLogger } from './logger.js';
import { ALL_ROLES, describeRoles, type Roles } from './roles.js';
import { openTelemetrySink } from './telemetry.js';
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

interface Storage {
  readonly log: Log;
  readonly views: ViewStore;
  close(): Promise<void>;
}

/** Group names: part of the stored offsets, never to be changed. */
const GROUPS = { deciders: 'core', views: 'views', workers: 'workers' } as const;
/** How long running work may go on when the node stops, in milliseconds. */
const DRAIN_MS = 5_000;

const openStorage = async (config: Servers): Promise<Storage> => {
  const { partitions, kind } = config.log;
  const node = config.node.id;
  if (kind === 'memory') {
    const log = openMemoryLog({ partitions, node });
    const views = openMemoryViewStore();
    return { log, views, close: async () => void (await Promise.all([log.close(), views.close()])) };
  }
  const dir = join(config.node.data_dir, 'log');
  await mkdir(dir, { recursive: true });
  return openLmdbStorage({ dir, node, partitions });
};

/** A node, ready when the promise resolves. @throws Fault when a store cannot be opened or the port is taken. */
export const startNode = async (options: NodeOptions): Promise<RunningNode> => {
  const { config, configVersion, roles = ALL_ROLES, env = process.env, logger = silentLogger(), now = Date.now } = options;
  const node = config.node.id;
  const storage = await openStorage(config);
  const { log, views } = storage;
  const problem = (where: string) => (error: unknown) => logger.warn({ err: error, where }, 'problem');

  const artifacts = await openArtifactFiles(join(config.node.data_dir, 'artifacts'));
  const telemetry = openTelemetrySink({ log, node, configVersion, now, onProblem: problem('telemetry') });
  const models = await openModelGateway({ models: config.models, baseDir: options.baseDir, env, node, onCall: telemetry.onCall });
  const routing = {
    askModelBelow: config.routing.ask_model_below,
    modelAvailable: config.models.some((model) => model.runner !== 'scripted'),
  };

  const stopping = new AbortController();
  // Every partition that is followed listens to it.
  setMaxListeners(0, stopping.signal);
  const memberships: Membership[] = [];
  let fail!: (error: unknown) => void;
  const failed = new Promise<unknown>((resolve) => {
    fail = resolve;
  });
  const background: Promise<void>[] = [];
  const join_ = async (...args: Parameters<Log['join']>): Promise<void> => {
    const membership = await log.join(...args);
    membership.done.catch(fail);
    memberships.push(membership);
  };

  if (roles.deciders) {
    const deciders = () => [routingDecider(routing), schedulingDecider(config.scheduling)];
    const run = { group: GROUPS.deciders, source: `/deciders/${GROUPS.deciders}`, configVersion, now, onProblem: problem('deciders') };
    await join_(GROUPS.deciders, [LIFECYCLE], (assignment) => runDeciders(assignment, { ...run, deciders: deciders() as never }));
    await join_(GROUPS.views, [LIFECYCLE], (assignment) => materialise(assignment, { log, views, onProblem: problem('views') }));
  }
  const sandbox = roles.workers.includes('qa')
    ? await openSandbox({ rung: config.sandbox.rung, hidden: [config.node.data_dir], env })
    : undefined;
  if (roles.workers.length > 0) {
    const interrupts = newInterrupts();
    background.push(followInterrupts(log, interrupts, stopping.signal, problem('interrupts')));
    const { timeout_s, memory_bytes, processes, output_bytes, disk_bytes } = config.sandbox;
    const checks = { sandbox: sandbox!, limits: { timeout_ms: timeout_s * 1000, memory_bytes, processes, output_bytes, disk_bytes } };
    const effects = [generateEffect(), qaEffect, analyseEffect(), decomposeEffect()];
    const shared = {
      group: GROUPS.workers,
      effects,
      ports: { models, artifacts, checks },
      log,
      interrupts,
      node,
      configVersion,
      now,
      takeCalls: telemetry.take,
      onText: () => {},
      drainMs: DRAIN_MS,
    };
    const slots = new Map<Lane, Slots>(roles.workers.map((lane) => [lane, new Slots(config.slots[lane])]));
    const worker = `${node}:${process.pid}`;
    await join_(GROUPS.workers, roles.workers.map(workTopic), (assignment) => {
      const lane = assignment.topic.slice('dats.work.'.length) as Lane;
      return runEffects(assignment, { ...shared, worker, slots: slots.get(lane)! });
    });
  }

  const health = healthOf({ log, views, models, sandbox, config, roles, groups: GROUPS });
  const agents = createAgents({ models, options: routing, now });
  const app = createApp({ config, configVersion, log, views, artifacts, agents, models, health, now, logger, version: VERSION });
  const server = roles.gateway ? await serveGateway(app, { host: config.gateway.host, port: config.gateway.port }) : undefined;
  logger.info({ roles: describeRoles(roles), url: server?.url }, 'ready');

  const stop = async (): Promise<void> => {
    await server?.close();
    stopping.abort();
    await Promise.all(memberships.map((membership) => membership.leave().catch(problem('leave'))));
    await Promise.all(background);
    await models.close();
    await storage.close();
  };
  let stopped: Promise<void> | undefined;
  return { url: server?.url, roles, log, models, health, failed, stop: () => (stopped ??= stop()) };
};
