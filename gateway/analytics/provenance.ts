// The whole record of one execution: its row, and what other tables know about its artifacts, inputs and calls.
import type { Provenance } from '../../schemas/index.js';
import type { Analytics, Row } from '../../streams/index.js';
import { refuse } from '../problem.js';
import type { Sources } from '../reads.js';
import { numberOf, textsOf } from './cells.js';
import { choiceOf } from './choice.js';
import { RECORD_COLUMNS, recordOf } from './execution.js';
import { type Found, resolve } from './resolve.js';
import { textList, timeText } from './sql-text.js';
import { taintsOf } from './taint.js';

/** By the sort key; an execution ends after its artifacts were made. */
const ROW = `
SELECT ${RECORD_COLUMNS} FROM dats.provenance
WHERE project_id = {project:String} AND time >= {time:DateTime64(3, 'UTC')} AND provenance_id = {provenance:String}
ORDER BY time LIMIT 1`;

const COST = `
SELECT sum(calls) AS calls, sum(cost_usd) AS cost FROM dats.task_costs
WHERE project_id = {project:String} AND task_id = {task:String} AND attempt = {attempt:UInt16}`;

const PRICED = `
SELECT countIf(price_version NOT IN ('', 'none')) AS priced FROM dats.model_calls
WHERE project_id = {project:String} AND task_id = {task:String} AND attempt = {attempt:UInt16}`;

/** USD; null where no call is recorded, or calls cost nothing because nobody said what they cost. */
const costOf = async (analytics: Analytics, { project_id, task_id, attempt }: Found): Promise<number | null> => {
  const parameters = { project: project_id, task: task_id, attempt };
  const [row] = await analytics.query<Row>(COST, parameters);
  if (numberOf(row?.calls) === 0) return null;
  const cost = numberOf(row?.cost);
  if (cost > 0) return cost;
  const [priced] = await analytics.query<Row>(PRICED, parameters);
  return numberOf(priced?.priced) > 0 ? cost : null;
};

export const pathsOf = async (analytics: Analytics, ids: readonly string[]): Promise<ReadonlyMap<string, string>> => {
  if (ids.length === 0) return new Map();
  const rows = await analytics.query<{ id: string; path: string }>(
    `SELECT artifact_id AS id, any(path) AS path FROM dats.artifacts WHERE artifact_id IN ${textList(ids)} GROUP BY artifact_id`,
  );
  return new Map(rows.map(({ id, path }) => [id, path]));
};

/** @param id of an execution, an artifact or a task. @throws Fault `provenance_not_found`, `provenance_pending`, and as `Analytics.query` */
export const provenanceOf = async (analytics: Analytics, sources: Sources, id: string): Promise<Provenance> => {
  const found = await resolve(analytics, sources, id);
  const { project_id, provenance_id, time } = found;
  const [row] = await analytics.query<Row>(ROW, { project: project_id, time: timeText(time), provenance: provenance_id });
  if (row === undefined)
    throw refuse(
      'provenance_pending',
      `"${id}" is of attempt ${found.attempt} of task "${found.task_id}", which has no verdict yet; try again when it has`,
    );
  const [taints, paths, costUsd, choice] = await Promise.all([
    taintsOf(analytics, textsOf(row.artifact_ids)),
    pathsOf(analytics, textsOf(row.consumed_ids)),
    costOf(analytics, found),
    choiceOf(analytics, sources, found),
  ]);
  return recordOf(row, { taints, paths, costUsd, choice });
};
