// The stores of P8: filled once, kept in the cache folder, made anew when rows, tables or engine are others (V1 and V3 of provenance.ts).
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Analytics } from '../streams/index.js';
import { countOf, migrateStore, openStore, tablesDigest } from './analytics-store.js';
import { endingsSql, outputsSql, ROWS_VERSION, type Rows } from './history-sql.js';
import { cacheDir } from './places.js';

export const PROVENANCE_ROWS: Omit<Rows, 'executions'> = {
  seed: 20_261_126,
  days: 90,
  until: Date.UTC(2026, 10, 1),
  projects: 200,
  partitions: 4,
};
/** Executions of an insert, and inserts that are under way at a time. */
const CHUNK = 200_000;
const WRITERS = 2;
/** Of the oldest of so many the outputs are there as well, for artifacts and lineage. */
const OUTPUTS = 500_000;
const MERGED_MS = 120_000;
const LOOK_MS = 1_000;
const STORES = 'provenance-stores';
const COMPLETE = 'complete.json';

export interface ProvenanceStore {
  readonly dir: string;
  readonly executions: number;
  /** How it was made, in words. */
  readonly filled: string;
}

/** Inserts chunk after chunk of `total`. */
const insertAll = async (store: Analytics, total: number, sqlOf: (from: number, to: number) => string): Promise<void> => {
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < total) {
      const from = next;
      next = Math.min(total, from + CHUNK);
      await store.command(sqlOf(from, next));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
};

/** Until nothing is merged any more, or it takes too long: a store at rest. */
const settle = async (store: Analytics): Promise<void> => {
  for (const deadline = performance.now() + MERGED_MS; performance.now() < deadline; await sleep(LOOK_MS)) {
    if ((await countOf(store, 'SELECT count() AS n FROM system.merges')) === 0) return;
  }
};

const describe = async (store: Analytics, seconds: number): Promise<string> => {
  const [row] = await store.query<{ bytes: number; parts: number }>(
    "SELECT sum(bytes_on_disk) AS bytes, countIf(table = 'provenance') AS parts FROM system.parts WHERE active AND database = 'dats'",
  );
  return (
    `filled in ${seconds.toFixed(0)} s by INSERT INTO dats.events SELECT, all tables by their views; ${(Number(row!.bytes) / 1024 ** 3).toFixed(1)} GiB on disk, ` +
    `${row!.parts} parts of dats.provenance; outputs and edges of the oldest ${OUTPUTS.toLocaleString('en-US')} at most`
  );
};

/** @returns how, in words. @throws Error when a table has not what was put in */
const fill = async (dir: string, executions: number): Promise<string> => {
  const rows: Rows = { ...PROVENANCE_ROWS, executions };
  const store = openStore(dir);
  try {
    await migrateStore(store);
    const begin = performance.now();
    await insertAll(store, executions, (from, to) => endingsSql(rows, from, to));
    const seconds = (performance.now() - begin) / 1_000;
    await insertAll(store, Math.min(executions, OUTPUTS), (from, to) => outputsSql(rows, from, to));
    const has = await countOf(store, 'SELECT count() AS n FROM dats.provenance');
    if (has !== executions) throw new Error(`dats.provenance has ${has} of ${executions} executions`);
    await settle(store);
    return await describe(store, seconds);
  } finally {
    await store.close();
  }
};

/** The store with so many executions: as it was kept, or filled now. */
export const provenanceStore = async (executions: number): Promise<ProvenanceStore> => {
  const kind = createHash('sha256')
    .update(JSON.stringify([ROWS_VERSION, OUTPUTS, PROVENANCE_ROWS, await tablesDigest()]))
    .digest('hex')
    .slice(0, 12);
  const base = join(cacheDir(), STORES);
  await mkdir(base, { recursive: true });
  for (const name of await readdir(base)) if (!name.startsWith(kind)) await rm(join(base, name), { recursive: true, force: true });
  const dir = join(base, `${kind}-${executions}`);
  const complete = join(dir, COMPLETE);
  try {
    return { dir, executions, filled: (JSON.parse(await readFile(complete, 'utf8')) as { filled: string }).filled };
  } catch {
    await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true });
  }
  const filled = await fill(dir, executions);
  await writeFile(complete, JSON.stringify({ filled }));
  return { dir, executions, filled };
};
