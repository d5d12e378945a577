// Receives live text from Redis: one connection for all followers of the process.
//
// B1. A follower holds live text from the moment its channel is subscribed until the replay that was asked for after that is in: together they have no
// gap, and what is in both is told once, by its number. B2. Whenever the connection comes back, every channel is subscribed and replayed again:
// what was said meanwhile is caught up with, as far as Redis still has it. B3. A connection that died without a word is noticed by a ping.
import type { LiveFollower } from '../live-text.js';
import { connectRedis, isRefusal, type RedisConnection, type RedisOptions } from './connection.js';
import { channelOf, decodeChunks, saidKey } from './live-names.js';

export interface LiveSubscriber {
  join(taskId: string, follower: LiveFollower): void;
  leave(taskId: string, follower: LiveFollower): void;
  /** The connection that replays are asked of is there again. */
  askAgain(): void;
  close(): Promise<void>;
}

interface Channel {
  readonly taskId: string;
  readonly followers: Set<LiveFollower>;
}

/** @param ask where replays are asked of; its connection need not be there yet. */
export const connectLiveSubscriber = async (
  { url, prefix, pingMs }: Required<Pick<RedisOptions, 'url' | 'prefix'>> & { readonly pingMs: number },
  ask: Pick<RedisConnection, 'call'>,
): Promise<LiveSubscriber> => {
  const channels = new Map<string, Channel>();
  /** Their replay could not be asked for. */
  const unanswered = new Set<LiveFollower>();

  const replay = async (taskId: string, follower: LiveFollower): Promise<void> => {
    const round = follower.hold();
    unanswered.delete(follower);
    try {
      const said = await ask.call((redis) => redis.lrange(saidKey(prefix, taskId), 0, -1));
      follower.replay(round, said.flatMap(decodeChunks));
    } catch (error) {
      // A refusal stays one. A connection that does not answer is given up (K3), and `askAgain` comes when it is back.
      if (isRefusal(error)) follower.replay(round, []);
      else if (channels.get(channelOf(prefix, taskId))?.followers.has(follower)) unanswered.add(follower);
    }
  };
  const subscribe = async (names: readonly string[]): Promise<void> => {
    await connection.call((redis) => redis.subscribe(...names));
    for (const name of names) {
      const channel = channels.get(name);
      if (channel !== undefined) for (const follower of channel.followers) void replay(channel.taskId, follower);
    }
  };
  const connection = await connectRedis({
    url,
    what: 'live text',
    code: 'live_unavailable',
    onReady: () => {
      if (channels.size > 0) void subscribe([...channels.keys()]).catch(() => undefined);
    },
    onMessage: (name, message) => {
      const followers = channels.get(name)?.followers;
      if (followers === undefined) return;
      for (const chunk of decodeChunks(message)) for (const follower of followers) follower.take(chunk);
    },
  });
  const ping = setInterval(() => {
    if (channels.size > 0) connection.call((redis) => redis.ping()).catch(() => undefined);
  }, pingMs);
  ping.unref();

  return {
    join: (taskId, follower) => {
      const name = channelOf(prefix, taskId);
      const channel = channels.get(name);
      if (channel === undefined) {
        channels.set(name, { taskId, followers: new Set([follower]) });
        // Not now: with the connection (B2).
        void subscribe([name]).catch(() => undefined);
      } else {
        channel.followers.add(follower);
        void replay(taskId, follower);
      }
    },
    leave: (taskId, follower) => {
      const name = channelOf(prefix, taskId);
      const channel = channels.get(name);
      unanswered.delete(follower);
      if (!channel?.followers.delete(follower) || channel.followers.size > 0) return;
      channels.delete(name);
      connection.call((redis) => redis.unsubscribe(name)).catch(() => undefined);
    },
    askAgain: () => {
      for (const { taskId, followers } of channels.values())
        for (const follower of followers) if (unanswered.has(follower)) void replay(taskId, follower);
    },
    close: async () => {
      clearInterval(ping);
      for (const { followers } of channels.values()) for (const follower of followers) follower.end();
      await connection.close();
    },
  };
};
