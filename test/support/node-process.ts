// A node as a process of its own, for tests that start, kill and restart it. Runs what `npm run build` made.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

export const ENTRY = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Longest a node may take until it answers, in milliseconds. */
const READY_LIMIT_MS = 30_000;

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** A folder of its own with a servers.yaml (and other files), removed by `remove`. */
export const testFolder = (servers: object, files: Readonly<Record<string, string>> = {}): { readonly dir: string; readonly config: string; remove(): void } => {
  const dir = mkdtempSync(join(tmpdir(), 'dats-test-'));
  const config = join(dir, 'servers.yaml');
  writeFileSync(config, stringify(servers));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return { dir, config, remove: () => rmSync(dir, { recursive: true, force: true }) };
};

export interface NodeProcess {
  readonly pid: number;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** What it wrote to standard error so far. */
  errors(): string;
  kill(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts `dats start` with a configuration. Does not wait until it answers: see `ready`. */
export const startProcess = (config: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): NodeProcess => {
  if (!existsSync(ENTRY)) throw new Error(`${ENTRY} is not there: run "npm run build" first`);
  const child: ChildProcess = spawn(process.execPath, [ENTRY, 'start', '--config', config, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  });
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString('utf8')).slice(-20_000);
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid: child.pid!,
    exited,
    errors: () => errors,
    async kill(signal = 'SIGTERM') {
      child.kill(signal);
      await exited;
    },
  };
};

/** Resolves when the node is ready; rejects when it exits before, or never is. */
export const ready = async (url: string, node: NodeProcess): Promise<void> => {
  let gone: string | undefined;
  void node.exited.then(({ code, signal }) => {
    gone = `it ended (code ${code}, signal ${signal}): ${node.errors()}`;
  });
  for (const deadline = Date.now() + READY_LIMIT_MS; Date.now() < deadline; ) {
    if (gone) throw new Error(gone);
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the node did not become ready within ${READY_LIMIT_MS} ms: ${node.errors()}`);
};
