// The limits beside P7: the same rows as JSON, inserted into the same tables by the same client, without a log, an order, a note of progress or a row made of an event
// (I2 of ingest.ts); without the views as well; and our own process when nobody takes its rows.
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { countOf, migrateStore, openStore } from './analytics-store.js';
import type { PeerFigure } from './figure.js';
import { startIngestion } from './ingest-process.js';
import { freshDir, removeDir } from './places.js';

/** Rows of an insert, as the ingestion has at most. */
const BATCH = 8_192;
/** Inserts that are under way at a time: as many as the engine writes at a time. */
const WRITERS = 2;
const READ_BYTES = 1024 * 1024;

/** A log, and how it is read. */
export interface FilledLog {
  /** Holds it, and the files that are made of it. */
  readonly dir: string;
  readonly records: number;
  readonly partitions: number;
  readonly flushMs: number;
}

const perSecond = (rows: number, ms: number): number => (rows / ms) * 1_000;

/** The rows of the log as the ingestion sends them, into a file; and how fast it makes them when nobody has to take them. */
const capture = async (filled: FilledLog, file: string): Promise<number> => {
  const { dir, partitions, flushMs } = filled;
  const timed = async (group: string, instead: string): Promise<number> => {
    const ingestion = await startIngestion({ dir, partitions, flushMs, group, instead });
    try {
      const begin = performance.now();
      ingestion.go();
      await ingestion.until(filled.records);
      return performance.now() - begin;
    } finally {
      await ingestion.stop();
    }
  };
  await timed('captured', file);
  return perSecond(filled.records, await timed('nowhere', ''));
};

/** Batches of at most BATCH lines. */
async function* batchesOf(file: string): AsyncGenerator<{ readonly lines: string; readonly rows: number }> {
  let lines: string[] = [];
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: READ_BYTES })) {
    const some = (rest + chunk).split('\n');
    rest = some.pop()!;
    lines.push(...some);
    for (; lines.length >= BATCH; lines = lines.slice(BATCH)) yield { lines: lines.slice(0, BATCH).join('\n'), rows: BATCH };
  }
  if (lines.length > 0) yield { lines: lines.join('\n'), rows: lines.length };
}

/** I2. Rows a second; with or without the views that make the other tables. */
const plainInserts = async (file: string, records: number, withViews: boolean): Promise<number> => {
  const dir = await freshDir('inserts');
  const store = openStore(dir);
  try {
    await migrateStore(store);
    if (!withViews) {
      const views = await store.query<{ name: string }>(
        "SELECT name FROM system.tables WHERE database = 'dats' AND engine = 'MaterializedView'",
      );
      for (const { name } of views) await store.command(`DROP TABLE dats.${name} SYNC`);
    }
    const batches = batchesOf(file);
    let sent = 0;
    let inserts = 0;
    const begin = performance.now();
    const write = async (): Promise<void> => {
      for await (const { lines, rows } of batches) {
        await store.insert('dats.events', lines, `plain-${inserts++}`);
        sent += rows;
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
    const ms = performance.now() - begin;
    const has = await countOf(store, 'SELECT count() AS n FROM dats.events');
    if (has !== records || sent !== records) throw new Error(`the plain inserts brought ${has} of ${records} rows`);
    return perSecond(records, ms);
  } finally {
    await store.close();
    await removeDir(dir);
  }
};

/** Events a second. @throws Error when not every row came in */
export const limitsOf = async (filled: FilledLog): Promise<readonly PeerFigure[]> => {
  const file = join(filled.dir, 'rows.json');
  const rows = await capture(filled, file);
  const plain = { version: 'of this run', setting: `same rows, ${BATCH} an insert, ${WRITERS} at a time` };
  return [
    { name: 'plain inserts', ...plain, value: await plainInserts(file, filled.records, true) },
    { name: 'plain inserts without views', ...plain, value: await plainInserts(file, filled.records, false) },
    { name: 'our process alone', version: 'of this run', setting: 'rows made, noted and thrown away', value: rows },
  ];
};
