// The model server of the bench (bench/model-upstream-app.ts, as `npm run build` made it) as a process of its own: it counts its connections and answers.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const APP = fileURLToPath(new URL('../../dist/bench/model-upstream-app.js', import.meta.url));

/** What it has open now, and what it has done. */
export interface UpstreamCounts {
  readonly connections: number;
  readonly running: number;
  readonly answered: number;
  /** Answers whose reader left before their end. */
  readonly left: number;
}

export interface ModelUpstream {
  /** What stands in `base_url`. */
  readonly url: string;
  counts(): Promise<UpstreamCounts>;
  close(): Promise<void>;
}

const told = async <T>(child: ChildProcess): Promise<T> => (await once(child, 'message'))[0] as T;

/** @param chunks words of an answer, a chunk each. @param chunkMs between two of them. @param keepAliveMs idle connections are closed after that */
export const startUpstream = async (chunks: number, chunkMs: number, keepAliveMs: number): Promise<ModelUpstream> => {
  if (!existsSync(APP)) throw new Error(`${APP} is not there: run "npm run build" first`);
  const child = fork(APP, [], {
    env: {
      ...process.env,
      UPSTREAM_CHUNKS: String(chunks),
      UPSTREAM_CHUNK_MS: String(chunkMs),
      UPSTREAM_KEEP_ALIVE_MS: String(keepAliveMs),
    },
  });
  const { port } = await told<{ readonly port: number }>(child);
  return {
    url: `http://127.0.0.1:${port}/v1`,
    counts: async () => {
      const answer = told<{ readonly counts: UpstreamCounts }>(child);
      child.send({ counts: true });
      return (await answer).counts;
    },
    close: async () => {
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
};
