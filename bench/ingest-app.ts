// The process that is measured for P7: a group of one member that brings the log into the analytics store, and nothing else. Forked by ingest-process.ts.
//
// Environment: BENCH_INGEST (IngestSettings as JSON). Messages out: {ready}, {inserted: {rows, ms}} after every insert, {problem}. In: {go: true}, {stop: true}.
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ingestHistory } from '../processors/index.js';
import { LIFECYCLE, TELEMETRY } from '../schemas/index.js';
import type { Analytics } from '../streams/index.js';
import { openLmdbLog } from '../streams/lmdb/index.js';
import { migrateStore, openStore } from './analytics-store.js';

export interface IngestSettings {
  /** Holds the log and the store. */
  readonly dir: string;
  readonly partitions: number;
  readonly group: string;
  readonly flushMs: number;
  /** Nothing is inserted: the rows go into this file instead, as they would have been sent. Empty: nowhere. */
  readonly instead?: string;
}

/** A store that has nothing and keeps nothing. One batch after another goes into the file. */
const writesTo = (file: string): Analytics => {
  let written = Promise.resolve();
  return {
    insert: (_table, lines) => {
      if (file !== '') written = written.then(() => appendFile(file, `${lines}\n`));
      return written;
    },
    command: async () => {},
    query: async () => [],
    ask: async () => ({ columns: [], rows: [], elapsedMs: 0, rowsRead: 0 }),
    health: async () => ({ ok: true }),
    close: async () => {},
  };
};

const { dir, partitions, group, flushMs, instead } = JSON.parse(process.env.BENCH_INGEST!) as IngestSettings;
const log = await openLmdbLog({ dir: join(dir, 'log'), node: group, partitions });
const analytics = instead === undefined ? openStore(dir) : writesTo(instead);
const generation = instead === undefined ? await migrateStore(analytics) : 'none';
let leave = async (): Promise<void> => {};

const die = (error: unknown): never => {
  process.stderr.write(`bench ingest: ${String(error)}\n`);
  process.exit(1);
};
const go = async (): Promise<void> => {
  const options = {
    log,
    analytics,
    generation: async () => generation,
    flushMs,
    onProblem: (fault: Error) => void process.send?.({ problem: String(fault) }),
    onInserted: ({ rows, ms }: { readonly rows: number; readonly ms: number }) => void process.send?.({ inserted: { rows, ms } }),
  };
  const membership = await log.join(group, [LIFECYCLE, TELEMETRY], (assignment) => ingestHistory(assignment, options));
  leave = () => membership.leave();
  membership.done.catch(die);
};
const end = async (): Promise<never> => {
  await leave();
  await analytics.close();
  await log.close();
  process.exit(0);
};

process.on('message', (message: { go?: true; stop?: true }) => {
  if (message.go) go().catch(die);
  if (message.stop) end().catch(die);
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
