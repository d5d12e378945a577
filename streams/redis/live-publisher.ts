// Sends live text to Redis: what came within some milliseconds goes together, one script a task.
//
// U1. Nobody waits for it. U2. One flush is under way at a time, so text arrives in the order it was said, also when a script has to be sent again.
// U3. What cannot be sent soon is dropped: while Redis is away, or when more than PENDING_CHARS wait for it.
import { costOf, type LiveChunk, REPLAY_BYTES, REPLAY_MS } from '../live-text.js';
import { type RedisConnection, script } from './connection.js';
import { channelOf, encodeChunks, saidKey, sizeKey } from './live-names.js';

/** How long text waits for more of it, in milliseconds. */
export const COALESCE_MS = 20;
/** What may wait, of all tasks together, in characters. */
export const PENDING_CHARS = 1024 * 1024;

/**
 * Keys: the list of what was said, its size in bytes. Arguments: channel, bytes to keep, milliseconds to keep them, messages. A list without its size
 * is begun anew: one of the two keys was evicted.
 */
const SAY = script(`
local said, size, channel, keep, ttl = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local bytes = tonumber(redis.call('GET', size) or -1)
if bytes < 0 then
  redis.call('DEL', said)
  bytes = 0
end
for i = 4, #ARGV do
  redis.call('RPUSH', said, ARGV[i])
  redis.call('PUBLISH', channel, ARGV[i])
  bytes = bytes + #ARGV[i]
end
while bytes > keep do
  local oldest = redis.call('LPOP', said)
  bytes = oldest and bytes - #oldest or 0
end
redis.call('SET', size, bytes, 'PX', ttl)
redis.call('PEXPIRE', said, ttl)
return bytes
`);

export interface LivePublisher {
  publish(taskId: string, chunk: LiveChunk): void;
  /** Sends what waits; takes nothing more. */
  close(): Promise<void>;
}

export const livePublisher = (connection: RedisConnection, prefix: string): LivePublisher => {
  let pending = new Map<string, LiveChunk[]>();
  let pendingChars = 0;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;

  const send = async (): Promise<void> => {
    const tasks = pending;
    pending = new Map();
    pendingChars = 0;
    const sent = [...tasks].map(([taskId, chunks]) => {
      const args = [channelOf(prefix, taskId), REPLAY_BYTES, REPLAY_MS, ...encodeChunks(chunks)];
      return connection.run(SAY, [saidKey(prefix, taskId), sizeKey(prefix, taskId)], args);
    });
    await Promise.allSettled(sent);
  };
  const flush = (): void => {
    timer = undefined;
    sending = send().finally(() => {
      sending = undefined;
      if (pending.size > 0) schedule();
    });
  };
  const schedule = (): void => {
    if (timer === undefined && sending === undefined) timer = setTimeout(flush, COALESCE_MS);
  };

  return {
    publish: (taskId, chunk) => {
      if (closed || !connection.connected || pendingChars + costOf(chunk) > PENDING_CHARS) return;
      const chunks = pending.get(taskId);
      if (chunks === undefined) pending.set(taskId, [{ ...chunk }]);
      else chunks.push({ ...chunk });
      pendingChars += costOf(chunk);
      schedule();
    },
    close: async () => {
      closed = true;
      await sending;
      clearTimeout(timer);
      if (pending.size > 0) await send();
    },
  };
};
