// A gateway over the memory log and the memory views, with the real materialisation behind it, and a stand-in for the deciders that says what it is told to.
import pino, { type Logger } from 'pino';
import type { ModelGateway } from '../../models/index.js';
import type { Signer } from '../../processors/attestation/index.js';
import { testSigner } from '../../processors/attestation/testing/signer.js';
import { KEY } from '../../processors/audit/testing/histories.js';
import type { Agents } from '../../processors/index.js';
import { materialise, VIEW } from '../../processors/index.js';
import { type Base, builtInPrompts, openSettings } from '../../processors/settings/index.js';
import { memoryArtifactStore } from '../../processors/testing/index.js';
import {
  type DataOf,
  type DatsEvent,
  dataschemaOf,
  type EventType,
  LIFECYCLE,
  newId,
  type Position,
  partitionOf,
  type Servers,
  serversSchema,
  type TaskView,
} from '../../schemas/index.js';
import { eventOf, type LiveText, type Log, outgoing, type RateLimiter, type Recorded, type ViewStore } from '../../streams/index.js';
import { openMemoryLiveText, openMemoryLog, openMemoryRateLimiter, openMemoryViewStore } from '../../streams/memory/index.js';
import { createApp, type GatewayApp, type GatewayOptions } from '../app.js';
import type { DependencyHealth, GatewayDeps, Nodes, Spending } from '../deps.js';

export interface World {
  readonly app: GatewayApp;
  readonly deps: GatewayDeps;
  readonly log: Log;
  readonly views: ViewStore;
  readonly live: LiveText;
  /** What the health probe answers. */
  readonly health: DependencyHealth[];
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Submits and gives the id. */
  submit(body: Record<string, unknown>): Promise<string>;
  /** Says `type` about a task, as a decider or an effect would, and waits until the views have it. */
  say<T extends EventType>(view: Pick<TaskView, 'task_id' | 'project_id'>, type: T, data: Omit<DataOf<T>, 'task_id'>): Promise<Position>;
  task(taskId: string): Promise<TaskView>;
  /** All lifecycle events of a project. */
  events(projectId?: string): Promise<DatsEvent[]>;
  /** Answers every cancel request with `dats.task.cancelled`, as the scheduler does. */
  cancelling(): void;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly config?: unknown;
  /** What the gateway sees; the materialisation and the test see what is behind it. */
  readonly log?: (log: Log) => Log;
  readonly views?: (views: ViewStore) => ViewStore;
  readonly live?: (live: LiveText) => LiveText;
  readonly limiter?: RateLimiter;
  readonly logger?: Logger;
  readonly agents?: Partial<Agents>;
  readonly models?: Partial<ModelGateway>;
  readonly spending?: Spending;
  /** Default: there is one node. */
  readonly nodes?: Nodes;
  /** History and what belongs to it. */
  readonly history?: Pick<GatewayDeps, 'analytics' | 'analyticsAdmin' | 'stats'>;
  /** null: none. */
  readonly signer?: Signer | null;
  readonly gateway?: GatewayOptions;
  /** Other nodes, and how this one is. */
  readonly several?: Pick<GatewayDeps, 'nodes' | 'line' | 'unsent' | 'vitals' | 'admission'>;
  readonly now?: () => number;
}

const CONFIG = { version: 1, models: [{ id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] }] };

const AGENTS: Agents = {
  analyze: async () => ({
    mode: 'new_project',
    domain: 'code',
    tier: 'small',
    complexity: 0.1,
    confidence: 0.9,
    estimated_tokens: 100,
    estimated_duration_ms: 1000,
    estimated_completion: '2026-11-21T09:00:00.000Z',
    analyser: { name: 'signals', version: '1' },
    features: {},
    candidates: [],
  }),
  decompose: async () => ({ steps: [{ title: 'one', description: 'do one', depends_on: [] }], planner: { name: 'list', version: '1' } }),
  estimate: () => ({
    tier: 'small',
    complexity: 0.1,
    confidence: 0.9,
    estimated_tokens: 100,
    estimated_duration_ms: 1000,
    estimated_completion: '2026-11-21T09:00:00.000Z',
  }),
};

const eventFor = <T extends EventType>(
  view: Pick<TaskView, 'task_id' | 'project_id'>,
  type: T,
  data: Omit<DataOf<T>, 'task_id'>,
): DatsEvent =>
  ({
    specversion: '1.0',
    id: newId(),
    source: '/deciders/test',
    type,
    time: new Date().toISOString(),
    subject: type.startsWith('dats.artifact.') && 'artifact_id' in data ? data.artifact_id : view.task_id,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: view.project_id,
    correlationid: newId(),
    actor: 'test',
    configversion: 'test',
    data: { task_id: view.task_id, ...data },
  }) as unknown as DatsEvent;

