// Words between the processes that share a Redis: a Redis channel each. Two connections: one that says, one that listens.
//
// N1. Redis puts all words in one order. A process's own come back to it and are dropped by the name in front of them (B3). N2. Whenever the connection comes
// back, all channels are subscribed again; what was said meanwhile is lost (B2). One that died without a word is noticed by a ping. N3. Nothing is said
// before the subscriptions that were asked for earlier are in force, or failed: who asks hears the answers. N4. At most UNSAID_CHARS wait; what is above them is lost.
import { randomBytes } from 'node:crypto';
import type { Broadcast } from '../broadcast.js';
import { Listeners } from '../listeners.js';
import { connectRedis, DEFAULT_PREFIX, type RedisOptions } from './connection.js';

/** How often the listening connection is asked whether it still lives, in milliseconds. */
const PING_MS = 5_000;
/** What may wait for Redis, in UTF-16 code units. */
export const UNSAID_CHARS = 64 * 1024 * 1024;
/** The name of an instance: 16 hexadecimal digits in front of each of its words. */
const NAME_BYTES = 8;
const NAME_CHARS = 2 * NAME_BYTES;
const WORD = /^[0-9a-f]{16}/;

export interface RedisBroadcastOptions extends RedisOptions {
  /** How often the listening connection is asked whether it still lives, in milliseconds; default 5,000. */
  readonly pingMs?: number;
}

/** The connection that listens, with its subscriptions. */
const connectEar = async (url: string, prefix: string, own: string) => {
  const listeners = new Listeners();
  let inForce: Promise<unknown> = Promise.resolve();
  const subscribe = (channels: readonly string[]): void => {
    const names = channels.map((channel) => `${prefix}${channel}`);
    // When it fails: not now, with the connection (N2).
    const subscribed = connection.call((redis) => redis.subscribe(...names)).catch(() => undefined);
    inForce = Promise.all([inForce, subscribed]);
  };
  const connection = await connectRedis({
    url,
    what: 'broadcast',
    code: 'broadcast_unavailable',
    onReady: () => {
      if (listeners.channels.length > 0) subscribe(listeners.channels);
    },
    onMessage: (name, word) => {
      if (WORD.test(word) && !word.startsWith(own)) listeners.tell(name.slice(prefix.length), word.slice(NAME_CHARS));
    },
  });
  return {
    listeners,
    /** Resolves when the subscriptions so far are in force, or failed (N3). */
    inForce: () => inForce,
    add: (channel: string, heard: (message: string) => void): (() => void) => {
      const isFirst = !listeners.has(channel);
      const end = listeners.add(channel, heard);
      if (isFirst) subscribe([channel]);
      return () => {
        if (!listeners.has(channel)) return;
        end();
        if (!listeners.has(channel)) connection.call((redis) => redis.unsubscribe(`${prefix}${channel}`)).catch(() => undefined);
      };
    },
    ping: () => {
      if (listeners.channels.length > 0) connection.call((redis) => redis.ping()).catch(() => undefined);
    },
    close: () => connection.close(),
  };
};

/**
 * Opens it also while Redis is away, as it is looked for from then on.
 * @throws Fault fatal `bad_redis_url`.
 */
export const openRedisBroadcast = async ({ url, prefix = DEFAULT_PREFIX, pingMs = PING_MS }: RedisBroadcastOptions): Promise<Broadcast> => {
  const own = randomBytes(NAME_BYTES).toString('hex');
  const channelPrefix = `${prefix}words:`;
  const mouth = await connectRedis({ url, what: 'broadcast', code: 'broadcast_unavailable' });
  const ear = await connectEar(url, channelPrefix, own);
  const pinging = setInterval(ear.ping, pingMs);
  pinging.unref();
  let unsaid = 0;
  let closing: Promise<void> | undefined;

  const publish = async (channel: string, message: string): Promise<void> => {
    if (closing !== undefined || unsaid + message.length > UNSAID_CHARS) return;
    unsaid += message.length;
    try {
      await ear.inForce();
      await mouth.call((redis) => redis.publish(`${channelPrefix}${channel}`, `${own}${message}`));
    } catch {
      // Lost: so it is with words (B2).
    } finally {
      unsaid -= message.length;
    }
  };
  const close = async (): Promise<void> => {
    clearInterval(pinging);
    ear.listeners.clear();
    await ear.inForce();
    await Promise.all([mouth.close(), ear.close()]);
  };
  return {
    publish,
    subscribe: (channel, heard) => (closing === undefined ? ear.add(channel, heard) : () => {}),
    close: () => (closing ??= close()),
  };
};
