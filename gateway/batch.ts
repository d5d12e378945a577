// Many submissions at once. Each is answered by itself; what depends on a refused one is refused as well.
//
// N1. Dependencies are appended before what depends on them, BATCH_CHUNK tasks in one atomic append. N2. `depends_on` may name an item of the batch by its
// `ref`, in any order; a circle is refused for each of its members, and named. N3. The event loop is given back between chunks.
import { setImmediate as breathe } from 'node:timers/promises';
import { newId, type Problem, type SubmitTask, submitTaskSchema } from '../schemas/index.js';
import type { Requester } from './commands.js';
import { components, cycleThrough } from './dependency-order.js';
import { fromZod, invalid, problemOf, STATUS } from './problem.js';
import type { Accepted, Ready, Submissions } from './submissions.js';

/** Tasks in one append. */
export const BATCH_CHUNK = 256;
/** Items of a circle that a problem names. */
const NAMED_LIMIT = 20;

export interface BatchResult {
  index: number;
  /** HTTP status that the item would have had by itself. */
  status: number;
  task?: Accepted;
  problem?: Problem;
}

interface Item {
  readonly index: number;
  readonly taskId: string;
  readonly body: SubmitTask;
  dependsOn: readonly string[];
  refusal: unknown;
  accepted: Accepted | undefined;
}

const itemOf = (value: unknown, index: number): Item | { readonly index: number; readonly refusal: unknown } => {
  const parsed = submitTaskSchema.safeParse(value);
  return parsed.success
    ? { index, taskId: newId(), body: parsed.data, dependsOn: parsed.data.depends_on, refusal: undefined, accepted: undefined }
    : { index, refusal: fromZod(parsed.error) };
};

const nameOf = (item: Item): string => item.body.ref ?? `item ${item.index}`;

/** Fills in task ids for refs; refuses refs used twice. @returns what depends on what, by place in `items`. */
const link = (items: readonly Item[]): number[][] => {
  const byRef = new Map<string, number>();
  items.forEach((item, at) => {
    const { ref } = item.body;
    if (ref === undefined) return;
    if (byRef.has(ref))
      item.refusal = invalid([{ path: ['ref'], message: `"${ref}" names item ${items[byRef.get(ref)!]!.index} already` }]);
    else byRef.set(ref, at);
  });
  return items.map((item) => {
    const edges: number[] = [];
    item.dependsOn = item.dependsOn.map((name, i) => {
      const at = byRef.get(name);
      if (at === undefined) return name;
      const other = items[at]!;
      if (other.body.project_id !== item.body.project_id)
        item.refusal ??= invalid([{ path: ['depends_on', i], message: `"${name}" is of another project, "${other.body.project_id}"` }]);
      edges.push(at);
      return other.taskId;
    });
    return edges;
  });
};

const refuseCircle = (items: readonly Item[], edges: readonly (readonly number[])[], component: readonly number[]) => {
  const way = cycleThrough(edges, component).map((at) => nameOf(items[at]!));
  const shown = way.length > NAMED_LIMIT ? [...way.slice(0, NAMED_LIMIT), '...', way[0]!] : way;
  const message = `circular depends_on: ${shown.join(' -> ')}`;
  for (const at of component) items[at]!.refusal = invalid([{ path: ['depends_on'], message }]);
};

const refuseFor = (item: Item, dependency: Item) => {
  item.refusal ??= invalid([{ path: ['depends_on'], message: `depends on ${nameOf(dependency)}, which was not taken` }]);
};

/** Prepares and appends one chunk; items whose dependencies were refused are refused. */
const takeChunk = async (
  submissions: Submissions,
  requester: Requester,
  items: readonly Item[],
  edges: readonly (readonly number[])[],
  chunk: readonly number[],
  siblings: ReadonlySet<string>,
) => {
  const taken: { item: Item; ready: Ready }[] = [];
  for (const at of chunk) {
    const item = items[at]!;
    for (const on of edges[at]!) if (items[on]!.refusal !== undefined) refuseFor(item, items[on]!);
    if (item.refusal !== undefined) continue;
    try {
      taken.push({ item, ready: await submissions.prepare(item.body, requester, item.taskId, { dependsOn: item.dependsOn, siblings }) });
    } catch (error) {
      item.refusal = error;
    }
  }
  if (taken.length === 0) return;
  try {
    const accepted = await submissions.commit(taken.map(({ ready }) => ready));
    taken.forEach(({ item }, i) => {
      item.accepted = accepted[i]!;
    });
  } catch (error) {
    for (const { item } of taken) item.refusal = error;
  }
};

export const submitBatch = async (submissions: Submissions, values: readonly unknown[], requester: Requester): Promise<BatchResult[]> => {
  const parsed: ReturnType<typeof itemOf>[] = [];
  for (const [index, value] of values.entries()) {
    parsed.push(itemOf(value, index));
    if (index % BATCH_CHUNK === BATCH_CHUNK - 1) await breathe();
  }
  const items = parsed.filter((item): item is Item => 'body' in item);
  const edges = link(items);
  const order: number[] = [];
  for (const component of components(edges)) {
    if (component.length > 1 || edges[component[0]!]!.includes(component[0]!)) refuseCircle(items, edges, component);
    order.push(...component);
  }
  const siblings = new Set(items.map((item) => item.taskId));
  for (let start = 0; start < order.length; start += BATCH_CHUNK) {
    await takeChunk(submissions, requester, items, edges, order.slice(start, start + BATCH_CHUNK), siblings);
    await breathe();
  }
  return parsed.map((item) => resultOf(item, requester.correlationId));
};

const resultOf = (
  item: { readonly index: number; readonly refusal: unknown; readonly accepted?: Accepted | undefined },
  correlationId: string,
): BatchResult => {
  if (item.accepted !== undefined) return { index: item.index, status: STATUS.accepted, task: item.accepted };
  const { problem } = problemOf(item.refusal, correlationId);
  return { index: item.index, status: problem.status, problem };
};
