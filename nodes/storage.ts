// What a node keeps things in, as servers.yaml says: the log, the views, rate limits and live text. It alone opens their adapters.
//
// D1. Opening never waits for a server: one that is away is looked for, and health says so. D2. Views stand beside the log unless told otherwise: in the
// process, on the same disk, or in Redis where the log is Kafka. D3. Rate limits and live text go where the views go: what several machines share. Live
// text of processes that share a disk goes from one to the other.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault, type Servers } from '../schemas/index.js';
import type { Broadcast, LiveText, Log, RateLimiter, ViewStore } from '../streams/index.js';
import { openKafkaLog, registerSchemas } from '../streams/kafka/index.js';
import { openLmdbBroadcast, openLmdbLiveText, openLmdbStorage, openLmdbViewStore } from '../streams/lmdb/index.js';
import {
  openMemoryBroadcast,
  openMemoryLiveText,
  openMemoryLog,
  openMemoryRateLimiter,
  openMemoryViewStore,
} from '../streams/memory/index.js';
import { openRedisBroadcast, openRedisLiveText, openRedisRateLimiter, openRedisViewStore } from '../streams/redis/index.js';

export interface Storage {
  readonly log: Log;
  readonly views: ViewStore;
  readonly limiter: RateLimiter;
  readonly live: LiveText;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;
export interface StorageOptions {
  readonly config: Servers;
  readonly env: Environment;
  readonly onProblem: (error: unknown) => void;
}

/** Where the views are, once `auto` is settled. */
export const viewsKind = ({ log, views }: Servers): 'lmdb' | 'memory' | 'redis' => {
  if (views.kind !== 'auto') return views.kind;
  return log.kind === 'kafka' ? 'redis' : log.kind;
};

/** @throws Fault when a store on this disk cannot be opened, or a secret is missing. */
export const openStorage = async (options: StorageOptions): Promise<Storage> => {
  const kind = viewsKind(options.config);
  const [{ log, views: beside }, shared] = await Promise.all([openLog(options, kind), openShared(options, kind)]);
  const views = beside ?? shared.views ?? (await openOwnViews(options, kind));
  const close = async () => void (await Promise.all([log.close(), views.close(), shared.limiter.close(), shared.live.close()]));
  return { log, views, limiter: shared.limiter, live: shared.live, close };
};

/** The log, and the views where they are one store with it. */
const openLog = async (options: StorageOptions, views: ReturnType<typeof viewsKind>): Promise<{ log: Log; views?: ViewStore }> => {
  const { config, onProblem } = options;
  const { partitions, kind, kafka } = config.log;
  const node = config.node.id;
  if (kind === 'memory') return { log: openMemoryLog({ partitions, node }) };
  if (kind === 'lmdb') {
    const storage = await openLmdbStorage({ dir: await logDir(config), node, partitions });
    return views === 'lmdb' ? { log: storage.log, views: storage.views } : { log: storage.log };
  }
  const { brokers, prefix, replication, session_timeout_ms, registry_url, tls } = kafka;
  const log = openKafkaLog({
    brokers,
    node,
    partitions,
    prefix,
    sessionTimeoutMs: session_timeout_ms,
    tls,
    ...saslOf(options),
    ...(replication === undefined ? {} : { replication }),
    ...(registry_url === undefined ? {} : { schemaIds: () => registerSchemas({ url: registry_url, subjectPrefix: prefix }) }),
    onProblem,
  });
  return { log };
};

/** What several machines share goes through Redis, where the views are there. */
const openShared = async ({ config, env }: StorageOptions, views: ReturnType<typeof viewsKind>) => {
  if (views !== 'redis') {
    const live = config.log.kind === 'memory' ? openMemoryLiveText() : await openLmdbLiveText({ dir: await logDir(config) });
    return { views: undefined, limiter: openMemoryRateLimiter(), live };
  }
  const redis = redisOf(config, env);
  const [store, limiter, live] = await Promise.all([openRedisViewStore(redis), openRedisRateLimiter(redis), openRedisLiveText(redis)]);
  return { views: store, limiter, live };
};

const openOwnViews = async ({ config }: StorageOptions, kind: ReturnType<typeof viewsKind>): Promise<ViewStore> =>
  kind === 'memory'
    ? openMemoryViewStore()
    : openLmdbViewStore({ dir: await logDir(config), node: config.node.id, partitions: config.log.partitions });

const logDir = async (config: Servers): Promise<string> => {
  const dir = join(config.node.data_dir, 'log');
  await mkdir(dir, { recursive: true });
  return dir;
};

/** @throws Fault terminal `bad_configuration` when it is not set */
export const secretOf = (env: Environment, name: string, what: string): string => {
  const value = env[name];
  if (value === undefined || value === '')
    throw new Fault(
      'terminal',
      'bad_configuration',
      `${what} is to come from the environment variable ${name}, which is not set; set it and start again`,
    );
  return value;
};

const saslOf = ({ config, env }: StorageOptions) => {
  const { sasl } = config.log.kafka;
  if (sasl === undefined) return {};
  const username = secretOf(env, sasl.username_env, 'the user name for Kafka');
  const password = secretOf(env, sasl.password_env, 'the password for Kafka');
  return { sasl: { mechanism: sasl.mechanism, username, password } };
};

const redisOf = (config: Servers, env: Environment) => ({ url: redisUrl(config, env), prefix: config.views.redis.prefix });

/** Words between the processes of this node, which go where live text goes (D3). */
export const openBroadcast = async ({ config, env }: Pick<StorageOptions, 'config' | 'env'>): Promise<Broadcast> => {
  if (viewsKind(config) === 'redis') return openRedisBroadcast(redisOf(config, env));
  return config.log.kind === 'memory' ? openMemoryBroadcast() : openLmdbBroadcast({ dir: await logDir(config) });
};

const redisUrl = ({ views }: Servers, env: Environment): string => {
  const { url, password_env } = views.redis;
  if (password_env === undefined) return url;
  const withPassword = new URL(url);
  withPassword.password = encodeURIComponent(secretOf(env, password_env, 'the password for Redis'));
  return withPassword.href;
};
