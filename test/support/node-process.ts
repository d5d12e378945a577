// A node as a process of its own, for tests that start, kill and restart it. Runs what `npm run build` made.
//
// Every process and folder that was made here is remembered: `cleanUp` in an `afterEach` or `afterAll` leaves nothing behind, whatever failed before.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { killChild } from '../../schemas/index.js';
import { eventually } from './eventually.js';

export const ENTRY = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Longest a node may take until it answers, in milliseconds. */
const READY_LIMIT_MS = 30_000;
/** What is kept of a process's standard error, in characters. */
const ERRORS_KEPT = 40_000;

export interface TestFolder {
  readonly dir: string;
  /** Path of its servers.yaml. */
  readonly config: string;
  remove(): void;
}

export interface NodeProcess {
  readonly pid: number;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** The newest of what it wrote to standard error. */
  errors(): string;
  /** Resolves when it has ended. */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

const processes = new Set<ChildProcess>();
const folders = new Set<TestFolder>();
/** Of every process since the last `cleanUp`. */
let said: (() => string)[] = [];
// The last net: a test runner that is ended early must not leave nodes behind.
process.once('exit', () => {
  for (const child of processes) killChild(child, 'SIGKILL');
});

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** A folder of its own with a servers.yaml and other files. */
export const testFolder = (servers: object, files: Readonly<Record<string, string>> = {}): TestFolder => {
  const dir = mkdtempSync(join(tmpdir(), 'dats-test-'));
  const config = join(dir, 'servers.yaml');
  writeFileSync(config, stringify(servers));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  const folder: TestFolder = {
    dir,
    config,
    remove: () => {
      folders.delete(folder);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  folders.add(folder);
  return folder;
};

/** An engine a process costs memory and a second: tests that are about analytics ask for it (`DATS_ANALYTICS_KIND: 'embedded'`). */
const DEFAULTS = { DATS_ANALYTICS_KIND: 'none' };

/** Starts `dats start` with a configuration; DATS_ variables are the test's own and not handed on. Does not wait until it answers: see `ready`. */
export const startProcess = (config: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): NodeProcess => {
  if (!existsSync(ENTRY)) throw new Error(`${ENTRY} is not there: run "npm run build" first`);
  const child = spawn(process.execPath, [ENTRY, 'start', '--config', config, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DATS_'))), ...DEFAULTS, ...env },
  });
  processes.add(child);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString('utf8')).slice(-ERRORS_KEPT);
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('close', (code, signal) => {
      processes.delete(child);
      resolve({ code, signal });
    });
  });
  said.push(
    () => `--- dats start ${args.join(' ')} (pid ${child.pid}, exit code ${child.exitCode}, signal ${child.signalCode})\n${errors}`,
  );
  return {
    pid: child.pid!,
    exited,
    errors: () => errors,
    async kill(signal = 'SIGTERM') {
      killChild(child, signal);
      await exited;
    },
  };
};

/** What the processes wrote to standard error since the last `cleanUp`. */
const standardErrors = (): string => said.map((errors) => errors()).join('\n');

/** Ends every process that was started here. */
export const endProcesses = async (): Promise<void> => {
  const ends = [...processes].map((child) => new Promise((resolve) => child.once('close', resolve)));
  for (const child of processes) killChild(child, 'SIGKILL');
  await Promise.all(ends);
};

/** Ends every process and removes every folder that was made here. */
export const cleanUp = async (): Promise<void> => {
  await endProcesses();
  said = [];
  for (const folder of folders) folder.remove();
};

/** Resolves when the node is ready; rejects when it exits before, or never is. */
export const ready = async (url: string, node: NodeProcess): Promise<void> => {
  let gone: string | undefined;
  void node.exited.then(({ code, signal }) => {
    gone = `the node ended (code ${code}, signal ${signal}): ${node.errors()}`;
  });
  await eventually(
    `a ready node at ${url}`,
    READY_LIMIT_MS,
    async () => gone !== undefined || (await fetch(`${url}/health/ready`)).ok,
  ).catch((error) => {
    throw new Error(`${error.message}: ${node.errors()}`, { cause: error });
  });
  if (gone !== undefined) throw new Error(gone);
};

/** For `afterEach`: cleans up, and after a failed test says first what the processes said. */
export const tidy = async ({ task }: { readonly task: { readonly result?: { readonly state?: string } | undefined } }): Promise<void> => {
  if (task.result?.state === 'fail') console.error(standardErrors());
  await cleanUp();
};
