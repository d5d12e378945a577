// The analytics store as the bench opens it: the embedded engine in a process of its own, as a node has it, in a folder of the bench.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../nodes/index.js';
import { migrate, openClickhouse, readMigrations } from '../streams/clickhouse/index.js';
import type { Analytics, AskLimits } from '../streams/index.js';

/** As servers.yaml has them when it says nothing. */
export const ASK_LIMITS: AskLimits = { timeoutMs: 10_000, rows: 10_000, memoryBytes: 1024 ** 3 };

export const openStore = (dir: string): Analytics => openClickhouse({ embedded: { dir: join(dir, 'clickhouse'), limits: ASK_LIMITS } });

const migrations = () => readMigrations(join(packageRoot(), 'deploy', 'clickhouse'));

/** Makes the tables that are not there. @returns their generation */
export const migrateStore = async (store: Analytics): Promise<string> => (await migrate(store, await migrations())).generation;

/** Of all tables: another one is another store. */
export const tablesDigest = async (): Promise<string> => (await migrations()).map(({ sha256 }) => sha256.slice(0, 8)).join('-');

/** The engine of a folder; undefined where none runs. */
export const enginePidOf = (dir: string): number | undefined => {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      if (words[1]?.endsWith('engine/main.js') && words.includes(join(dir, 'clickhouse'))) return Number(name);
    } catch {
      // Ended meanwhile.
    }
  }
  return undefined;
};

/** @param sql asks for one number, `n` */
export const countOf = async (store: Analytics, sql: string): Promise<number> => {
  const [row] = await store.query<{ n: number }>(sql);
  return Number(row?.n ?? 0);
};
