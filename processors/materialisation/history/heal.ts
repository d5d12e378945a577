// After a crash: is a batch in, once, in every table? And if not, how it is made so.
//
// E1. The engine is all or nothing for one table, not for a table and the views on it: killed in between, it has the events and not, say, their executions.
// E2. Only the owner of a log partition writes rows of that partition, so it can take its own away and bring them again without anybody else noticing.
import type { Analytics, Parameters } from '../../../streams/index.js';
import type { EventRow } from './row.js';
import { AGGREGATE_TABLES, type AggregateTable, EVENTS, ROW_TABLES } from './tables.js';

/** Records of one partition of the log, `from` up to before `to`. */
export interface Range {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

const WITHIN = 'topic = {topic:String} AND partition = {partition:UInt16}';
const IN_RANGE = `${WITHIN} AND offset >= {from:UInt64} AND offset < {to:UInt64}`;

const countOf = async (analytics: Analytics, sql: string, parameters: Parameters): Promise<number> => {
  const [row] = await analytics.query<{ n: number }>(`SELECT toUInt64(${sql}`, parameters);
  return Number(row?.n ?? 0);
};

const place = ({ topic, partition, from, to }: Range): Parameters => ({ topic, partition, from, to });
/** As ClickHouse writes them. */
const bucketsOf = (table: AggregateTable, rows: readonly EventRow[]): readonly string[] =>
  [...new Set(rows.map(table.keyOf))].filter(Boolean);
const inBuckets = (column: string): string => `has({buckets:Array(String)}, toString(${column}))`;

/** The first table that has not exactly what the rows make; undefined: all is well. */
export const mismatch = async (analytics: Analytics, range: Range, rows: readonly EventRow[]): Promise<string | undefined> => {
  const of = place(range);
  if ((await countOf(analytics, `count()) AS n FROM ${EVENTS} WHERE ${IN_RANGE}`, of)) !== rows.length) return EVENTS;
  for (const { name, rows: rowsOf } of ROW_TABLES) {
    const wanted = rows.reduce((sum, row) => sum + rowsOf(row), 0);
    if ((await countOf(analytics, `count()) AS n FROM ${name} WHERE ${IN_RANGE}`, of)) !== wanted) return name;
  }
  for (const table of AGGREGATE_TABLES) {
    const parameters = { ...of, buckets: bucketsOf(table, rows) };
    const [has, wanted] = await Promise.all([
      countOf(analytics, `sum(${table.count})) AS n FROM ${table.name} WHERE ${WITHIN} AND ${inBuckets(table.bucket)}`, parameters),
      countOf(
        analytics,
        `count()) AS n FROM ${EVENTS} WHERE ${WITHIN} AND (${table.counted}) AND ${inBuckets(table.bucketOf)}`,
        parameters,
      ),
    ]);
    if (has !== wanted) return table.name;
  }
  return undefined;
};

/** What the view selects, over the events of this partition that lie in the buckets. */
const again = async (analytics: Analytics, table: AggregateTable): Promise<string> => {
  const [row] = await analytics.query<{ s: string }>(
    "SELECT as_select AS s FROM system.tables WHERE database = 'dats' AND name = {view:String}",
    { view: table.view },
  );
  const those = `(SELECT * FROM ${EVENTS} WHERE ${WITHIN} AND ${inBuckets(table.bucketOf)})`;
  return String(row?.s ?? '').replace(/FROM dats\.events/, `FROM ${those} AS events`);
};

/** Takes every trace of the range away, so that inserting it makes everything right. */
export const clearRange = async (analytics: Analytics, range: Range, rows: readonly EventRow[]): Promise<void> => {
  const of = place(range);
  for (const name of [EVENTS, ...ROW_TABLES.map((table) => table.name)])
    await analytics.command(`DELETE FROM ${name} WHERE ${IN_RANGE}`, of);
  for (const table of AGGREGATE_TABLES) {
    const parameters = { ...of, buckets: bucketsOf(table, rows) };
    if (parameters.buckets.length === 0) continue;
    await analytics.command(`DELETE FROM ${table.name} WHERE ${WITHIN} AND ${inBuckets(table.bucket)}`, parameters);
    await analytics.command(`INSERT INTO ${table.name} ${await again(analytics, table)}`, parameters);
  }
};

/** Takes everything of a partition of the log away: it is to be brought from the first record on. The events last: where there are none, there is nothing. */
export const clearPartition = async (analytics: Analytics, { topic, partition }: Omit<Range, 'from' | 'to'>): Promise<void> => {
  const of = { topic, partition };
  if ((await countOf(analytics, `count()) AS n FROM ${EVENTS} WHERE ${WITHIN}`, of)) === 0) return;
  for (const { name } of [...ROW_TABLES, ...AGGREGATE_TABLES, { name: EVENTS }])
    await analytics.command(`DELETE FROM ${name} WHERE ${WITHIN}`, of);
};
