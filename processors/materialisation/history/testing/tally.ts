// What the tables count, and what the log says that they must: every table, every sum, every position.
import { LIFECYCLE, TELEMETRY } from '../../../../schemas/index.js';
import type { Analytics, Log, Recorded } from '../../../../streams/index.js';
import { openFold } from '../fold.js';
import type { EventRow } from '../row.js';
import { ROW_TABLES } from '../tables.js';

/** What is counted -> how much, as text: costs to the last digit. */
export type Tally = Readonly<Record<string, string>>;

const AGGREGATES: Readonly<Record<string, readonly string[]>> = {
  call_minutes: ['calls', 'errors', 'input_tokens', 'output_tokens', 'cost_usd'],
  execution_minutes: ['executions', 'artifacts'],
  task_costs: ['calls', 'input_tokens', 'output_tokens', 'cost_usd'],
  project_days: [
    'events',
    'created',
    'completed',
    'failed',
    'cancelled',
    'accepted',
    'rejected',
    'retries',
    'accepted_artifacts',
    'calls',
    'input_tokens',
    'output_tokens',
    'cost_usd',
  ],
  agent_days: ['events', 'calls', 'errors', 'output_tokens', 'cost_usd'],
};

/** @throws Fault as `query` */
export const tallyOf = async (store: Analytics): Promise<Tally> => {
  const tally: Record<string, string> = {};
  const places = await store.query<{ place: string; n: string }>(
    "SELECT concat(topic, '/', toString(partition)) AS place, concat(toString(count()), ' ', toString(uniqExact(offset)), ' ', toString(sum(offset)), ' ', toString(uniqExact(id))) AS n FROM dats.events GROUP BY place",
  );
  for (const { place, n } of places) tally[`events ${place}`] = n;
  for (const { name } of ROW_TABLES) {
    const [row] = await store.query<{ n: string }>(`SELECT toString(count()) AS n FROM ${name}`);
    tally[name] = row!.n;
  }
  for (const [table, columns] of Object.entries(AGGREGATES)) {
    const [row] = await store.query<Record<string, string>>(
      `SELECT ${columns.map((column) => `toString(sum(t.${column})) AS ${column}`).join(', ')} FROM dats.${table} AS t`,
    );
    for (const column of columns) tally[`${table}.${column}`] = row![column]!;
  }
  return tally;
};

/** Every record of the topics that are history, each partition in order. */
export const recordsOf = async (log: Log): Promise<readonly (readonly Recorded[])[]> => {
  const partitions: (readonly Recorded[])[] = [];
  for (const topic of [LIFECYCLE, TELEMETRY] as const) {
    for (let partition = 0; partition < log.partitions(topic); partition++) {
      const { first, end } = await log.range(topic, partition);
      const records: Recorded[] = [];
      if (first < end)
        for await (const some of log.read({ topic, partition, offset: first }, new AbortController().signal, { until: end }))
          records.push(...some);
      partitions.push(records);
    }
  }
  return partitions;
};

