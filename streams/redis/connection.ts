// One connection to Redis that never keeps anybody waiting for long, and what goes wrong on it as Faults.
//
// K1. A call while there is no connection fails at once: nothing is queued for later. K2. A call that is under way fails within COMMAND_MS, and when
// the connection breaks, at once; it may have been done all the same. K3. A connection on which nothing answers any more is given up within
// COMMAND_MS, so that what waits in its socket stays bounded. K4. It comes back by itself, with backoff. K5. It prints nothing.
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { Fault } from '../../schemas/index.js';

/** How long a command may take, connecting included, in milliseconds. */
export const COMMAND_MS = 1_500;
/** The wait before a new try to connect doubles from the first to the second, in milliseconds; a part of it is chance. */
const RECONNECT_MS = { first: 50, most: 2_000 } as const;

export const DEFAULT_PREFIX = 'dats:';

export interface RedisOptions {
  /** `redis://[user:password@]host:port[/database]`, or `rediss://` for TLS. */
  readonly url: string;
  /** What every key and channel begins with; default `dats:`. Who shares it shares the data. */
  readonly prefix?: string;
}

interface ConnectionOptions {
  readonly url: string;
  /** What is lost without it, for messages: `the view store`. */
  readonly what: string;
  /** The code of the Fault when it cannot be reached, such as `views_unavailable`. */
  readonly code: string;
  /** Called each time the connection is there (again). */
  readonly onReady?: () => void;
  /** For messages on channels that were subscribed to. */
  readonly onMessage?: (channel: string, message: string) => void;
}

/** A Lua script, sent once to a server and called by its digest. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export const script = (lua: string): Script => ({ lua, sha: createHash('sha1').update(lua).digest('hex') });

export interface RedisConnection {
  /** Where it goes, without secrets: `host:port`. */
  readonly address: string;
  readonly connected: boolean;
  /** @throws Fault retryable with the connection's code (K1, K2) or `redis_full`; fatal `log_closed`. */
  call<T>(command: (redis: Redis) => Promise<T>): Promise<T>;
  run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Waits for the calls that are under way; twice is fine. */
  close(): Promise<void>;
}

/** @throws Fault fatal `bad_redis_url`. Resolves when the first try to connect has ended, however it ended (K4). */
export const connectRedis = async (options: ConnectionOptions): Promise<RedisConnection> => {
  const { url, what, code, onReady, onMessage } = options;
  const address = addressOf(url);
  let trouble: unknown = new Error('it was not reached yet');
  let closing: Promise<void> | undefined;
  const underWay = new Set<Promise<unknown>>();
  const redis = new Redis(url, {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_MS,
    socketTimeout: COMMAND_MS,
    connectTimeout: COMMAND_MS,
    disableClientInfo: true,
    retryStrategy: (tries) => {
      const ceiling = Math.min(RECONNECT_MS.most, RECONNECT_MS.first * 2 ** Math.min(tries - 1, 10));
      return Math.ceil(ceiling * (0.5 + Math.random() / 2));
    },
    // What was a primary has become a replica: the name behind the address leads to the new one.
    reconnectOnError: (error) => redisCode(error) === 'READONLY',
  });
  redis.on('error', (error) => {
    trouble = error;
  });
  if (onReady !== undefined) redis.on('ready', onReady);
  if (onMessage !== undefined) redis.on('message', onMessage);
  await redis.connect().catch((error: unknown) => {
    if (redisCode(error) !== undefined) trouble = error;
  });

  const faultOf = (error: unknown): Fault =>
    redisCode(error) === 'OOM'
      ? new Fault('retryable', 'redis_full', `Redis at ${address} is full, so ${what} takes nothing in; give it more memory (maxmemory)`, {
          cause: error,
        })
      : new Fault('retryable', code, `${what} in Redis at ${address} does not answer (${reasonOf(error)}); it is tried again by itself`, {
          cause: error,
        });
  const call = async <T>(command: (redis: Redis) => Promise<T>): Promise<T> => {
    if (closing !== undefined) throw new Fault('fatal', 'log_closed', `${what} is closed; open it again before using it`);
    if (redis.status !== 'ready') throw faultOf(trouble);
    const running = command(redis);
    underWay.add(running);
    try {
      return await running;
    } catch (error) {
      throw faultOf(error);
    } finally {
      underWay.delete(running);
    }
  };
  const close = async (): Promise<void> => {
    await Promise.allSettled(underWay);
    redis.disconnect();
  };
  return {
    address,
    get connected() {
      return closing === undefined && redis.status === 'ready';
    },
    call,
    run: ({ lua, sha }, keys, args) =>
      call(async () => {
        const rest = [keys.length, ...keys, ...args];
        try {
          return await redis.call('EVALSHA', [sha, ...rest]);
        } catch (error) {
          if (redisCode(error) !== 'NOSCRIPT') throw error;
          return await redis.call('EVAL', [lua, ...rest]);
        }
      }),
    close: () => (closing ??= close()),
  };
};

/** The code that Redis begins an error with, such as `OOM`; undefined where the error is not one of Redis' replies. */
const redisCode = (error: unknown): string | undefined =>
  error instanceof Error && error.name === 'ReplyError' ? error.message.split(' ', 1)[0] : undefined;

/** Did Redis answer a call, with a refusal? Otherwise it could not be asked. */
export const isRefusal = (error: unknown): boolean => error instanceof Fault && redisCode(error.cause) !== undefined;

/** For people: a failure to connect has a code and often no message. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return redisCode(error) === undefined && typeof code === 'string' ? code : error.message;
};

const addressOf = (url: string): string => {
  if (!URL.canParse(url) || !['redis:', 'rediss:'].includes(new URL(url).protocol) || new URL(url).hostname === '')
    throw new Fault(
      'fatal',
      'bad_redis_url',
      'the address of Redis is not of the form redis://host:port or rediss://host:port; correct it in the configuration',
    );
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === '' ? 6379 : port}`;
};
