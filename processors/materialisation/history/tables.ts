// The tables of deploy/clickhouse that are made of `dats.events`, and how each is checked and made anew for some of its rows. A test compares this list with the files.
import { MARK_TYPES } from '../marks.js';
import type { EventRow } from './row.js';

export const EVENTS = 'dats.events';

/** One row or several a record: each says of which. */
export interface RowTable {
  readonly name: string;
  /** How many rows an event makes. */
  readonly rows: (row: EventRow) => number;
  /** Its TTL: rows of older events go at any time. */
  readonly keptDays?: number;
}

/** Counts of many records, in keys that hold topic and partition. */
export interface AggregateTable {
  readonly name: string;
  readonly view: string;
  /** The part of the key that is made anew as a whole, its type, and what it is of an event, in SQL. */
  readonly bucket: string;
  readonly type: string;
  readonly bucketOf: string;
  /** Buckets are spans of time: those of a batch lie close together. */
  readonly ofTime: boolean;
  /** The same in code, as ClickHouse writes it. */
  readonly keyOf: (row: EventRow) => string;
  /** A column that counts, and which events it counts, in SQL. */
  readonly count: string;
  readonly counted: string;
  /** As of a RowTable. */
  readonly keptDays?: number;
}

const lengthOf = (row: EventRow, column: string): number => (row[column] as readonly unknown[] | undefined)?.length ?? 0;
const OUTPUT = 'dats.task.output.created';
const MARKS: ReadonlySet<unknown> = new Set(MARK_TYPES);
const edges = (row: EventRow): number => (row.type === OUTPUT ? lengthOf(row, 'artifact_ids') * lengthOf(row, 'consumed_ids') : 0);

export const ROW_TABLES: readonly RowTable[] = [
  { name: 'dats.provenance', rows: (row) => (row.execution_status === undefined ? 0 : 1) },
  { name: 'dats.artifacts', rows: (row) => (row.type === OUTPUT ? lengthOf(row, 'artifact_ids') : 0) },
  { name: 'dats.artifact_edges', rows: edges },
  { name: 'dats.artifact_edges_up', rows: edges },
  { name: 'dats.artifact_marks', rows: (row) => (MARKS.has(row.type) ? 1 : 0) },
  { name: 'dats.model_calls', rows: (row) => (row.type === 'dats.model.called' ? 1 : 0), keptDays: 90 },
  { name: 'dats.node_samples', rows: (row) => (row.type === 'dats.node.sampled' ? 1 : 0), keptDays: 30 },
];

const minute = (row: EventRow): string => `${String(row.time).slice(0, 16).replace('T', ' ')}:00`;
const day = (row: EventRow): string => String(row.time).slice(0, 10);
const MINUTE = {
  bucket: 'minute',
  type: "DateTime('UTC')",
  bucketOf: "toStartOfMinute(time, 'UTC')",
  ofTime: true,
  keyOf: minute,
} as const;
const DAY = { bucket: 'day', type: 'Date', bucketOf: "toDate(time, 'UTC')", ofTime: true, keyOf: day } as const;
const CALLS = "type = 'dats.model.called'";

export const AGGREGATE_TABLES: readonly AggregateTable[] = [
  { name: 'dats.call_minutes', view: 'call_minutes_mv', ...MINUTE, count: 'calls', counted: CALLS, keptDays: 400 },
  { name: 'dats.execution_minutes', view: 'execution_minutes_mv', ...MINUTE, count: 'executions', counted: "execution_status != ''" },
  {
    name: 'dats.task_costs',
    view: 'task_costs_mv',
    bucket: 'task_id',
    type: 'String',
    bucketOf: 'task_id',
    ofTime: false,
    keyOf: (row) => String(row.task_id ?? ''),
    count: 'calls',
    counted: `${CALLS} AND task_id != ''`,
  },
  { name: 'dats.project_days', view: 'project_days_mv', ...DAY, count: 'events', counted: '1' },
  { name: 'dats.agent_days', view: 'agent_days_mv', ...DAY, count: 'events', counted: '1' },
];
