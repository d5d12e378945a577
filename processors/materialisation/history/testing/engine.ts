// The real engine for tests: embedded, or as a server on a port of its own; and how it is killed.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killChild } from '../../../../schemas/index.js';
import { type Migration, migrate, openClickhouse, readMigrations } from '../../../../streams/clickhouse/index.js';
import type { Analytics } from '../../../../streams/index.js';

export const ENGINE = fileURLToPath(new URL('../../../../dist/streams/clickhouse/engine/main.js', import.meta.url));
export const MIGRATIONS_DIR = fileURLToPath(new URL('../../../../deploy/clickhouse', import.meta.url));
export const LIMITS = { timeoutMs: 10_000, rows: 100_000, memoryBytes: 1024 * 1024 * 1024 };
/** The answer of `generationOf` is kept for so long, in milliseconds: partitions ask often. */
const KEPT_MS = 100;

const dirs: string[] = [];
const stores: Analytics[] = [];
const servers: ChildProcess[] = [];

export const engineDir = (): string => {
  if (!existsSync(ENGINE)) throw new Error(`${ENGINE} is not there: run "npm run build" first`);
  const dir = mkdtempSync(join(tmpdir(), 'dats-history-'));
  dirs.push(dir);
  return dir;
};

export const openEmbedded = (dir = engineDir()): Analytics => {
  const store = openClickhouse({ embedded: { dir: join(dir, 'clickhouse'), limits: LIMITS, engine: ENGINE } });
  stores.push(store);
  return store;
};

export const openServer = (url: string, options: { readonly asyncInsert?: boolean } = {}): Analytics => {
  const store = openClickhouse({ server: { url, ...options } });
  stores.push(store);
  return store;
};

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

export interface EngineServer {
  readonly url: string;
  kill(): Promise<void>;
}

/** The engine on a port, as a ClickHouse server is. Resolves when it answers. */
export const startServer = async (dir: string, port?: number): Promise<EngineServer> => {
  const at = port ?? (await freePort());
  const child = spawn(process.execPath, [ENGINE, '--dir', join(dir, 'clickhouse'), '--port', String(at)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  servers.push(child);
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve());
    child.once('exit', (code) => reject(new Error(`the engine ended with ${code}`)));
  });
  return {
    url: `http://127.0.0.1:${at}`,
    kill: async () => {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      killChild(child, 'SIGKILL');
      await gone;
    },
  };
};

/** Pids of the engines of a folder: none, one, or for an instant another that finds the folder taken. */
export const enginesOf = (dir: string): number[] =>
  execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
    .split('\n')
    .filter((line) => line.includes('engine/main.js') && line.includes(dir))
    .map((line) => Number(line.trim().split(/\s/, 1)[0]));

/** SIGKILL. @returns how many there were. */
export const killEngines = (dir: string): number => {
  let killed = 0;
  for (const pid of enginesOf(dir)) {
    try {
      process.kill(pid, 'SIGKILL');
      killed++;
    } catch {
      // It has ended by itself since.
    }
  }
  return killed;
};

/** Closes every store, ends every server and removes every folder that was made here. */
export const cleanUp = async (): Promise<void> => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  for (const child of servers.splice(0)) killChild(child, 'SIGKILL');
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
};

let read: Promise<readonly Migration[]> | undefined;
export const migrations = (): Promise<readonly Migration[]> => (read ??= readMigrations(MIGRATIONS_DIR));

/** As a node has it: migrates, and says the generation. */
export const generationOf = (store: Analytics): (() => Promise<string>) => {
  let known: { readonly at: number; readonly generation: Promise<string> } | undefined;
  return () => {
    if (known === undefined || performance.now() - known.at > KEPT_MS) {
      const generation = migrations()
        .then((all) => migrate(store, all))
        .then((migrated) => migrated.generation);
      known = { at: performance.now(), generation };
      generation.catch(() => {
        known = undefined;
      });
    }
    return known.generation;
  };
};
