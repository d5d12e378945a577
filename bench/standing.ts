// P12 and P13: a node as a user starts it, with the configuration of the repository: how soon it is ready, and what it costs when nobody asks anything.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { killChild } from '../schemas/index.js';
import { endsWithUs } from './children.js';
import { monotonicMs } from './completions.js';
import type { Figure } from './figure.js';
import { cpuMsOf, freePort, memoryOf } from './pipeline-process.js';
import { freshDir, removeDir } from './places.js';
import { median } from './statistics.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LOOK_MS = 5;
const READY_MS = 30_000;
/** After the start, before the idle time is counted. */
const SETTLE_MS = 3_000;

interface StandingNode {
  readonly child: ChildProcess;
  /** From the spawn to the first ready answer. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

const isReady = async (port: number): Promise<boolean> => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok;
  } catch {
    return false;
  }
};

/** @throws Error when it is not ready in time. */
const startStanding = async (): Promise<StandingNode> => {
  const dir = await freshDir('standing');
  const port = await freePort();
  const begin = monotonicMs();
  const start = [join(ROOT, 'dist', 'cli', 'main.js'), 'start', '--quiet'];
  const options: SpawnOptions = {
    cwd: ROOT,
    env: { ...process.env, DATS_GATEWAY_PORT: String(port), DATS_DATA_DIR: dir, DATS_CONFIG: join(ROOT, 'servers.yaml') },
    stdio: 'ignore',
  };
  const child = endsWithUs(spawn(process.execPath, start, options));
  const stop = async (): Promise<void> => {
    const gone = once(child, 'exit');
    if (child.exitCode === null && killChild(child, 'SIGTERM')) await gone;
    await removeDir(dir);
  };
  while (!(await isReady(port))) {
    if (child.exitCode !== null || monotonicMs() - begin > READY_MS) {
      await stop();
      throw new Error('the node did not become ready; run `node dist/cli/main.js start` to see why');
    }
    await sleep(LOOK_MS);
  }
  return { child, readyMs: monotonicMs() - begin, stop };
};

export const benchStart = async (times: number): Promise<readonly Figure[]> => {
  const measured: number[] = [];
  for (let i = 0; i < times; i++) {
    const node = await startStanding();
    measured.push(node.readyMs / 1_000);
    await node.stop();
  }
  const note = `${Math.min(...measured).toFixed(2)} to ${Math.max(...measured).toFixed(2)} s; without the build that npm start does first`;
  return [
    { id: 'P13', what: `start to ready, median of ${times}`, value: median(measured), unit: 's', target: { at: 'most', bound: 2 }, note },
  ];
};

export const benchIdle = async (seconds: number): Promise<readonly Figure[]> => {
  const node = await startStanding();
  try {
    await sleep(SETTLE_MS);
    const pid = node.child.pid!;
    const [cpu, begin] = [cpuMsOf(pid), monotonicMs()];
    await sleep(seconds * 1_000);
    const share = ((cpuMsOf(pid) - cpu) / (monotonicMs() - begin)) * 100;
    const { residentMb, anonymousMb } = memoryOf(pid);
    return [
      { id: 'P12', what: `CPU when idle, over ${seconds} s`, value: share, unit: '% of a core', target: { at: 'most', bound: 3 } },
      { id: 'P12', what: 'memory when idle', value: residentMb, unit: 'MB', note: `of it anonymous ${Math.round(anonymousMb)} MB` },
    ];
  } finally {
    await node.stop();
  }
};
