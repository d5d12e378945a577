// After a crash: is a batch in, once, in every table? And if not, how it is made so.
//
// E1. The engine is all or nothing for one table, not for a table and the views on it: killed in between, it has the events and not, say, their executions.
// E2. Only the owner of a log partition writes rows of that partition, so it can take its own away and bring them again without anybody else noticing.
// E3. What is so old that its table may have let it go is not counted. E4. Buckets go into a statement a few at a time: it has a longest form, and its conditions are ones that the engine's indexes answer.
// E5. What was deleted is counted: of two deletions from one table at a time, each of its own rows, the engine may skip one and call it done (ClickHouse 26.7, once in some
// thousand; its issue 29955). Rows that are left then are left for good, so that counting them once is enough.
import { Fault } from '../../../schemas/index.js';
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

/** E4. */
const BUCKETS = 500;

const WITHIN = 'topic = {topic:String} AND partition = {partition:UInt16}';
const IN_RANGE = `${WITHIN} AND offset >= {from:UInt64} AND offset < {to:UInt64}`;
const ALL_TABLES: readonly string[] = [...ROW_TABLES, ...AGGREGATE_TABLES].map(({ name }) => name);

const countOf = async (analytics: Analytics, sql: string, parameters: Parameters): Promise<number> => {
  const [row] = await analytics.query<{ n: number }>(sql, parameters);
  return Number(row?.n ?? 0);
};

/** Deletions of the same rows: two at a time are skipped so seldom that these are never reached by that. */
const DELETIONS = 5;

/** E5. @throws Fault retryable `history_undeleted` */
const takeAway = async (analytics: Analytics, table: string, where: string, parameters: Parameters): Promise<void> => {
  for (let deletions = 0; ; deletions++) {
    const left = await countOf(analytics, `SELECT count() AS n FROM ${table} WHERE ${where}`, parameters);
    if (left === 0) return;
    if (deletions === DELETIONS)
      throw new Fault('retryable', 'history_undeleted', `${left} rows of ${table} are there after they were deleted ${deletions} times`);
    await analytics.command(`DELETE FROM ${table} WHERE ${where}`, parameters);
  }
};

/** Some of the buckets of a table, as conditions. */
interface Part {
  /** On the rows of the table. */
  readonly rows: string;
  /** On the events that they are made of. */
  readonly events: string;
  readonly parameters: Parameters;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** E3: the first day that the table certainly keeps, a day after the one that its TTL says. */
const keptFrom = ({ keptDays }: Pick<AggregateTable, 'keptDays'>): string =>
  keptDays === undefined ? '' : new Date(Date.now() - (keptDays - 1) * DAY_MS).toISOString().slice(0, 10);

const partsOf = (table: AggregateTable, rows: readonly EventRow[]): readonly Part[] => {
  const from = keptFrom(table);
  const keys = [...new Set(rows.map(table.keyOf))].filter((key) => key !== '' && key >= from).sort();
  const parts: Part[] = [];
  for (let i = 0; i < keys.length; i += BUCKETS) {
    const buckets = keys.slice(i, i + BUCKETS);
    const among = `IN {buckets:Array(${table.type})}`;
    const near = ` AND toDate(time, 'UTC') >= {first:Date} AND toDate(time, 'UTC') <= {last:Date}`;
    const span = table.ofTime ? { first: buckets[0]!.slice(0, 10), last: buckets.at(-1)!.slice(0, 10) } : {};
    parts.push({
      rows: `${WITHIN} AND ${table.bucket} ${among}`,
      events: `${WITHIN} AND ${table.bucketOf} ${among}${table.ofTime ? near : ''}`,
      parameters: { buckets, ...span },
    });
  }
  return parts;
};

/** The first table that has not exactly what the rows make; undefined: all is well. */
export const mismatch = async (analytics: Analytics, range: Range, rows: readonly EventRow[]): Promise<string | undefined> => {
  const of: Parameters = { ...range };
  const { topic, partition } = range;
  if ((await countOf(analytics, `SELECT count() AS n FROM ${EVENTS} WHERE ${IN_RANGE}`, of)) !== rows.length) return EVENTS;
  for (const table of ROW_TABLES) {
    const day = keptFrom(table);
    const wanted = rows.reduce((sum, row) => sum + (String(row.time) >= day ? table.rows(row) : 0), 0);
    const kept = day === '' ? '' : " AND toDate(time, 'UTC') >= {day:Date}";
    const has = await countOf(analytics, `SELECT count() AS n FROM ${table.name} WHERE ${IN_RANGE}${kept}`, {
      ...of,
      ...(day === '' ? {} : { day }),
    });
    if (has !== wanted) return table.name;
  }
  for (const table of AGGREGATE_TABLES) {
    for (const part of partsOf(table, rows)) {
      const parameters = { topic, partition, ...part.parameters };
      const has = await countOf(analytics, `SELECT sum(${table.count}) AS n FROM ${table.name} WHERE ${part.rows}`, parameters);
      const wanted = await countOf(analytics, `SELECT count() AS n FROM ${EVENTS} WHERE (${table.counted}) AND ${part.events}`, parameters);
      if (has !== wanted) return table.name;
    }
  }
  return undefined;
};

interface View {
  readonly select: string;
  readonly columns: string;
}

const viewOf = async (analytics: Analytics, { view }: AggregateTable): Promise<View> => {
  const [selected] = await analytics.query<{ made: string }>(
    "SELECT as_select AS made FROM system.tables WHERE database = 'dats' AND name = {view:String}",
    { view },
  );
  const columns = await analytics.query<{ name: string }>(
    "SELECT name FROM system.columns WHERE database = 'dats' AND table = {view:String} ORDER BY position",
    { view },
  );
  return { select: selected?.made ?? '', columns: columns.map(({ name }) => name).join(', ') };
};

/** What the view makes of the events in those buckets. Two healings may write the same block: it is not to be taken for a repetition. */
const remake = ({ name }: AggregateTable, { select, columns }: View, { events }: Part): string =>
  `INSERT INTO ${name} (${columns}) SETTINGS insert_deduplicate = 0 ${select.replace(/FROM dats\.events/, `FROM (SELECT * FROM ${EVENTS} WHERE ${events}) AS events`)}`;

/** Takes every trace of the range away, so that inserting it makes everything right. */
export const clearRange = async (analytics: Analytics, range: Range, rows: readonly EventRow[]): Promise<void> => {
  const { topic, partition } = range;
  for (const name of [EVENTS, ...ROW_TABLES.map((table) => table.name)]) await takeAway(analytics, name, IN_RANGE, { ...range });
  for (const table of AGGREGATE_TABLES) {
    const view = await viewOf(analytics, table);
    for (const part of partsOf(table, rows)) {
      const parameters = { topic, partition, ...part.parameters };
      await takeAway(analytics, table.name, part.rows, parameters);
      await analytics.command(remake(table, view, part), parameters);
    }
  }
};

/** Takes everything of a partition of the log away: it is to be brought from the first record on. Any one table may have been dropped, the events too. */
export const clearPartition = async (analytics: Analytics, { topic, partition }: Omit<Range, 'from' | 'to'>): Promise<void> => {
  for (const name of [...ALL_TABLES, EVENTS]) await takeAway(analytics, name, WITHIN, { topic, partition });
};
