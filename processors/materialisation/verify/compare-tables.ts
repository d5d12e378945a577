// The tables that are made of the events: how many rows each must have of a project, and how many it has.
//
// B1. Expected is what the rows make (tables.ts), as the fold of the log has them, never what `dats.events` holds. B2. A count is taken again while it is not right: what history
// brings meanwhile shows in one table sooner than in another. Where it does not come to rest, it is said that it was not compared.
import { LIFECYCLE, type TableCount } from '../../../schemas/index.js';
import { type Analytics, pause } from '../../../streams/index.js';
import type { EventRow } from '../history/row.js';
import { AGGREGATE_TABLES, EVENTS, ROW_TABLES } from '../history/tables.js';
import { historyReach, type RowSources } from './compare-rows.js';

/** Looks at a count that is not right, and what is waited between them, in milliseconds. */
const LOOKS = 4;
const REST_MS = 250;

/** Tables with rows of lifecycle events: those of telemetry are kept for a while only. */
const LASTING = ROW_TABLES.filter(({ keptDays }) => keptDays === undefined);
/** Tables that count lifecycle events by project: each with what counts a row. */
const COUNTED: Readonly<Record<string, (row: EventRow) => boolean>> = {
  'dats.project_days': () => true,
  'dats.execution_minutes': (row) => row.execution_status !== undefined,
};
const AGGREGATES = AGGREGATE_TABLES.filter(({ name }) => name in COUNTED);

export const NOT_COMPARED: readonly string[] = [
  'telemetry of the project (dats.model_calls, dats.call_minutes, dats.task_costs): the log keeps it for days only',
  'dats.agent_days: it does not say of which project',
];

const OF_PROJECT = 'project_id = {project:String} AND topic = {topic:String} AND partition = {partition:UInt16}';

export interface TableTally {
  take(row: EventRow): void;
  /** How many rows of each table there must be. */
  expected(name: string): number;
}

export const openTally = (): TableTally => {
  const sums = new Map<string, number>();
  const add = (name: string, n: number): void => void sums.set(name, (sums.get(name) ?? 0) + n);
  return {
    take: (row) => {
      for (const { name, rows } of LASTING) add(name, rows(row));
      for (const { name } of AGGREGATES) add(name, COUNTED[name]!(row) ? 1 : 0);
    },
    expected: (name) => sums.get(name) ?? 0,
  };
};

const numberIn = async (analytics: Analytics, sql: string, parameters: Readonly<Record<string, string | number>>): Promise<number> => {
  const [row] = await analytics.query<{ n: number }>(sql, parameters);
  return Number(row?.n ?? 0);
};

/** Undefined: it changed while it was counted. */
type Count = () => Promise<number | undefined>;

/** The counts of a table, by how it keeps them. */
const countsOf = ({ analytics, place }: RowSources, reach: number): ReadonlyMap<string, Count> => {
  const parameters = { project: place.projectId, topic: LIFECYCLE, partition: place.partition, reach };
  const counts = new Map<string, Count>();
  for (const { name } of LASTING)
    counts.set(name, () =>
      numberIn(analytics, `SELECT count() AS n FROM ${name} WHERE ${OF_PROJECT} AND offset < {reach:UInt64}`, parameters),
    );
  for (const { name, count, counted } of AGGREGATES) {
    // It does not say of which offsets its sums are: what history has beyond is taken off.
    const beyond = () =>
      numberIn(
        analytics,
        `SELECT count() AS n FROM ${EVENTS} WHERE ${OF_PROJECT} AND offset >= {reach:UInt64} AND (${counted})`,
        parameters,
      );
    counts.set(name, async () => {
      const before = await beyond();
      const sum = await numberIn(analytics, `SELECT sum(${count}) AS n FROM ${name} WHERE ${OF_PROJECT}`, parameters);
      return before === (await beyond()) ? sum - before : undefined;
    });
  }
  return counts;
};

export interface ComparedTables {
  readonly tables: readonly TableCount[];
  readonly notCompared: readonly string[];
}

/** @param reach everything below is in, and in the tally. @throws Fault as `Analytics.query` */
export const compareTables = async (sources: RowSources, reach: number, tally: TableTally): Promise<ComparedTables> => {
  const tables: TableCount[] = [];
  const notCompared: string[] = [...NOT_COMPARED];
  for (const [table, count] of countsOf(sources, reach)) {
    const expected = tally.expected(table);
    let found = await count();
    for (let look = 1; found !== expected && look < LOOKS; look++) {
      await pause(REST_MS, sources.signal);
      sources.signal.throwIfAborted();
      found = await count();
    }
    const whole = found === expected || (await historyReach(sources)) >= reach;
    if (found !== undefined && whole) tables.push({ table, expected, found });
    else notCompared.push(`${table}: it changed while it was counted`);
  }
  return { tables, notCompared };
};
