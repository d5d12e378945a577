// What was said of late, for those who come late: of each task the last REPLAY_BYTES, for REPLAY_MS (T3 of live-text.ts), of TASKS tasks at most.
import { CHUNK_OVERHEAD_CHARS, type LiveChunk, REPLAY_BYTES, REPLAY_MS } from './live-text.js';

/** Tasks whose text is kept for those who come late; the one that was silent longest is forgotten first. */
const TASKS = 1_000;

export interface LiveReplay {
  remember(taskId: string, chunk: LiveChunk): void;
  /** What is kept now, in the order it was said. */
  of(taskId: string): readonly LiveChunk[];
  clear(): void;
}

interface Said {
  readonly chunks: LiveChunk[];
  size: number;
  at: number;
}

const sizeOf = ({ text }: LiveChunk): number => Buffer.byteLength(text) + CHUNK_OVERHEAD_CHARS;

/** @param now milliseconds, never backwards */
export const openLiveReplay = (now: () => number): LiveReplay => {
  /** The one that spoke last is last. */
  const said = new Map<string, Said>();
  const forgetOld = (): void => {
    for (const [taskId, { at }] of said)
      if (said.size > TASKS || now() - at > REPLAY_MS) said.delete(taskId);
      else break;
  };
  return {
    remember: (taskId, chunk) => {
      const task = said.get(taskId) ?? { chunks: [], size: 0, at: 0 };
      said.delete(taskId);
      said.set(taskId, task);
      task.at = now();
      task.chunks.push(chunk);
      task.size += sizeOf(chunk);
      while (task.size > REPLAY_BYTES) task.size -= sizeOf(task.chunks.shift()!);
      forgetOld();
    },
    of: (taskId) => {
      forgetOld();
      return said.get(taskId)?.chunks ?? [];
    },
    clear: () => said.clear(),
  };
};