const nanosOf = (row: EventRow): bigint => BigInt(String(row.cost_usd ?? '0').replace('.', '') || '0');
/** As `toString` of a Decimal writes it. */
const dollars = (nanos: bigint): string => {
  const digits = String(nanos).padStart(10, '0');
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`.replace(/\.?0+$/, '') || '0';
};

/** The tally that the tables must have. */
export const tallyOfLog = async (log: Log): Promise<Tally> => {
  const tally: Record<string, string> = {};
  const rows: EventRow[] = [];
  for (const records of await recordsOf(log)) {
    if (records.length === 0) continue;
    const fold = openFold(new Map());
    const { topic, partition } = records[0]!;
    const ids = new Set(records.map(({ headers }) => headers.id ?? ''));
    tally[`events ${topic}/${partition}`] =
      `${records.length} ${records.length} ${records.reduce((sum, { offset }) => sum + offset, 0)} ${ids.size}`;
    for (const record of records) rows.push(fold.take(record));
  }
  const count = (of: (row: EventRow) => boolean): string => String(rows.filter(of).length);
  const sum = (of: (row: EventRow) => unknown): string => String(rows.reduce((total, row) => total + Number(of(row) ?? 0), 0));
  const is = (type: string) => (row: EventRow) => row.type === type;
  const called = is('dats.model.called');
  const ended = (row: EventRow): boolean => row.execution_status !== undefined;
  const cost = dollars(rows.filter(called).reduce((total, row) => total + nanosOf(row), 0n));
  const tokens = (column: string): string => sum((row) => (called(row) ? row[column] : 0));
  const badCall = (row: EventRow): boolean => called(row) && row.outcome !== 'ok';
  const artifacts = (row: EventRow): number => (row.artifact_ids as readonly unknown[] | undefined)?.length ?? 0;
  for (const { name, rows: made } of ROW_TABLES) tally[name] = sum(made);
  Object.assign(tally, {
    'call_minutes.calls': count(called),
    'call_minutes.errors': count(badCall),
    'call_minutes.input_tokens': tokens('input_tokens'),
    'call_minutes.output_tokens': tokens('output_tokens'),
    'call_minutes.cost_usd': cost,
    'execution_minutes.executions': count(ended),
    'execution_minutes.artifacts': sum((row) => (ended(row) ? artifacts(row) : 0)),
    'task_costs.calls': count((row) => called(row) && row.task_id !== undefined),
    'task_costs.input_tokens': sum((row) => (called(row) && row.task_id !== undefined ? row.input_tokens : 0)),
    'task_costs.output_tokens': sum((row) => (called(row) && row.task_id !== undefined ? row.output_tokens : 0)),
    'task_costs.cost_usd': dollars(
      rows.filter((row) => called(row) && row.task_id !== undefined).reduce((total, row) => total + nanosOf(row), 0n),
    ),
    'project_days.events': String(rows.length),
    'project_days.created': count(is('dats.task.created')),
    'project_days.completed': count(is('dats.task.completed')),
    'project_days.failed': count(is('dats.task.failed')),
    'project_days.cancelled': count(is('dats.task.cancelled')),
    'project_days.accepted': count((row) => row.execution_status === 'accepted'),
    'project_days.rejected': count((row) => row.execution_status === 'rejected'),
    'project_days.retries': count(is('dats.task.retry.scheduled')),
    'project_days.accepted_artifacts': sum((row) => (row.execution_status === 'accepted' ? artifacts(row) : 0)),
    'project_days.calls': count(called),
    'project_days.input_tokens': tokens('input_tokens'),
    'project_days.output_tokens': tokens('output_tokens'),
    'project_days.cost_usd': cost,
    'agent_days.events': String(rows.length),
    'agent_days.calls': count(called),
    'agent_days.errors': count((row) => badCall(row) || row.type === 'dats.task.attempt.failed'),
    'agent_days.output_tokens': tokens('output_tokens'),
    'agent_days.cost_usd': cost,
  });
  return tally;
};

/** Without what is not kept for ever. */
export const lasting = (tally: Tally): Tally =>
  Object.fromEntries(Object.entries(tally).filter(([name]) => !/^(dats\.model_calls|dats\.node_samples|call_minutes\..*)$/.test(name)));

/** Every row of every table, in full order, states of sketches as their results. */
export const everything = async (store: Analytics): Promise<Readonly<Record<string, string>>> => {
  const all: Record<string, string> = {};
  const columns = await store.query<{ table: string; name: string; type: string }>(
    "SELECT table, name, type FROM system.columns WHERE database = 'dats' AND table IN (SELECT name FROM system.tables WHERE database = 'dats' AND engine LIKE '%MergeTree') AND table NOT IN ('migrations', 'generation') ORDER BY table, position",
  );
  for (const table of new Set(columns.map((column) => column.table))) {
    const shown = columns
      .filter((column) => column.table === table)
      .map(({ name, type }) =>
        type.startsWith('AggregateFunction') ? `finalizeAggregation(t.${name}) AS ${name}` : `t.${name} AS ${name}`,
      );
    const final = shown.some((column) => column.startsWith('finalize')) || table === 'task_costs' ? 'FINAL' : '';
    const rows = await store.query(`SELECT ${shown.join(', ')} FROM dats.${table} AS t ${final} ORDER BY ALL`);
    all[table] = rows.map((row) => JSON.stringify(row)).join('\n');
  }
  return all;
};
