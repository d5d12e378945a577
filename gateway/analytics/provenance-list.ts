// Executions, newest first, by many conditions.
//
// L1. Pages are places in the order (time, provenance_id): new executions do not shift them. L2. Keys first, by narrow columns and by the sort key
// (project_id, time) where it can be used; the wide columns only of the page, by their keys. L3. Without a project the order is not that of the table: then one
// column says from when on the page can be, before the ids are looked at.
import { z } from 'zod';
import type { Execution, ProvenanceQuery } from '../../schemas/index.js';
import type { Analytics, Parameters, Row } from '../../streams/index.js';
import { refuse } from '../problem.js';
import { textOf, textsOf } from './cells.js';
import { EXECUTION_COLUMNS, executionOf } from './execution.js';
import { textList, timeList, timeText } from './sql-text.js';
import { taintsOf } from './taint.js';

export interface Place {
  /** RFC 3339, milliseconds. */
  readonly time: string;
  readonly id: string;
}

const placeSchema = z.tuple([z.iso.datetime({ offset: false }), z.string().max(256)]);

export const encodePlace = ({ time, id }: Place): string => Buffer.from(JSON.stringify([time, id])).toString('base64url');
/** @throws Fault `invalid_parameter` */
export const decodePlace = (cursor: string): Place => {
  try {
    const [time, id] = placeSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    return { time, id };
  } catch {
    throw refuse(
      'invalid_parameter',
      'the cursor is not one of ours; begin again without it',
      new z.ZodError([{ code: 'custom', path: ['cursor'], message: 'is not one of ours', input: cursor }]),
    );
  }
};

export interface Statement {
  readonly sql: string;
  readonly parameters: Parameters;
}

type Filter = Omit<ProvenanceQuery, 'limit' | 'cursor'>;

/** Executions with an artifact that stands so. */
const withTaint = (how: string): string =>
  `provenance_id IN (SELECT provenance_id FROM dats.artifacts WHERE artifact_id IN (SELECT artifact_id FROM dats.tainted WHERE ${how}))`;

/** By the worst of the artifacts: none of what is worse. */
const TAINT_CONDITIONS = {
  tainted: [withTaint("taint = 'tainted'")],
  suspect: [withTaint("taint = 'suspect'"), `NOT ${withTaint("taint = 'tainted'")}`],
  reverted: [withTaint("taint = 'reverted'"), `NOT ${withTaint("taint IN ('tainted', 'suspect')")}`],
  clean: [`NOT ${withTaint('1')}`],
} as const;

/** Conditions on dats.provenance, the sort key first, and their values. */
const conditionsOf = (filter: Filter): { readonly conditions: string[]; readonly parameters: Parameters } => {
  const { project_id, since, until, task_id, model, prompt_version, node, status, q, taint } = filter;
  const conditions: string[] = [];
  const parameters: Record<string, string> = {};
  const add = (name: string, value: string | undefined, condition: string): void => {
    if (value === undefined) return;
    conditions.push(condition);
    parameters[name] = value;
  };
  add('project', project_id, 'project_id = {project:String}');
  add('since', since === undefined ? undefined : timeText(since), "time >= {since:DateTime64(3, 'UTC')}");
  add('until', until === undefined ? undefined : timeText(until), "time < {until:DateTime64(3, 'UTC')}");
  add('task', task_id, 'task_id = {task:String}');
  add('model', model, 'model = {model:String}');
  add('prompt', prompt_version, 'prompt_version = {prompt:String}');
  add('node', node, 'node = {node:String}');
  add('status', status, 'status = {status:String}');
  add('q', q, 'arrayExists(path -> position(path, {q:String}) > 0, artifact_paths)');
  if (taint !== undefined) conditions.push(...TAINT_CONDITIONS[taint]);
  return { conditions, parameters };
};

const where = (conditions: readonly string[]): string => (conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`);

const AFTER = "(time, provenance_id) < ({after_time:DateTime64(3, 'UTC')}, {after_id:String})";

/** L3: the time at or after which the page and one more lie; no row when there are fewer. Reads no ids. */
export const edgeStatement = (filter: Filter, after: Place | undefined, rows: number): Statement => {
  const { conditions, parameters } = conditionsOf(filter);
  const before = after === undefined ? [] : ["time < {after_time:DateTime64(3, 'UTC')}"];
  return {
    sql: `SELECT time FROM dats.provenance${where([...conditions, ...before])} ORDER BY time DESC LIMIT 1 OFFSET ${rows - 1}`,
    parameters: { ...parameters, ...(after === undefined ? {} : { after_time: timeText(after.time) }) },
  };
};

/** The keys of a page and one more. `edge`: from L3. */
export const keysStatement = (filter: Filter, after: Place | undefined, edge: string | undefined, rows: number): Statement => {
  const { conditions, parameters } = conditionsOf(filter);
  const bounds = [
    ...(edge === undefined ? [] : ["time >= {edge:DateTime64(3, 'UTC')}"]),
    ...(after === undefined ? [] : ["time <= {after_time:DateTime64(3, 'UTC')}", AFTER]),
  ];
  return {
    sql: `SELECT project_id, time, provenance_id FROM dats.provenance${where([...conditions, ...bounds])} ORDER BY time DESC, provenance_id DESC LIMIT ${rows}`,
    parameters: {
      ...parameters,
      ...(edge === undefined ? {} : { edge: timeText(edge) }),
      ...(after === undefined ? {} : { after_time: timeText(after.time), after_id: after.id }),
    },
  };
};

interface Key extends Row {
  readonly project_id: string;
  readonly time: string;
  readonly provenance_id: string;
}

/** L2: the rows of these keys. */
export const rowsStatement = (keys: readonly Key[]): string => {
  const of = (pick: (key: Key) => string): Set<string> => new Set(keys.map(pick));
  return `SELECT ${EXECUTION_COLUMNS} FROM dats.provenance WHERE project_id IN ${textList(of((key) => key.project_id))} AND time IN ${timeList(of((key) => key.time))} AND provenance_id IN ${textList(of((key) => key.provenance_id))}`;
};

export interface ExecutionPage {
  readonly executions: readonly Execution[];
  /** null at the end. */
  readonly next: string | null;
}

/** @throws Fault `invalid_parameter` for a cursor that is none, and as `Analytics.query` */
export const listExecutions = async (analytics: Analytics, query: ProvenanceQuery): Promise<ExecutionPage> => {
  const { limit, cursor, ...filter } = query;
  const after = cursor === undefined ? undefined : decodePlace(cursor);
  const ask = <R extends Row>({ sql, parameters }: Statement) => analytics.query<R>(sql, parameters);
  const ordered = filter.project_id !== undefined || filter.task_id !== undefined;
  const [edge] = ordered ? [] : await ask<{ time: string }>(edgeStatement(filter, after, limit + 1));
  const keys = await ask<Key>(keysStatement(filter, after, edge?.time, limit + 1));
  const shown = keys.slice(0, limit);
  if (shown.length === 0) return { executions: [], next: null };
  const rows = await analytics.query<Row>(rowsStatement(shown));
  const byId = new Map(rows.map((row) => [textOf(row.provenance_id), row]));
  const there = shown.map(({ provenance_id }) => byId.get(provenance_id)).filter((row) => row !== undefined);
  const taints = await taintsOf(
    analytics,
    there.flatMap((row) => textsOf(row.artifact_ids)),
  );
  const last = shown.at(-1)!;
  return {
    executions: there.map((row) => executionOf(row, taints)),
    next: keys.length > limit ? encodePlace({ time: last.time, id: last.provenance_id }) : null,
  };
};
