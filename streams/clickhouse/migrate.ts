// The tables, from numbered SQL files: each is applied once, in order, and noted in `dats.migrations`.
//
// V1. A file that was applied is never changed: another digest than noted is refused. New tables and columns come in new files. V2. Statements are written so that
// applying one twice does no harm (IF NOT EXISTS), as a crash may come between a statement and its note. V3. Several processes may migrate at once.
// V4. The generation is another whenever a table was made anew: what was in it before is to be brought again.
import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault, isFault } from '../../schemas/index.js';
import type { Analytics } from '../analytics.js';

export interface Migration {
  readonly name: string;
  readonly statements: readonly string[];
  readonly sha256: string;
}

const NAME = /^(\d{3})_[a-z0-9_]+\.sql$/;
const DATABASE = 'CREATE DATABASE IF NOT EXISTS dats';
const MIGRATIONS = `CREATE TABLE IF NOT EXISTS dats.migrations (name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))
  ENGINE = ReplacingMergeTree ORDER BY name`;

/** A checkout may have ended the lines otherwise: the file is the same. */
const unixOf = (text: string): string => text.replaceAll('\r\n', '\n');

/** Statements end with a semicolon at the end of a line; comments are whole lines. */
export const statementsOf = (sql: string): readonly string[] =>
  unixOf(sql)
    .replaceAll(/^\s*--.*$/gm, '')
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

/** In order. @throws Fault terminal `bad_migration` when numbers repeat */
export const readMigrations = async (dir: string): Promise<readonly Migration[]> => {
  const names = (await readdir(dir)).filter((name) => NAME.test(name)).sort();
  const numbers = names.map((name) => name.slice(0, 3));
  if (new Set(numbers).size !== numbers.length) throw new Fault('terminal', 'bad_migration', `two files of ${dir} have one number`);
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(dir, name), 'utf8');
      return { name, statements: statementsOf(sql), sha256: createHash('sha256').update(unixOf(sql)).digest('hex') };
    }),
  );
};

export interface Migrated {
  readonly applied: readonly string[];
  /** V4. */
  readonly generation: string;
}

/** Brings the tables up to date. @throws Fault retryable; terminal `migration_changed` (V1), `analytics_refused` with the statement at fault */
export const migrate = async (analytics: Analytics, migrations: readonly Migration[]): Promise<Migrated> => {
  for (const statement of [DATABASE, MIGRATIONS]) await analytics.command(statement);
  const rows = await analytics.query<{ name: string; sha256: string }>('SELECT name, sha256 FROM dats.migrations FINAL');
  const noted = new Map(rows.map(({ name, sha256 }) => [name, sha256]));
  // Whoever dropped tables by hand left the notes: what is noted must be there.
  const tables = await analytics.query<{ name: string }>("SELECT name FROM system.tables WHERE database = 'dats'");
  const there = new Set(tables.map(({ name }) => name));
  const applied: string[] = [];
  let remade = false;
  for (const { name, statements, sha256 } of migrations) {
    const known = noted.get(name);
    if (known !== undefined && known !== sha256)
      throw new Fault(
        'terminal',
        'migration_changed',
        `${name} was applied in another form before; a file is never changed, put the change into a new one (or make everything anew: dats views rebuild)`,
      );
    const missing = statements.filter((statement) => !there.has(tableOf(statement)));
    // A table that is made anew has only what its own file says: what later files add to it comes again with them (V2).
    if (known !== undefined && missing.length === 0 && !remade) continue;
    for (const statement of statements) await analytics.command(statement);
    remade ||= missing.length > 0;
    if (known === undefined)
      await analytics.insert('dats.migrations', JSON.stringify({ name, sha256 }), `migration-${name}-${sha256}-${randomUUID()}`);
    applied.push(name);
  }
  return { applied, generation: await generationOf(analytics) };
};

/** What a statement makes, by its name in `dats`; a database is always there. */
const tableOf = (statement: string): string =>
  /^CREATE (?:MATERIALIZED VIEW|TABLE|VIEW) IF NOT EXISTS dats\.(\w+)/.exec(statement)?.[1] ?? 'migrations';

/** V4: of the tables' own ids, so that processes that migrate at once agree, also where one knows more files than the other. */
const generationOf = async (analytics: Analytics): Promise<string> => {
  const tables = await analytics.query<{ name: string; id: string }>(
    "SELECT name, toString(uuid) AS id FROM system.tables WHERE database = 'dats' AND name != 'migrations' AND (engine LIKE '%MergeTree' OR engine = 'MaterializedView') ORDER BY name",
  );
  const ids = tables.map(({ name, id }) => `${name}=${id}`).join('\n');
  return createHash('sha256').update(ids).digest('hex').slice(0, 32);
};

/** Everything away, so that the next `migrate` makes it anew. */
export const dropAll = async (analytics: Analytics): Promise<void> => {
  for (let tried = 1; ; tried++) {
    try {
      return await analytics.command('DROP DATABASE IF EXISTS dats SYNC');
    } catch (error) {
      if (tried === DROP_TRIES || !cameMeanwhile(error)) throw error;
    }
  }
};

const DROP_TRIES = 5;
/** Somebody made a table while the database was dropped: the server says "try again" (its code 219). */
const cameMeanwhile = (error: unknown): boolean => isFault(error) && (error.cause as { code?: unknown } | undefined)?.code === '219';
