// Every lifecycle record of a project beside its row of `dats.events`: once, and equal in every column.
//
// T1. Compared is what history says is in: below the offset that its group has committed, and below what the tables have, which may have been made anew. Neither is an error:
// history is behind the log by nature. T2. A difference counts when two looks see it, and history still had everything there after the second: tables
// that are dropped and filled again meanwhile are no difference. T3. Rows of one stretch of records are held at a time, of bounded length.
import { LIFECYCLE, type RowDifference } from '../../../schemas/index.js';
import type { Analytics, Log, Recorded, Row } from '../../../streams/index.js';
import { openFold } from '../history/fold.js';
import type { EventRow } from '../history/row.js';
import { EVENTS } from '../history/tables.js';
import { cellDifferences, SELECTED } from './cells.js';
import { type Findings, shownApart } from './findings.js';
import type { Pace } from './pace.js';
import { type ProjectPlace, projectRecords } from './project-records.js';

/** T3: records, and bytes of what they hold. */
const MAX_ROWS = 1_024;
const MAX_BYTES = 16 * 1024 * 1024;
/** Rows that are named where there should be none. */
const STRAYS = 1_000;

export interface RowSources {
  readonly log: Log;
  readonly analytics: Analytics;
  /** Group that brings history. */
  readonly group: string;
  readonly place: ProjectPlace;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

const OF_PROJECT = 'project_id = {project:String} AND topic = {topic:String} AND partition = {partition:UInt16}';
const parametersOf = ({ projectId, partition }: ProjectPlace) => ({ project: projectId, topic: LIFECYCLE, partition });

/** T1. @throws Fault as `Analytics.query` */
export const historyReach = async ({ log, analytics, group, place }: RowSources): Promise<number> => {
  const { partition } = place;
  const lags = await log.lag(group, [LIFECYCLE]);
  const { end } = await log.range(LIFECYCLE, partition);
  const committed = lags.find((lag) => lag.partition === partition)?.committed ?? 0;
  const [row] = await analytics.query<{ next: number }>(
    `SELECT if(count() = 0, 0, max(offset) + 1) AS next FROM ${EVENTS} WHERE topic = {topic:String} AND partition = {partition:UInt16} AND offset < {end:UInt64}`,
    { topic: LIFECYCLE, partition, end },
  );
  return Math.min(end, committed, Number(row?.next ?? 0));
};

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly rows: readonly EventRow[];
}

const difference = (row: Row | EventRow, what: RowDifference['what']): RowDifference => ({
  partition: Number(row.partition),
  offset: Number(row.offset),
  type: String(row.type),
  what,
  column: null,
  expected: null,
  found: null,
});

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const changes = (expected: EventRow, found: Row): readonly RowDifference[] =>
  cellDifferences(expected, found).map((cell) => ({
    ...difference(expected, 'changed'),
    column: cell.column,
    ...shownApart(text(cell.expected), text(cell.found)),
  }));

/** One look at a stretch. */
const look = async ({ analytics, place, pace }: RowSources, { from, to, rows }: Stretch): Promise<readonly RowDifference[]> => {
  const found = await analytics.query<Row>(
    `SELECT ${SELECTED} FROM ${EVENTS} WHERE ${OF_PROJECT} AND offset >= {from:UInt64} AND offset < {to:UInt64} ORDER BY offset LIMIT 2 BY offset`,
    { ...parametersOf(place), from, to },
  );
  const differences: RowDifference[] = [];
  let at = 0;
  for (const expected of rows) {
    const offset = Number(expected.offset);
    for (; at < found.length && Number(found[at]!.offset) < offset; at++) differences.push(difference(found[at]!, 'extra'));
    const copies: Row[] = [];
    for (; at < found.length && Number(found[at]!.offset) === offset; at++) copies.push(found[at]!);
    if (copies.length === 0) differences.push(difference(expected, 'missing'));
    if (copies.length > 1) differences.push(difference(expected, 'doubled'));
    for (const copy of copies) differences.push(...changes(expected, copy));
    await pace.next();
  }
  for (; at < found.length; at++) differences.push(difference(found[at]!, 'extra'));
  return differences;
};

const nameOf = ({ offset, what, column }: RowDifference): string => `${offset}/${what}/${column ?? ''}`;

/** T2. */
const compareStretch = async (sources: RowSources, stretch: Stretch): Promise<readonly RowDifference[]> => {
  const first = await look(sources, stretch);
  if (first.length === 0) return first;
  const seen = new Set(first.map(nameOf));
  const second = new Map((await look(sources, stretch)).map((one) => [nameOf(one), one]));
  const reach = await historyReach(sources);
  return [...second.values()].filter((one) => seen.has(nameOf(one)) && one.offset < reach);
};

/** Rows of the project where no record is: beyond the end of the log, or in another partition than its own. */
const strays = async ({ log, analytics, place }: RowSources): Promise<readonly RowDifference[]> => {
  const { end } = await log.range(LIFECYCLE, place.partition);
  const found = await analytics.query<Row>(
    `SELECT partition, offset, type FROM ${EVENTS} WHERE project_id = {project:String} AND topic = {topic:String} AND (partition != {partition:UInt16} OR offset >= {end:UInt64}) ORDER BY partition, offset LIMIT ${STRAYS}`,
    { ...parametersOf(place), end },
  );
  // Written after the end was read.
  const now = (await log.range(LIFECYCLE, place.partition)).end;
  return found
    .filter((row) => Number(row.partition) !== place.partition || Number(row.offset) >= now)
    .map((row) => difference(row, 'extra'));
};

/** Bytes of a record, as far as they matter here. */
const bytesOf = ({ value }: Recorded): number => value.length;

/**
 * Compares what is below `reach`; `from` is the first offset of the partition.
 * @param onRow told of every row that there must be, in order
 * @returns how many rows there must be
 * @throws Fault as `Analytics.query` and the log
 */
export const compareRows = async (
  sources: RowSources,
  { from, reach }: { readonly from: number; readonly reach: number },
  findings: Findings<RowDifference>,
  onRow: (row: EventRow) => void,
): Promise<number> => {
  const { log, place, pace, signal } = sources;
  const fold = openFold(new Map());
  let [count, begin, bytes] = [0, from, 0];
  let rows: EventRow[] = [];
  const close = async (to: number): Promise<void> => {
    if (to > begin) for (const one of await compareStretch(sources, { from: begin, to, rows })) findings.add(one);
    [begin, bytes, rows] = [to, 0, []];
  };
  for await (const records of projectRecords(log, place, { from, until: reach }, signal)) {
    for (const record of records) {
      const row = fold.take(record);
      rows.push(row);
      onRow(row);
      count += 1;
      bytes += bytesOf(record);
      if (rows.length >= MAX_ROWS || bytes >= MAX_BYTES) await close(record.offset + 1);
      await pace.next();
    }
    fold.changed();
  }
  await close(reach);
  for (const one of await strays(sources)) findings.add(one);
  return count;
};
