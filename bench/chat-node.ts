// A node as `npm start` runs it, in a process of its own, with one model: the model server of the bench. Log, telemetry, history and accounting are on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { killChild, TIERS } from '../schemas/index.js';
import { endsWithUs } from './children.js';
import { UPSTREAM_MODEL } from './model-upstream.js';
import type { ProbedMemory } from './node-probe.js';
import { freePort, untilRecorded } from './pipeline-process.js';
import { freshDir, removeDir } from './places.js';

const MAIN = fileURLToPath(new URL('../cli/main.js', import.meta.url));
const PROBE = new URL('./node-probe.js', import.meta.url).href;
/** Calls of the model at a time: more than any load of the bench has. */
const CONCURRENCY = 256;
const READY_MS = 30_000;
const LOOK_MS = 50;
const STOP_MS = 10_000;

export interface ChatNode {
  readonly port: number;
  readonly pid: number;
  /** After a full collection of garbage. */
  memory(): Promise<ProbedMemory>;
  /** Calls of the model that run or wait now. */
  running(): Promise<number>;
  startProfile(): Promise<void>;
  stopProfile(): Promise<Profiler.Profile>;
  stop(): Promise<void>;
}

/** The model as a user would write it down; prices, so that every call is accounted for. */
export const modelEntry = (upstreamPort: number) => ({
  id: UPSTREAM_MODEL,
  runner: 'openai' as const,
  base_url: `http://127.0.0.1:${upstreamPort}/v1`,
  model: UPSTREAM_MODEL,
  tiers: [...TIERS],
  concurrency: CONCURRENCY,
  price_input_per_mtok: 0.4,
  price_output_per_mtok: 1.6,
});

/** @throws Error when it is not ready in time */
export const startChatNode = async (upstreamPort: number): Promise<ChatNode> => {
  const dir = await freshDir('chat');
  const [port, probePort] = [await freePort(), await freePort()];
  const config = { version: 1, node: { id: 'bench', data_dir: './data' }, gateway: { port }, models: [modelEntry(upstreamPort)] };
  // JSON is YAML.
  await writeFile(join(dir, 'servers.yaml'), JSON.stringify(config));
  const args = ['--max-semi-space-size=64', '--import', PROBE, MAIN, 'start', '--config', join(dir, 'servers.yaml')];
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('DATS_'));
  const env = { ...Object.fromEntries(own), PROBE_PORT: String(probePort) };
  const child = endsWithUs(spawn(process.execPath, args, { cwd: dir, env, stdio: 'ignore' }));
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      killChild(child, 'SIGTERM');
      const timer = setTimeout(() => killChild(child, 'SIGKILL'), STOP_MS);
      await gone;
      clearTimeout(timer);
    }
    await removeDir(dir);
  };
  const asked = async <T>(path: string): Promise<T> => (await fetch(`http://127.0.0.1:${probePort}${path}`)).json() as Promise<T>;
  try {
    const isReady = (): Promise<boolean> =>
      fetch(`http://127.0.0.1:${port}/health/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    for (const deadline = performance.now() + READY_MS; !(await isReady()); await sleep(LOOK_MS))
      if (child.exitCode !== null || performance.now() > deadline) throw new Error('the node of the bench did not become ready');
    await untilRecorded(port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    pid: child.pid!,
    memory: () => asked('/memory'),
    running: async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/api/v1/models`);
      const { models } = (await answer.json()) as { readonly models: readonly { readonly running: number; readonly queued?: number }[] };
      return models.reduce((sum, { running, queued = 0 }) => sum + running + queued, 0);
    },
    startProfile: () => asked('/profile/start'),
    stopProfile: () => asked('/profile/stop'),
    stop,
  };
};
