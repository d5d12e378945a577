// Live text between the processes that share a Redis: a channel a task, and a short list of what was said on it.
import { followUntil, type LiveText } from '../live-text.js';
import { connectRedis, DEFAULT_PREFIX, type RedisOptions } from './connection.js';
import { livePublisher } from './live-publisher.js';
import { connectLiveSubscriber, type LiveSubscriber } from './live-subscriber.js';

/** How often a subscribed connection is asked whether it still lives, in milliseconds. */
const PING_MS = 5_000;

export interface RedisLiveTextOptions extends RedisOptions {
  /** How often the subscribed connection is asked whether it still lives, in milliseconds; default 5,000. */
  readonly pingMs?: number;
}

/**
 * Opens live text on two connections: one that says and asks, one that listens. Also while Redis is away, as it is looked for from then on.
 * @throws Fault fatal `bad_redis_url`.
 */
export const openRedisLiveText = async ({ url, prefix = DEFAULT_PREFIX, pingMs = PING_MS }: RedisLiveTextOptions): Promise<LiveText> => {
  let subscriber: LiveSubscriber | undefined;
  const connection = await connectRedis({ url, what: 'live text', code: 'live_unavailable', onReady: () => subscriber?.askAgain() });
  const listening = await connectLiveSubscriber({ url, prefix, pingMs }, connection);
  subscriber = listening;
  const publisher = livePublisher(connection, prefix);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await publisher.close();
    await Promise.all([listening.close(), connection.close()]);
  };
  return {
    publish: publisher.publish,
    follow: (taskId, signal) =>
      followUntil(
        signal,
        (follower) => (closing === undefined ? listening.join(taskId, follower) : follower.end()),
        (follower) => listening.leave(taskId, follower),
      ),
    close: () => (closing ??= close()),
  };
};
