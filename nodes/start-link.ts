// The part that has to do with other nodes: takes in what they sent (the core), and sends what happens here (an edge node). Nothing of it where there is one node.
import { AWAY_MS, BEAT_MS, type Nodes } from '../gateway/index.js';
import { openExchange } from '../models/index.js';
import { isoOf } from '../processors/index.js';
import { handSettings, homesIn, keepHomes, keepNodes, projectsOf, receiveLink } from '../processors/link/index.js';
import type { Settings } from '../processors/settings/index.js';
import {
  CONFIG,
  isFault,
  LIFECYCLE,
  LINK,
  NODES,
  type NodeAbilities,
  newId,
  partitionOf,
  type Servers,
  timeoutSignal,
} from '../schemas/index.js';
import { askedOnce, type Log } from '../streams/index.js';
import { type Opening, openingOf, openLine, openUplink, storeIdOf, type Uplink } from './link/index.js';
import { describeRoles } from './roles.js';
import { type AtEnd, GROUPS, type Starting, type StartOptions, settingsFor } from './starting.js';
import { openBroadcast, secretOf } from './storage.js';
import { VERSION } from './version.js';

/** The other nodes, as the gateway knows them; undefined: there are none. */
export const nodesOf = async (
  { config, env, now }: StartOptions,
  log: Log,
  settings: Settings,
  atEnd: AtEnd,
): Promise<Nodes | undefined> => {
  if (config.nodes.length === 0) return undefined;
  const asked = { log, node: config.node.id, configVersion: settingsFor(settings).configVersion, time: () => isoOf(now()) };
  const store = askedOnce(() => storeIdOf(asked, timeoutSignal(STORE_MS)));
  // Before anything else is written, where the log is there.
  await store().catch((error: unknown) => {
    if (!isFault(error, 'retryable')) throw error;
  });
  const tokens = new Map(config.nodes.flatMap(({ id, token_env }) => (token_env === undefined ? [] : [[id, token_env] as const])));
  const homes = homesIn(config);
  // Edge nodes come to any gateway of the core for what any of its processes asks of their models.
  const words = homes.core?.id === homes.self ? await openBroadcast({ config, env }) : undefined;
  const exchange = openExchange({ newId, ...(words === undefined ? {} : { words }) });
  atEnd(async () => {
    exchange.close();
    await words?.close();
  });
  return {
    ...homes,
    exchange,
    store,
    tokenOf: (node) => {
      const name = tokens.get(node);
      return name === undefined ? undefined : env[name] || undefined;
    },
  };
};

/** How often beats, and lives of stores, are looked at; milliseconds. */
const LOOK_MS = 1_000;
/** Reading the own log's few words about its store, at start; milliseconds. */
const STORE_MS = 30_000;

const abilitiesOf = ({ models, slots }: Servers, roles: string, projects: readonly string[]): NodeAbilities => ({
  version: VERSION,
  roles,
  models: models.map(({ id, runner, tiers }) => ({ id, runner, tiers: [...tiers] })),
  slots: { ...slots },
  projects: [...projects],
});

const uplinkOf = (
  { options, log, views, artifacts, lender, settings, vitals, admission, load, problem }: Starting,
  nodes: Nodes,
  opening: Opening | undefined,
): Uplink | undefined => {
  const { config, now, env, roles, logger } = options;
  const { core, self, edges } = nodes;
  const entry = edges.find(({ id }) => id === self);
  if (core?.url === undefined || entry?.token_env === undefined) return undefined;
  return openUplink({
    log,
    opening,
    line: openLine({ url: core.url, node: self, token: secretOf(env, entry.token_env, `the token of node "${self}"`) }),
    views,
    artifacts,
    models: lender,
    lent: new Set(config.models.flatMap(({ id, node }) => (node === self ? [id] : []))),
    link: config.link,
    load,
    node: self,
    abilities: () => abilitiesOf(config, describeRoles(roles), projectsOf(entry)),
    vitals: vitals.read,
    changed: admission.changed,
    beatMs: BEAT_MS,
    configVersion: settingsFor(settings).configVersion,
    time: () => isoOf(now()),
    onProblem: problem('uplink'),
    onMissing: (missing, epoch) => logger.warn({ missing, epoch }, 'the core has records of this node that its store does not have'),
  });
};

/** How an edge node finds its log, asked before anything is written to it. A log on servers is not restored behind the back of the processes that use it. */
export const openingAt = (log: Log, { log: { kind }, nodes, node }: Servers): Promise<Opening> | undefined =>
  nodes.length === 0 || kind === 'kafka' ? undefined : openingOf(log, node.id);

/** Undefined where this node has no line to a core. @throws Fault `bad_configuration` where its token is missing */
export const startLink = async (
  starting: Starting,
  nodes: Nodes | undefined,
  opening: Opening | undefined,
): Promise<Uplink | undefined> => {
  if (nodes === undefined) return undefined;
  const { options, log, views, settings, problem, serve } = starting;
  const { now } = options;
  const { configVersion } = settingsFor(settings);
  const receiving = { views, self: nodes.self, core: nodes.core?.id, configVersion, now, onProblem: problem('link') };
  await serve(GROUPS.link, [LINK], (assignment) => receiveLink(assignment, receiving));
  const uplink = uplinkOf(starting, nodes, opening);
  // One process of the node has the line: the one that has this partition.
  const mine = partitionOf(nodes.self, log.partitions(NODES));
  if (uplink !== undefined)
    await serve(GROUPS.uplink, [NODES], async (assignment) => {
      if (assignment.partition === mine) await uplink.run(assignment);
    });
  const keeping = { log, views, homes: nodes, epoch: async () => (await nodes.store()).epoch, onProblem: problem('homes') };
  await serve(GROUPS.homes, [LIFECYCLE], (assignment) => keepHomes(assignment, keeping));
  if (nodes.core?.id === nodes.self) {
    const isEdge = (node: string): boolean => nodes.edges.some(({ id }) => id === node);
    const watching = { views, self: nodes.self, isEdge, awayMs: AWAY_MS, lookMs: LOOK_MS, configVersion, now, onProblem: problem('nodes') };
    await serve(GROUPS.nodes, [NODES], (assignment) => keepNodes(assignment, watching));
    const handing = { log, views, edges: nodes.edges.map(({ id }) => id), lookMs: LOOK_MS, onProblem: problem('settings') };
    await serve(GROUPS.settings, [CONFIG], (assignment) => handSettings(assignment, handing));
  }
  return uplink;
};
