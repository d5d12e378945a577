// A core and edge nodes as processes, each edge behind a line of its own that can be cut. Each node has a folder, a data directory and a servers.yaml, which
// differ in one thing only: where the core is, as each edge sees it.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeView } from '../../schemas/index.js';
import { type Api, apiOf } from './api.js';
import { type CuttableProxy, openProxy } from './cuttable-proxy.js';
import { eventually } from './eventually.js';
import { LOAD_SCRIPT, MAX_RUNNING, WORK } from './load.js';
import { freePort, type NodeProcess, ready, startProcess, type TestFolder, testFolder } from './node-process.js';

export { MAX_RUNNING };
export const EDGE_PARTITIONS = 2;

export interface WorldNode {
  readonly id: string;
  readonly api: Api;
  readonly folder: TestFolder;
  readonly dataDir: string;
  /** What it wrote to standard error, in all its lives. */
  errors(): string;
  start(env?: Readonly<Record<string, string>>): void;
  ready(): Promise<void>;
  /** Ends it; resolves with its exit code. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
  /** SIGKILL, and its start again. */
  crash(): Promise<void>;
  /** Copies what is on its disk; it must have ended. */
  backup(): string;
  restore(backup: string): void;
  /** Its disk is gone. */
  wipe(): void;
}

export interface EdgeNode extends WorldNode {
  readonly line: CuttableProxy;
}

export interface EdgeWorld {
  readonly core: WorldNode;
  readonly edges: readonly EdgeNode[];
  /** Nodes that ended without being told to. */
  readonly deaths: readonly string[];
  /** Another machine with the id of an edge node: a disk and a port of its own. Not started. */
  twinOf(edge: EdgeNode): Promise<WorldNode>;
  /** What the core says of a node. */
  nodeView(id: string): Promise<NodeView>;
  close(): Promise<void>;
}

export interface EdgeWorldOptions {
  readonly edges: readonly string[];
  /** Sections of every servers.yaml. */
  readonly config?: object;
  /** Of the processes, by node. */
  readonly env?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Called before a node starts for the first time. */
  readonly before?: (node: WorldNode) => void;
  /** Milliseconds. */
  readonly retryMaxMs?: number;
}

/** The variable that has the token of an edge node. */
export const tokenEnv = (id: string): string => `DATS_TOKEN_${id.toUpperCase().replace(/\W/g, '_')}`;
/** Of all of them: both ends of a line have its token. */
export const tokensOf = (ids: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(ids.map((id) => [tokenEnv(id), `secret-of-${id}`]));

interface WorldNodeOptions {
  readonly id: string;
  readonly port: number;
  /** Its servers.yaml. */
  readonly servers: object;
  /** Of its processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Told when it ends without being told to. */
  readonly deaths: string[];
}

/** A node of one process with a folder of its own. Not started. */
export const openWorldNode = ({ id, port, servers, env: always, deaths }: WorldNodeOptions): WorldNode => {
  const folder = testFolder(servers, { 'script.json': LOAD_SCRIPT });
  const dataDir = join(folder.dir, 'data');
  const api = apiOf(`http://127.0.0.1:${port}`);
  const said: (() => string)[] = [];
  let process: NodeProcess | undefined;
  let backups = 0;
  const node: WorldNode = {
    id,
    api,
    folder,
    dataDir,
    errors: () => said.map((one) => one()).join('\n'),
    start: (env = {}) => {
      const all = { DATS_LOG_LEVEL: 'warn', DATS_NODE_ID: id, ...always, ...env };
      const started = startProcess(folder.config, ['--port', String(port)], all);
      process = started;
      said.push(started.errors);
      void started.exited.then(({ code, signal }) => {
        if (process === started) deaths.push(`${id}: code ${code}, signal ${signal}: ${started.errors().slice(-2_000)}`);
      });
    },
    ready: () => ready(api.url, process!),
    end: async (signal) => {
      const ending = process!;
      process = undefined;
      await ending.kill(signal);
      return (await ending.exited).code;
    },
    crash: async () => {
      await node.end('SIGKILL');
      node.start();
    },
    backup: () => {
      backups += 1;
      const to = join(folder.dir, `backup-${backups}`);
      cpSync(dataDir, to, { recursive: true });
      return to;
    },
    restore: (backup) => {
      rmSync(dataDir, { recursive: true, force: true });
      cpSync(backup, dataDir, { recursive: true });
    },
    wipe: () => rmSync(dataDir, { recursive: true, force: true }),
  };
  return node;
};

export const openEdgeWorld = async (options: EdgeWorldOptions): Promise<EdgeWorld> => {
  const { edges: ids, config = {}, env: envs = {}, before, retryMaxMs } = options;
  const ports = new Map<string, number>();
  for (const id of ['core', ...ids]) ports.set(id, await freePort());
  const tokens = tokensOf(ids);
  const deaths: string[] = [];

  const serversFor = (coreUrl: string) => ({
    version: 1,
    node: { data_dir: './data' },
    log: { partitions: EDGE_PARTITIONS },
    link: { flush_ms: 20, ...(retryMaxMs === undefined ? {} : { retry_max_ms: retryMaxMs }) },
    ...WORK,
    nodes: [
      { id: 'core', url: coreUrl, own: { gateway: { port: ports.get('core') } } },
      ...ids.map((id) => ({ id, token_env: tokenEnv(id), own: { gateway: { port: ports.get(id) } } })),
    ],
    ...config,
  });

  const nodeAt = (id: string, coreUrl: string, port = ports.get(id)!): WorldNode =>
    openWorldNode({ id, port, servers: serversFor(coreUrl), env: { ...tokens, ...envs[id] }, deaths });

  const core = nodeAt('core', `http://127.0.0.1:${ports.get('core')}`);
  const lines = await Promise.all(ids.map(() => openProxy(ports.get('core')!)));
  const edges = ids.map((id, i): EdgeNode => ({ ...nodeAt(id, lines[i]!.url), line: lines[i]! }));
  for (const node of [core, ...edges]) {
    before?.(node);
    node.start();
  }
  await Promise.all([core, ...edges].map((node) => node.ready()));
  return {
    core,
    edges,
    deaths,
    twinOf: async ({ id, line }) => nodeAt(id, line.url, await freePort()),
    nodeView: async (id) => {
      const { body } = await core.api.ask<{ nodes: readonly NodeView[] }>('GET', '/api/v1/nodes');
      return body.nodes.find((node) => node.id === id)!;
    },
    close: async () => void (await Promise.all(lines.map((line) => line.close()))),
  };
};

interface Health {
  readonly dependencies: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
}

/** What an edge node says of its line to the core. */
export const lineHealth = async ({ api }: WorldNode) => {
  const { body } = await api.ask<Health>('GET', '/health');
  return body.dependencies.find(({ name }) => name === 'core')!;
};

export const connected = (edge: WorldNode, limitMs = 30_000): Promise<unknown> =>
  eventually(`${edge.id} connected`, limitMs, async () => (await lineHealth(edge)).ok);
