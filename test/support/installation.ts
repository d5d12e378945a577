// A whole installation of several processes on real servers of the test's own: one Kafka broker, one Redis, gateways on ports of their own.
//
// N1. Every installation has its own topics, groups and keys (a prefix), so that tests of a file share the servers and nothing else.
// N2. The test looks at the log through the port, with a client of its own: what it sees does not depend on any process under test.
import { randomBytes } from 'node:crypto';
import { freePort, type LocalKafka, type LocalRedis, startKafka, startRedis } from '../../deploy/local/index.mjs';
import { LIFECYCLE, type Topic, WORK_TOPICS } from '../../schemas/index.js';
import type { GroupLag, Log } from '../../streams/index.js';
import { openKafkaLog } from '../../streams/kafka/index.js';
import { type AnyGateway, anyGateway } from './any-gateway.js';
import { type Api, apiOf } from './api.js';
import { eventually } from './eventually.js';
import { type Fleet, type Member, startFleet } from './fleet.js';
import { MAX_RUNNING, WORK } from './load.js';
import { testFolder } from './node-process.js';

export { MAX_RUNNING };

export const PARTITIONS = 4;
/** Two for each partition at the most, and at least one for each of them. */
export const PROJECTS = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta'];
/** A process that is silent for so long is taken for dead, in milliseconds. */
export const SESSION_TIMEOUT_MS = 2_000;
/** From the start of a process until it answers or owns something, in milliseconds; a broker may have to come back meanwhile. */
export const READY_LIMIT_MS = 60_000;
const ANSWER_LIMIT_MS = 15_000;
/** The groups that decide and work, and what they read. */
export const GROUPS: Readonly<Record<'deciders' | 'workers', readonly [group: string, topics: readonly Topic[]]>> = {
  deciders: ['core', [LIFECYCLE]],
  workers: ['workers', WORK_TOPICS],
};

export interface Servers {
  readonly kafka: LocalKafka;
  readonly redis: LocalRedis;
  close(): Promise<void>;
}

export const startServers = async (): Promise<Servers> => {
  const [kafka, redis] = await Promise.all([startKafka(), startRedis()]);
  return { kafka, redis, close: async () => void (await Promise.all([kafka.close(), redis.close()])) };
};

/** Where its processes find the servers. */
export interface Addresses {
  readonly kafka: Pick<LocalKafka, 'brokers'>;
  readonly redis: Pick<LocalRedis, 'url'>;
}

/** Sections of servers.yaml: what an installation keeps things in. */
export const storesOn = ({ kafka, redis }: Addresses, prefix: string) => ({
  log: { kind: 'kafka', partitions: PARTITIONS, kafka: { brokers: [kafka.brokers], prefix, session_timeout_ms: SESSION_TIMEOUT_MS } },
  views: { kind: 'redis', redis: { url: redis.url, prefix: `${prefix}:` } },
});

export interface Installation {
  readonly prefix: string;
  readonly fleet: Fleet;
  /** Its gateways, in the order of the members. */
  readonly apis: readonly Api[];
  readonly gateways: AnyGateway;
  /** The test's own eyes on the log. */
  readonly log: Log;
  /** Members by what they do. */
  readonly indexes: { readonly gateways: readonly number[]; readonly deciders: readonly number[]; readonly workers: readonly number[] };
  readonly pids: () => readonly number[];
  close(): Promise<void>;
}

export interface InstallationOptions {
  readonly servers: Addresses;
  readonly members: readonly (string | Member)[];
  /** The recorded answers: text of script.json. */
  readonly script: string;
  /** Sections of servers.yaml besides those of an installation; a function puts its stores where they belong. */
  readonly config?: object | ((stores: ReturnType<typeof storesOn>) => object);
  /** DATS_ variables of its processes. */
  readonly env?: Readonly<Record<string, string>>;
}

export const openInstallation = async ({ servers, members, script, config = {}, env = {} }: InstallationOptions): Promise<Installation> => {
  const prefix = `t${randomBytes(4).toString('hex')}.`;
  const roster: Member[] = [];
  for (const member of members) {
    const { roles, ...rest }: Member = typeof member === 'string' ? { roles: member } : member;
    // Not a port that the system gives to outgoing connections: while a killed gateway is away, nobody else may get it.
    roster.push({ roles, ...(roles.includes('gateway') ? { port: await freePort() } : {}), ...rest });
  }
  const stores = storesOn(servers, prefix);
  const placed = typeof config === 'function' ? config(stores) : { ...stores, ...config };
  const folder = testFolder({ version: 1, node: { id: 'chaos', data_dir: './data' }, ...WORK, ...placed }, { 'script.json': script });
  const log = openKafkaLog({
    brokers: [servers.kafka.brokers],
    node: 'test',
    partitions: PARTITIONS,
    prefix,
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
  });
  const fleet = startFleet(folder.config, roster, env);
  const apis = roster.flatMap(({ port }) => (port === undefined ? [] : [apiOf(`http://127.0.0.1:${port}`)]));
  const doing = (role: string): readonly number[] => roster.flatMap(({ roles }, i) => (roles.includes(role) ? [i] : []));
  return {
    prefix,
    fleet,
    apis,
    gateways: anyGateway(apis),
    log,
    indexes: { gateways: doing('gateway'), deciders: doing('deciders'), workers: doing('workers') },
    pids: () => roster.flatMap((_, i) => fleet.pid(i) ?? []),
    close: () => log.close(),
  };
};

/** Process ids of the owners of a group's partitions; `undefined` stands for every partition that nobody has. */
export const ownersOf = (lags: readonly GroupLag[]): ReadonlySet<number | undefined> =>
  new Set(lags.map(({ owner }) => (owner === undefined ? undefined : Number(owner.split(':').at(-1)))));

/** Resolves when `fits` the owners of the group. */
export const owned = (
  { log }: Pick<Installation, 'log'>,
  group: string,
  topics: readonly Topic[],
  what: string,
  fits: (owners: ReadonlySet<number | undefined>) => boolean,
): Promise<unknown> => eventually(what, READY_LIMIT_MS, async () => fits(ownersOf(await log.lag(group, topics))));

export const isReady = async (api: Api): Promise<boolean> =>
  (await fetch(`${api.url}/health/ready`, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) })).ok;

/** Every gateway is ready. */
export const allReady = async (apis: readonly Api[]): Promise<void> =>
  void (await Promise.all(apis.map((api) => eventually(`a ready gateway at ${api.url}`, READY_LIMIT_MS, () => isReady(api)))));

/** Resolves when the member does its work: a gateway is ready, others own partitions. */
export const atWork = async (installation: Installation, member: number): Promise<void> => {
  const { fleet, indexes, apis } = installation;
  const gateway = indexes.gateways.indexOf(member);
  if (gateway >= 0) return allReady([apis[gateway]!]);
  const [group, topics] = GROUPS[indexes.deciders.includes(member) ? 'deciders' : 'workers'];
  const pid = fleet.pid(member);
  await owned(installation, group, topics, `a share of ${group} for ${fleet.members[member]} ${pid}`, (owners) => owners.has(pid));
};
