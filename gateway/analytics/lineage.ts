// What artifacts were made from, or what was made from them: breadth first over the edges, a level at a time.
//
// N1. Every artifact once, at its smallest depth; a cycle ends where it comes back. N2. At most LINEAGE_NODES_LIMIT artifacts and EDGES_LIMIT edges: then `truncated`.
// N3. An artifact that is consumed but not recorded is a node without a task. N4. The order depends on ids only: the same tables give the same answer.
import { LINEAGE_NODES_LIMIT, type Lineage, type LineageDirection, type LineageNode } from '../../schemas/index.js';
import type { Analytics, Row } from '../../streams/index.js';
import { refuse } from '../problem.js';
import type { Sources } from '../reads.js';
import { numberOf, textOf, textOrNull, textsOf } from './cells.js';
import { statusOf } from './execution.js';
import { resolve } from './resolve.js';
import { textList, timeText } from './sql-text.js';
import { taintsOf } from './taint.js';

export const EDGES_LIMIT = 50_000;
/** Ids in one question. */
const BATCH = 1_000;

export type Edge = { readonly source: string; readonly target: string; readonly kind: string };
/** The edges at some artifacts, at most `limit`, in the order of their ids. */
export type EdgesAt = (ids: readonly string[], limit: number) => Promise<readonly Edge[]>;

export interface Walk {
  /** Artifact id -> steps from the roots, in the order in which they were found. */
  readonly depths: ReadonlyMap<string, number>;
  readonly edges: readonly Edge[];
  readonly truncated: boolean;
}

const batchesOf = (ids: readonly string[]): readonly (readonly string[])[] =>
  Array.from({ length: Math.ceil(ids.length / BATCH) }, (_, i) => ids.slice(i * BATCH, (i + 1) * BATCH));

export interface WalkLimits {
  readonly depth: number;
  readonly nodes: number;
  readonly edges: number;
}

/** N1, N2. */
export const walk = async (roots: readonly string[], edgesAt: EdgesAt, direction: LineageDirection, limits: WalkLimits): Promise<Walk> => {
  const depths = new Map<string, number>(roots.slice(0, limits.nodes).map((id) => [id, 0]));
  const edges: Edge[] = [];
  let truncated = depths.size < new Set(roots).size;
  let level = [...depths.keys()];
  for (let depth = 1; depth <= limits.depth && level.length > 0; depth++) {
    const next: string[] = [];
    for (const batch of batchesOf(level)) {
      const room = limits.edges - edges.length;
      const found = await edgesAt(batch, room + 1);
      if (found.length > room) truncated = true;
      for (const edge of found.slice(0, room)) {
        const far = direction === 'up' ? edge.source : edge.target;
        if (!depths.has(far)) {
          if (depths.size >= limits.nodes) {
            truncated = true;
            continue;
          }
          depths.set(far, depth);
          next.push(far);
        }
        edges.push(edge);
      }
    }
    level = next;
  }
  return { depths, edges, truncated };
};

/** Each table is sorted by the end that is asked for. */
const TABLES = {
  up: { table: 'dats.artifact_edges_up', near: 'target_id' },
  down: { table: 'dats.artifact_edges', near: 'source_id' },
} as const;

const edgesIn =
  (analytics: Analytics, direction: LineageDirection): EdgesAt =>
  (ids, limit) => {
    const { table, near } = TABLES[direction];
    return analytics.query<Edge>(
      `SELECT source_id AS source, target_id AS target, any(kind) AS kind FROM ${table} WHERE ${near} IN ${textList(ids)} GROUP BY source_id, target_id ORDER BY source_id, target_id LIMIT ${limit}`,
    );
  };

const ROOTS = `
SELECT artifact_ids FROM dats.provenance
WHERE project_id = {project:String} AND time = {time:DateTime64(3, 'UTC')} AND provenance_id = {provenance:String} LIMIT 1`;

