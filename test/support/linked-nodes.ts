// A core and edge nodes on one machine: one servers.yaml, a process and a data folder each.
import { join } from 'node:path';
import { LIFECYCLE } from '../../schemas/index.js';
import { eventOf, type Recorded } from '../../streams/index.js';
import { openLmdbStorage } from '../../streams/lmdb/index.js';
import { type Api, apiOf } from './api.js';
import { tokenEnv, tokensOf } from './edge-world.js';
import { freePort, type NodeProcess, ready, startProcess, testFolder } from './node-process.js';
import { recordsOf } from './whole-log.js';

export const CORE = 'core';

export interface LinkedNode {
  readonly id: string;
  /** Of all of them. */
  readonly folder: string;
  readonly api: Api;
  /** SIGKILL, and its start again; resolves when it answers. */
  crash(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** What a stopped node's log holds of the lifecycle topic, as other processes read it. */
  lifecycle(): Promise<readonly Recorded[]>;
}

export interface LinkedNodesOptions {
  readonly edges: readonly string[];
  /** Of servers.yaml, for all. */
  readonly config: object;
  readonly script: string;
  readonly partitions: number;
  /** Where edge nodes find the core; default: where it is. */
  readonly coreUrl?: (port: number) => string;
  /** What each process of the core does; default: one does all. */
  readonly coreRoles?: readonly string[];
}

/** Started, and not awaited: see `start` of each. */
export const openLinkedNodes = async (options: LinkedNodesOptions): Promise<readonly LinkedNode[]> => {
  const { edges, config, script, partitions, coreUrl = (port) => `http://127.0.0.1:${port}`, coreRoles = ['all'] } = options;
  const ids = [CORE, ...edges];
  const ports = await Promise.all(ids.map(() => freePort()));
  const nodes = ids.map((id, i) => ({
    id,
    ...(id === CORE ? { url: coreUrl(ports[i]!) } : { token_env: tokenEnv(id) }),
    own: { node: { data_dir: `./${id}` }, gateway: { port: ports[i]! } },
  }));
  const folder = testFolder({ version: 1, node: { id: CORE }, nodes, log: { partitions }, ...config }, { 'script.json': script });
  const tokens = tokensOf(edges);
  return ids.map((id, i): LinkedNode => {
    const api = apiOf(`http://127.0.0.1:${ports[i]!}`);
    let processes: readonly NodeProcess[] = [];
    const start = async (): Promise<void> => {
      const roles = id === CORE ? coreRoles : ['all'];
      processes = roles.map((role) => startProcess(folder.config, ['--roles', role], { DATS_NODE_ID: id, ...tokens }));
      await ready(api.url, processes[0]!);
    };
    const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
      await Promise.all(processes.map((process) => process.kill(signal)));
    };
    return {
      id,
      folder: folder.dir,
      api,
      start,
      kill: () => end('SIGKILL'),
      stop: () => end('SIGTERM'),
      crash: async () => {
        await end('SIGKILL');
        await start();
      },
      lifecycle: async () => {
        const { log, close } = await openLmdbStorage({ dir: join(folder.dir, id, 'log'), node: 'test', partitions });
        try {
          const records: Recorded[] = [];
          for (let partition = 0; partition < partitions; partition++)
            for await (const record of recordsOf(log, LIFECYCLE, partition)) records.push(record);
          return records;
        } finally {
          await close();
        }
      },
    };
  });
};

export const eventsIn = (records: readonly Recorded[]) => records.map((record) => ({ record, event: eventOf(record) }));
