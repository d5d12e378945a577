// The list of tables against the SQL that makes them.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { statementsOf } from '../../../streams/clickhouse/index.js';
import { MARK_TYPES } from '../marks.js';
import { AGGREGATE_TABLES, EVENTS, ROW_TABLES } from './tables.js';

const FOLDER = new URL('../../../deploy/clickhouse/', import.meta.url);
const statements = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.sql'))
  .sort()
  .flatMap((name) => [...statementsOf(readFileSync(new URL(name, FOLDER), 'utf8'))]);

/** What later files made of a view. */
const changed = new Map(
  statements.flatMap((statement) => {
    const made = /^ALTER TABLE dats\.(\w+) MODIFY QUERY\n([\s\S]*)$/.exec(statement);
    return made === null ? [] : [[made[1]!, made[2]!] as const];
  }),
);
const views = statements.flatMap((statement) => {
  const made = /^CREATE MATERIALIZED VIEW IF NOT EXISTS dats\.(\w+) TO (dats\.\w+) AS\n([\s\S]*)$/.exec(statement);
  return made === null ? [] : [{ view: made[1]!, table: made[2]!, select: changed.get(made[1]!) ?? made[3]! }];
});
const tableOf = (name: string): string => {
  const found = statements.find(
    (statement) =>
      statement.startsWith(`CREATE TABLE IF NOT EXISTS ${name}\n`) || statement.startsWith(`CREATE TABLE IF NOT EXISTS ${name} AS `),
  );
  if (found === undefined) throw new Error(`no table ${name}`);
  const like = /^CREATE TABLE IF NOT EXISTS \S+ AS (\S+)/.exec(found)?.[1];
  return like === undefined ? found : `${tableOf(like)}\n${found}`;
};
const columnsOf = (statement: string): string[] => [...statement.matchAll(/^ {4}(?!INDEX)(\w+) \w/gm)].map(([, name]) => name!);

describe('the tables of deploy/clickhouse', () => {
  it('that a view feeds are all in the list, and no other', () => {
    expect(views.map(({ table }) => table).sort()).toEqual([...ROW_TABLES, ...AGGREGATE_TABLES].map(({ name }) => name).sort());
  });

  it('every view reads the events, so that all can be made anew of them', () => {
    for (const { view, select } of views) expect([view, /\bFROM (\S+)/.exec(select)?.[1]]).toEqual([view, EVENTS]);
  });

  it('a mark is a row of the table of marks, of whatever type', () => {
    const { select } = views.find(({ table }) => table === 'dats.artifact_marks')!;
    const types = [.../type IN \(([^)]*)\)/.exec(select)![1]!.matchAll(/'([^']+)'/g)].map(([, type]) => type);
    expect(types.sort()).toEqual([...MARK_TYPES].sort());
    const rows = ROW_TABLES.find(({ name }) => name === 'dats.artifact_marks')!.rows;
    expect(types.map((type) => rows({ type: type! }))).toEqual(types.map(() => 1));
  });

  it('a table with a row a record says which: topic, partition and offset', () => {
    for (const { name } of ROW_TABLES) expect(columnsOf(tableOf(name))).toEqual(expect.arrayContaining(['topic', 'partition', 'offset']));
  });

  it.each(AGGREGATE_TABLES.map((table) => [table.name, table] as const))('%s: key, bucket, view and count are as listed', (name, table) => {
    const made = tableOf(name);
    const key = /^ORDER BY \(([^)]*)\)/m.exec(made)![1]!.split(', ');
    expect(key).toEqual(expect.arrayContaining(['topic', 'partition', table.bucket]));
    const view = views.find((one) => one.table === name)!;
    expect(view.view).toBe(table.view);
    expect(/\nGROUP BY ([^;]*)$/.exec(view.select)![1]!.split(', ')).toEqual(key);
    expect(made).toMatch(new RegExp(`^ {4}${table.count} SimpleAggregateFunction\\(sum, UInt64\\)`, 'm'));
    expect(view.select).toContain(`count() AS ${table.count},`);
    expect(made).toMatch(new RegExp(`^ {4}${table.bucket} ${table.type.replaceAll(/[()']/g, '\\$&')},`, 'm'));
    if (table.bucketOf !== table.bucket) expect(view.select).toContain(`${table.bucketOf} AS ${table.bucket},`);
    const where = /\nWHERE (.*)/.exec(view.select)?.[1] ?? '1';
    expect(table.counted).toBe(where);
  });

  it('a table that lets rows go is listed with its TTL', () => {
    for (const { name, keptDays } of [...ROW_TABLES, ...AGGREGATE_TABLES])
      expect([name, keptDays]).toEqual([name, /^TTL .* \+ INTERVAL (\d+) DAY/m.exec(tableOf(name))?.slice(1).map(Number)[0]]);
  });

  it('every table remembers the tokens of its inserts', () => {
    for (const name of [EVENTS, ...views.map(({ table }) => table)])
      expect(tableOf(name)).toMatch(/non_replicated_deduplication_window = 1000/);
  });

  it('the bucket of a row is written as ClickHouse writes it', () => {
    const row = { time: '2026-12-31T23:59:59.999Z', task_id: "it's" };
    expect(AGGREGATE_TABLES.map(({ keyOf }) => keyOf(row))).toEqual([
      '2026-12-31 23:59:00',
      '2026-12-31 23:59:00',
      "it's",
      '2026-12-31',
      '2026-12-31',
    ]);
  });
});
