// The forked ingestion as the bench sees it: started, told to go, watched, stopped.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killChild } from '../schemas/index.js';
import { endsWithUs } from './children.js';
import type { IngestSettings } from './ingest-app.js';

const APP = new URL('./ingest-app.js', import.meta.url);
/** As `npm start` runs a node. */
const NODE_ARGUMENTS = ['--max-semi-space-size=64'];
/** How long it may take to bring everything in, in milliseconds. */
const CAUGHT_UP_MS = 600_000;
const STOP_MS = 30_000;

interface Message {
  readonly ready?: true;
  readonly inserted?: { readonly rows: number; readonly ms: number };
  readonly problem?: string;
}

export interface IngestProcess {
  readonly pid: number;
  /** Rows of each insert so far, and how long it took, in milliseconds. */
  readonly inserts: readonly { readonly rows: number; readonly ms: number }[];
  go(): void;
  /** Resolves when so many rows are in. @throws Error when the process dies, has a problem, or takes too long */
  until(rows: number): Promise<void>;
  stop(): Promise<void>;
}

/** @throws Error when it cannot start */
export const startIngestion = async (settings: IngestSettings): Promise<IngestProcess> => {
  const child = endsWithUs(
    fork(fileURLToPath(APP), [], {
      execArgv: [...process.execArgv, ...NODE_ARGUMENTS],
      env: { ...process.env, BENCH_INGEST: JSON.stringify(settings) },
    }),
  );
  const inserts: { rows: number; ms: number }[] = [];
  let rows = 0;
  let watch: () => void = () => {};
  let fail!: (error: Error) => void;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  child.once('exit', (code, signal) => fail(new Error(`the ingestion ended (${signal ?? code})`)));
  const ready = new Promise<void>((resolve) => {
    child.on('message', ({ ready: isReady, inserted, problem }: Message) => {
      if (isReady) resolve();
      if (problem !== undefined) fail(new Error(`the ingestion had a problem: ${problem}`));
      if (inserted === undefined) return;
      inserts.push(inserted);
      rows += inserted.rows;
      watch();
    });
  });
  await Promise.race([ready, failed]);
  return {
    pid: child.pid!,
    inserts,
    go: () => void child.send({ go: true }),
    until: async (wanted) => {
      let timer: NodeJS.Timeout | undefined;
      const arrived = new Promise<void>((resolve, reject) => {
        watch = () => {
          if (rows >= wanted) resolve();
        };
        watch();
        timer = setTimeout(() => reject(new Error(`only ${rows} of ${wanted} rows after ${CAUGHT_UP_MS} ms`)), CAUGHT_UP_MS);
      });
      await Promise.race([arrived, failed]).finally(() => clearTimeout(timer));
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.send({ stop: true });
      const timer = setTimeout(() => killChild(child, 'SIGKILL'), STOP_MS);
      await gone;
      clearTimeout(timer);
    },
  };
};