/** Everything a topic's partition holds now. */
export const recordsOf = async (log: Log, topic: Position['topic'], partition: number): Promise<Recorded[]> => {
  const { first, end } = await log.range(topic, partition);
  const records: Recorded[] = [];
  if (first >= end) return records;
  for await (const batch of log.read({ topic, partition, offset: first }, new AbortController().signal, { until: end }))
    records.push(...batch);
  return records;
};

/** Waits until `condition` holds; the test's own time limit ends it. */
export const until = async <T>(condition: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  for (;;) {
    const value = await condition();
    if (value !== undefined) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
};

export const openWorld = async (options: WorldOptions = {}): Promise<World> => {
  const config: Servers = serversSchema.parse(options.config ?? CONFIG);
  const inner = openMemoryLog({ partitions: config.log.partitions });
  const log = options.log?.(inner) ?? inner;
  const views = openMemoryViewStore();
  const live = openMemoryLiveText();
  const limiter = options.limiter ?? openMemoryRateLimiter();
  const health: DependencyHealth[] = [{ name: 'log', ok: true, required: true }];
  const stop = new AbortController();
  const base: Base = { digest: 'c0ffee', servers: config, prompts: builtInPrompts };
  const settings = openSettings({ log, base, onProblem: () => undefined });
  const deps: GatewayDeps = {
    config,
    settings,
    log,
    views: options.views?.(views) ?? views,
    live: options.live?.(live) ?? live,
    limiter,
    artifacts: memoryArtifactStore(),
    agents: { ...AGENTS, ...options.agents },
    models: {
      ask: () => Promise.reject(new Error('not asked here')),
      embed: () => Promise.reject(new Error('not asked here')),
      status: async () => [],
      close: async () => undefined,
      ...options.models,
    },
    ...(options.spending === undefined ? {} : { spending: options.spending }),
    ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
    health: async () => health,
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', body: '# TYPE up gauge\nup 1\n' }),
    now: options.now ?? Date.now,
    logger: options.logger ?? pino({ level: 'silent' }),
    version: '0.0.0-test',
    audit: { vkey: KEY.vkey },
    ...(options.signer === null ? {} : { signer: options.signer ?? testSigner() }),
    ...options.history,
    ...options.several,
  };
  const app = createApp(deps, options.gateway);
  const materialiser = await inner.join('views', [LIFECYCLE], (assignment) => materialise(assignment, { log: inner, views }));
  const partitionFor = (projectId: string) => partitionOf(projectId, log.partitions(LIFECYCLE));
  const world: World = {
    app,
    deps,
    log: inner,
    views,
    live,
    health,
    post: async (path, body, headers = {}) =>
      app.request(path, {
        method: 'POST',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      }),
    submit: async (body) => {
      const response = await world.post('/api/v1/tasks', body);
      if (response.status !== 202) throw new Error(`refused: ${await response.text()}`);
      return ((await response.json()) as { task_id: string }).task_id;
    },
    say: async (view, type, data) => {
      const [position] = await inner.append([outgoing(LIFECYCLE, eventFor(view, type, data))]);
      await until(async () => (await views.checkpoint(VIEW, position!.partition)) > position!.offset || undefined);
      return position!;
    },
    task: async (taskId) => (await (await app.request(`/api/v1/tasks/${taskId}`)).json()) as TaskView,
    events: async (projectId = 'default') =>
      (await recordsOf(inner, LIFECYCLE, partitionFor(projectId)))
        .filter((record) => record.key === projectId)
        .map((record) => eventOf(record)),
    cancelling: () => {
      for (let partition = 0; partition < config.log.partitions; partition++) void answerCancels(inner, partition, stop.signal);
    },
    close: async () => {
      stop.abort();
      app.close();
      await settings.close();
      await materialiser.leave();
      await inner.close();
      await views.close();
      await live.close();
      await limiter.close();
    },
  };
  return world;
};

const answerCancels = async (log: Log, partition: number, signal: AbortSignal): Promise<void> => {
  for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: 0 }, signal))
    for (const record of batch) {
      const event = eventOf(record);
      if (event.type !== 'dats.task.cancel.requested') continue;
      const { task_id, reason, by } = event.data;
      await log.append([outgoing(LIFECYCLE, eventFor({ task_id, project_id: event.projectid }, 'dats.task.cancelled', { reason, by }))]);
    }
};
