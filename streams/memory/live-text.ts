// Live text inside one process.
import { openLiveReplay } from '../live-replay.js';
import { followUntil, type LiveFollower, type LiveText } from '../live-text.js';

export interface MemoryLiveTextOptions {
  /** Milliseconds, never backwards; default: the process's monotonic clock. */
  readonly now?: () => number;
}

export const openMemoryLiveText = ({ now = () => performance.now() }: MemoryLiveTextOptions = {}): LiveText => {
  const said = openLiveReplay(now);
  const followers = new Map<string, Set<LiveFollower>>();
  let closed = false;

  const join = (taskId: string, follower: LiveFollower): void => {
    if (closed) return follower.end();
    const all = followers.get(taskId) ?? new Set();
    followers.set(taskId, all.add(follower));
    follower.replay(follower.hold(), said.of(taskId));
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
      said.remember(taskId, own);
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
