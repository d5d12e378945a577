// A core of several processes on Kafka and Redis, and edge nodes of one process each on a log of their own. One servers.yaml for all of them: the stores of the core stand
// under `own` of its entry. Each edge node's line leads to whichever gateway takes the connection, each to another one first.
import { freePort } from '../../deploy/local/index.mjs';
import { LINK, type NodeView, partitionOf } from '../../schemas/index.js';
import type { Api } from './api.js';
import { openProxy } from './cuttable-proxy.js';
import { EDGE_PARTITIONS, type EdgeNode, lineHealth, openWorldNode, tokenEnv, tokensOf } from './edge-world.js';
import { eventually } from './eventually.js';
import { type Addresses, allReady, type Installation, openInstallation, ownersOf, PARTITIONS, storesOn } from './installation.js';
import { LOAD_SCRIPT, WORK } from './load.js';

export const CORE = 'core';
const GATEWAYS = 2;

export interface KafkaCore {
  readonly core: Installation;
  readonly edges: readonly EdgeNode[];
  /** Nodes, and processes of the core, that ended without being told to. */
  deaths(): readonly string[];
  /** The member of the core that an edge node's newest connection leads to. */
  gatewayOf(edge: EdgeNode): number;
  /** The member that takes in what an edge node sends. */
  receiverOf(edge: EdgeNode): Promise<number>;
  /** What the processes wrote to standard error. */
  errors(): string;
  close(): Promise<void>;
}

export interface KafkaCoreOptions {
  readonly servers: Addresses;
  readonly edges: readonly string[];
  /** Sections of servers.yaml for all nodes. */
  readonly config?: object;
}

const inTurn = <T>(items: readonly T[], first: number): readonly T[] => items.map((_, i) => items[(first + i) % items.length]!);

/** All are ready when it resolves; an edge node may not be connected yet. */
export const openKafkaCore = async ({ servers, edges: ids, config = {} }: KafkaCoreOptions): Promise<KafkaCore> => {
  const doors = await Promise.all(Array.from({ length: GATEWAYS }, () => freePort()));
  const edgePorts = await Promise.all(ids.map(() => freePort()));
  const lines = await Promise.all(ids.map((_, i) => openProxy(inTurn(doors, i))));
  const sections = (coreUrl: string, stores: ReturnType<typeof storesOn>) => ({
    node: { id: CORE, data_dir: './data' },
    log: { partitions: EDGE_PARTITIONS },
    link: { flush_ms: 20 },
    nodes: [
      { id: CORE, url: coreUrl, own: stores },
      ...ids.map((id, i) => ({ id, token_env: tokenEnv(id), own: { gateway: { port: edgePorts[i]! } } })),
    ],
    ...config,
  });
  const env = tokensOf(ids);
  const gateways = doors.map((port) => ({ roles: 'gateway', port }));
  const core = await openInstallation({
    servers,
    members: [...gateways, 'deciders', 'deciders', 'workers', 'workers'],
    script: LOAD_SCRIPT,
    config: (stores) => sections(`http://127.0.0.1:${doors[0]!}`, stores),
    env,
  });
  const deaths: string[] = [];
  const edges = ids.map((id, i): EdgeNode => {
    const yaml = { version: 1, ...WORK, ...sections(lines[i]!.url, storesOn(servers, core.prefix)) };
    return { ...openWorldNode({ id, port: edgePorts[i]!, servers: yaml, env, deaths }), line: lines[i]! };
  });
  for (const edge of edges) edge.start();
  await Promise.all([allReady(core.apis), ...edges.map((edge) => edge.ready())]);
  return {
    core,
    edges,
    deaths: () => [...deaths, ...core.fleet.deaths],
    gatewayOf: ({ line }) => core.indexes.gateways[doors.indexOf(line.target!)]!,
    receiverOf: async ({ id }) => {
      const mine = partitionOf(id, PARTITIONS);
      const owners = ownersOf((await core.log.lag('link', [LINK])).filter(({ partition }) => partition === mine));
      const found = core.indexes.deciders.find((member) => owners.has(core.fleet.pid(member)));
      if (found === undefined) throw new Error(`nobody takes in what ${id} sends`);
      return found;
    },
    errors: () => [core.fleet.errors(), ...edges.map((edge) => `--- ${edge.id}\n${edge.errors()}`)].join('\n'),
    close: async () => void (await Promise.all([core.close(), ...lines.map((line) => line.close())])),
  };
};

/** What a gateway says of the nodes. */
export const nodesAt = async (api: Api): Promise<ReadonlyMap<string, NodeView>> => {
  const { body } = await api.ask<{ nodes: readonly NodeView[] }>('GET', '/api/v1/nodes');
  return new Map(body.nodes.map((node) => [node.id, node]));
};

/** Both ends say so: the edge node itself, and every gateway of the core. */
export const linked = ({ core }: KafkaCore, edge: EdgeNode, limitMs: number): Promise<unknown> =>
  eventually(`${edge.id} connected, at both ends`, limitMs, async () => {
    const seen = await Promise.all(core.apis.map(async (api) => (await nodesAt(api)).get(edge.id)?.state));
    return (await lineHealth(edge)).ok && seen.every((state) => state === 'connected');
  });
