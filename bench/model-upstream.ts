// The forked model server as the bench sees it: started, asked for its counts, stopped.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from './children.js';
import type { UpstreamCounts } from './model-upstream-app.js';

/** Its only model: what all gateways call it too, so that all are sent the same. */
export const UPSTREAM_MODEL = 'upstream';

const APP = fileURLToPath(new URL('./model-upstream-app.js', import.meta.url));

export interface ModelUpstream {
  readonly port: number;
  readonly pid: number;
  counts(): Promise<UpstreamCounts>;
  stop(): Promise<void>;
}

export interface UpstreamOptions {
  /** Words of an answer, each a chunk of its streamed form. */
  readonly chunks: number;
  /** Milliseconds between two chunks; 0: all at once. */
  readonly chunkMs: number;
  /** How long an idle connection is kept, in milliseconds. */
  readonly keepAliveMs: number;
}

/** @throws Error when it cannot start */
export const startUpstream = async ({ chunks, chunkMs, keepAliveMs }: UpstreamOptions): Promise<ModelUpstream> => {
  const env = {
    ...process.env,
    UPSTREAM_CHUNKS: String(chunks),
    UPSTREAM_CHUNK_MS: String(chunkMs),
    UPSTREAM_KEEP_ALIVE_MS: String(keepAliveMs),
  };
  const child = endsWithUs(fork(APP, [], { env }));
  const died = new Promise<never>((_, reject) => {
    child.once('exit', (code, signal) => reject(new Error(`the model server of the bench ended (${signal ?? code})`)));
  });
  died.catch(() => {});
  const told = <T>(): Promise<T> => Promise.race([died, once(child, 'message').then(([message]) => message as T)]);
  const { port } = await told<{ readonly port: number }>();
  return {
    port,
    pid: child.pid!,
    counts: async () => {
      const answer = told<{ readonly counts: UpstreamCounts }>();
      child.send({ counts: true });
      return (await answer).counts;
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
};