/** The artifact itself, or those of the execution. */
const rootsOf = async (analytics: Analytics, sources: Sources, id: string): Promise<readonly string[]> => {
  const found = await resolve(analytics, sources, id);
  if (found.kind === 'artifact') return [id];
  const { project_id, time, provenance_id, task_id, attempt, status } = found;
  const [row] = await analytics.query<Row>(ROOTS, { project: project_id, time: timeText(time), provenance: provenance_id });
  const roots = textsOf(row?.artifact_ids);
  if (roots.length === 0)
    throw refuse(
      'provenance_not_found',
      `attempt ${attempt} of task "${task_id}" (${status}) made no artifacts, so there is no lineage of it`,
    );
  return roots;
};

type Made = {
  readonly artifact_id: string;
  readonly path: string;
  readonly task_id: string;
  readonly project_id: string;
  readonly provenance_id: string;
  readonly attempt: number;
  readonly model: string;
  readonly time: string;
};

const madeOf = async (analytics: Analytics, ids: readonly string[]): Promise<ReadonlyMap<string, Made>> => {
  const found = new Map<string, Made>();
  for (const batch of batchesOf(ids)) {
    const rows = await analytics.query<Made>(
      `SELECT artifact_id, path, task_id, project_id, provenance_id, attempt, model, time FROM dats.artifacts WHERE artifact_id IN ${textList(batch)} ORDER BY artifact_id, offset`,
    );
    for (const row of rows) found.set(row.artifact_id, row);
  }
  return found;
};

/** Execution id -> what became of it. An execution ends after its artifacts were made. */
const statusesOf = async (analytics: Analytics, made: readonly Made[]): Promise<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>();
  const byExecution = [...new Map(made.map((one) => [one.provenance_id, one])).values()];
  for (let start = 0; start < byExecution.length; start += BATCH) {
    const batch = byExecution.slice(start, start + BATCH);
    const since = batch.map(({ time }) => time).sort()[0]!;
    const rows = await analytics.query<Row>(
      `SELECT provenance_id, status FROM dats.provenance WHERE project_id IN ${textList(new Set(batch.map(({ project_id }) => project_id)))} AND time >= {since:DateTime64(3, 'UTC')} AND provenance_id IN ${textList(batch.map(({ provenance_id }) => provenance_id))}`,
      { since: timeText(since) },
    );
    for (const row of rows) found.set(textOf(row.provenance_id), textOf(row.status));
  }
  return found;
};

/** @throws Fault `provenance_not_found`, `provenance_pending`, and as `Analytics.query` */
export const lineageOf = async (
  analytics: Analytics,
  sources: Sources,
  id: string,
  { direction, depth }: { readonly direction: LineageDirection; readonly depth: number },
): Promise<Lineage> => {
  const roots = await rootsOf(analytics, sources, id);
  const limits = { depth, nodes: LINEAGE_NODES_LIMIT, edges: EDGES_LIMIT };
  const { depths, edges, truncated } = await walk(roots, edgesIn(analytics, direction), direction, limits);
  const ids = [...depths.keys()];
  const [made, taints] = await Promise.all([madeOf(analytics, ids), taintsOf(analytics, ids)]);
  const statuses = await statusesOf(analytics, [...made.values()]);
  const nodes = ids.map((artifact_id): LineageNode => {
    const one = made.get(artifact_id);
    return {
      artifact_id,
      depth: depths.get(artifact_id)!,
      path: textOrNull(one?.path),
      task_id: textOrNull(one?.task_id),
      project_id: textOrNull(one?.project_id),
      provenance_id: textOrNull(one?.provenance_id),
      attempt: one === undefined ? null : numberOf(one.attempt),
      model: textOrNull(one?.model),
      status: one === undefined ? null : statusOf(statuses.get(one.provenance_id) ?? ''),
      taint: taints.get(artifact_id) ?? 'clean',
    };
  });
  return { id, direction, depth, roots: [...roots], nodes, edges: [...edges], truncated };
};
