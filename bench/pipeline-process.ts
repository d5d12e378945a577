// The forked pipeline as the bench sees it: started, fed, measured, stopped.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { killChild } from '../schemas/index.js';
import type { NodeLink, NodeServers } from './bench-node.js';
import { endsWithUs } from './children.js';
import { TICKS } from './machine.js';
import { freshDir, removeDir } from './places.js';

export const PIPELINE_APP = new URL('./pipeline-app.js', import.meta.url);
/** How long a load may take to complete, in milliseconds. */
const COMPLETE_MS = 300_000;
const STOP_MS = 10_000;

/** A port that was free a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
};

/** CPU time that a process has used, in milliseconds. */
export const cpuMsOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS;
};

export interface MemoryUse {
  /** Resident, in MB: with the pages of the log that happen to be mapped. */
  readonly residentMb: number;
  /** Of it its own: heap, buffers, stacks. */
  readonly anonymousMb: number;
}

export const memoryOf = (pid: number): MemoryUse => {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const mb = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)![1]) / 1_024;
  return { residentMb: mb('VmRSS'), anonymousMb: mb('RssAnon') };
};

interface Message {
  readonly ready?: true;
  readonly done?: readonly (string | number)[];
  readonly profiling?: true;
  readonly profile?: Profiler.Profile;
}

export interface PipelineProcess {
  readonly port: number;
  readonly pid: number;
  /** Monotonic milliseconds at which each task was seen completed, by the bench's id. */
  readonly completed: ReadonlyMap<string, number>;
  /** Resolves when that many tasks are completed. @throws Error when the process dies or it takes too long. */
  waitFor(count: number): Promise<void>;
  /** Begins a CPU profile. */
  startProfile(): Promise<void>;
  stopProfile(): Promise<Profiler.Profile>;
  stop(): Promise<void>;
}

export interface PipelineOptions {
  /** Its data lie here, and stay; without, in a folder that goes with it. */
  readonly dir?: string;
  /** The log on Kafka and the views in Redis; without, both on LMDB. */
  readonly servers?: NodeServers;
  /** One of two nodes; without, the only one. */
  readonly link?: NodeLink;
  /** Is history kept? Default: yes. */
  readonly history?: boolean;
  /** Default: a free one. */
  readonly at?: number;
}

/** How long a node that starts for the first time may take to make its analytics tables, in milliseconds. */
const TABLES_MS = 60_000;
const LOOK_MS = 50;

/** Until history is there, where the node keeps one: a first start makes its tables, and that is not what is measured. */
export const untilRecorded = async (port: number): Promise<void> => {
  for (const deadline = performance.now() + TABLES_MS; performance.now() < deadline; await sleep(LOOK_MS)) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`);
    const { dependencies } = (await answer.json()) as { dependencies: { name: string; ok: boolean; detail?: string }[] };
    const analytics = dependencies.find(({ name }) => name === 'analytics');
    if (analytics === undefined || (analytics.ok && analytics.detail?.endsWith(' 0 records behind'))) return;
  }
  throw new Error(`the analytics tables were not there within ${TABLES_MS} ms`);
};

/** @throws Error when it cannot start. */
export const startPipeline = async ({ dir, servers, link, history = true, at }: PipelineOptions = {}): Promise<PipelineProcess> => {
  const port = at ?? (await freePort());
  const data = dir ?? (await freshDir('pipeline'));
  const storage = servers === undefined ? {} : { BENCH_SERVERS: JSON.stringify(servers) };
  const kept = history ? {} : { BENCH_HISTORY: 'none' };
  const linked = link === undefined ? {} : { BENCH_LINK: JSON.stringify(link) };
  const env = { ...process.env, APP_PORT: String(port), BENCH_DIR: data, NODE_ENV: 'production', ...storage, ...linked, ...kept };
  const child: ChildProcess = endsWithUs(fork(fileURLToPath(PIPELINE_APP), [], { env }));
  const completed = new Map<string, number>();
  const died = new Promise<never>((_, reject) => {
    child.once('exit', (code, signal) => reject(new Error(`the pipeline process ended (${signal ?? code})`)));
  });
  died.catch(() => {});
  const watchers = new Set<(message: Message) => void>();
  child.on('message', (message: Message) => {
    const done = message.done ?? [];
    for (let i = 0; i < done.length; i += 2) completed.set(done[i] as string, done[i + 1] as number);
    for (const watch of watchers) watch(message);
  });
  const told = <T>(pick: (message: Message) => T | undefined): Promise<T> =>
    Promise.race([
      died,
      new Promise<T>((resolve) => {
        const watch = (message: Message): void => {
          const found = pick(message);
          if (found === undefined) return;
          watchers.delete(watch);
          resolve(found);
        };
        watchers.add(watch);
      }),
    ]);
  await told((message) => message.ready);
  await untilRecorded(port);

  const waitFor = async (count: number): Promise<void> => {
    if (completed.size >= count) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`only ${completed.size} of ${count} tasks completed in ${COMPLETE_MS} ms`)), COMPLETE_MS);
    });
    await Promise.race([told(() => (completed.size >= count ? true : undefined)), late]).finally(() => clearTimeout(timer));
  };

  return {
    port,
    pid: child.pid!,
    completed,
    waitFor,
    startProfile: async () => {
      const started = told((message) => message.profiling);
      child.send({ profile: 'start' });
      await started;
    },
    stopProfile: () => {
      const profile = told((message) => message.profile);
      child.send({ profile: 'stop' });
      return profile;
    },
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, 'exit');
        child.send({ stop: true });
        const timer = setTimeout(() => killChild(child, 'SIGKILL'), STOP_MS);
        await gone;
        clearTimeout(timer);
      }
      if (dir === undefined) await removeDir(data);
    },
  };
};
