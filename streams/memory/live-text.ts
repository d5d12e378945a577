// Live text inside one process.
import {
  CHUNK_OVERHEAD_CHARS,
  followUntil,
  type LiveChunk,
  type LiveFollower,
  type LiveText,
  REPLAY_BYTES,
  REPLAY_MS,
} from '../live-text.js';

/** Tasks whose text is kept for those who come late; the one that was silent longest is forgotten first. */
const TASKS = 1_000;

export interface MemoryLiveTextOptions {
  /** Milliseconds, never backwards; default: the process's monotonic clock. */
  readonly now?: () => number;
}

interface Said {
  readonly chunks: LiveChunk[];
  size: number;
  at: number;
}

const sizeOf = ({ text }: LiveChunk): number => Buffer.byteLength(text) + CHUNK_OVERHEAD_CHARS;

export const openMemoryLiveText = ({ now = () => performance.now() }: MemoryLiveTextOptions = {}): LiveText => {
  /** The one that spoke last is last. */
  const said = new Map<string, Said>();
  const followers = new Map<string, Set<LiveFollower>>();
  let closed = false;

  const remember = (taskId: string, chunk: LiveChunk): void => {
    const task = said.get(taskId) ?? { chunks: [], size: 0, at: 0 };
    said.delete(taskId);
    said.set(taskId, task);
    task.at = now();
    task.chunks.push(chunk);
    task.size += sizeOf(chunk);
    while (task.size > REPLAY_BYTES) task.size -= sizeOf(task.chunks.shift()!);
    forgetOld();
  };
  const forgetOld = (): void => {
    for (const [taskId, { at }] of said)
      if (said.size > TASKS || now() - at > REPLAY_MS) said.delete(taskId);
      else break;
  };
  const join = (taskId: string, follower: LiveFollower): void => {
    if (closed) return follower.end();
    const all = followers.get(taskId) ?? new Set();
    followers.set(taskId, all.add(follower));
    forgetOld();
    follower.replay(follower.hold(), said.get(taskId)?.chunks ?? []);
  };
  const leave = (taskId: string, follower: LiveFollower): void => {
    const all = followers.get(taskId);
    all?.delete(follower);
    if (all?.size === 0) followers.delete(taskId);
  };

  return {
    publish: (taskId, chunk) => {
      if (closed) return;
      const own = { ...chunk };
      remember(taskId, own);
      for (const follower of followers.get(taskId) ?? []) follower.take(own);
    },
    follow: (taskId, signal) =>
      followUntil(
        signal,
        (follower) => join(taskId, follower),
        (follower) => leave(taskId, follower),
      ),
    close: async () => {
      closed = true;
      said.clear();
      for (const all of followers.values()) for (const follower of all) follower.end();
    },
  };
};
