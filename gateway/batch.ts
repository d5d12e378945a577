// Many submissions at once. Each is answered by itself; what depends on a refused one is refused as well.
//
// N1. Dependencies are appended before what depends on them, BATCH_CHUNK tasks in one atomic append. N2. `depends_on` may name an item of the batch by its
// `ref`, in any order; a circle is refused for each of its members, and named. N3. The event loop is given back between chunks. N4. What keeps one item from
// being taken for reasons that are not its own (the log is away, the project submits too fast) is asked of once, not once an item. Where nothing was taken
// for such a reason, the whole request is answered with it.
import { setImmediate as breathe } from 'node:timers/promises';
import { isFault, newId, type Problem, type SubmitTask, submitTaskSchema, toFault } from '../schemas/index.js';
import type { Requester } from './commands.js';
import { within } from './deadline.js';
import { components, cycleThrough } from './dependency-order.js';
import { fromZod, invalid, isOutage, problemOf, STATUS } from './problem.js';
import type { RateGate } from './rate-limit.js';
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

export interface BatchDeps {
  readonly submissions: Submissions;
  readonly rate: RateGate;
  /** How long each step may wait for the log and the views, milliseconds. */
  readonly stepMs: number;
}

interface Batch extends BatchDeps {
  readonly requester: Requester;
  readonly items: readonly Item[];
  /** What depends on what, by place in `items`. */
  readonly edges: readonly (readonly number[])[];
  /** Project -> the tasks that its items may depend on. */
  readonly present: ReadonlyMap<string, ReadonlySet<string>>;
  /** What keeps all from being taken: the rest is not tried. */
  outage: unknown;
}

const byProject = (items: readonly Item[]): ReadonlyMap<string, Item[]> => {
  const projects = new Map<string, Item[]>();
  for (const item of items) {
    if (item.refusal !== undefined) continue;
    const known = projects.get(item.body.project_id);
    if (known === undefined) projects.set(item.body.project_id, [item]);
    else known.push(item);
  }
  return projects;
};

/** Spends the allowance of each project; what a project may not submit now is refused. @throws Fault `validation_failed` for what it never may. */
const spend = async ({ rate }: BatchDeps, projects: ReadonlyMap<string, Item[]>): Promise<void> => {
  const { limit } = rate;
  if (limit === undefined) return;
  for (const [projectId, { length }] of projects)
    if (length > limit.burst)
      throw invalid([
        {
          path: [],
          message: `the batch holds ${length} tasks of project "${projectId}", which may submit ${limit.burst} at once (gateway.rate_limit.burst of servers.yaml); send it in parts of at most ${limit.burst}`,
        },
      ]);
  await Promise.all(
    [...projects].map(async ([projectId, items]) => {
      try {
        await rate.take(projectId, items.length);
      } catch (error) {
        for (const item of items) item.refusal = error;
      }
    }),
  );
};

/** Each project is asked once for what its items depend on outside the batch. */
const presentIn = async ({ submissions }: BatchDeps, projects: ReadonlyMap<string, Item[]>): Promise<Batch['present']> => {
  const found = await Promise.all(
    [...projects].map(async ([projectId, items]) => {
      const own = new Set(items.map((item) => item.taskId));
      const outside = [...new Set(items.flatMap((item) => item.dependsOn))].filter((id) => !own.has(id));
      const there = outside.length === 0 ? new Set<string>() : await submissions.present(projectId, outside);
      return [projectId, new Set([...own, ...there])] as const;
    }),
  );
  return new Map(found);
};

const prepared = async (batch: Batch, at: number): Promise<Ready | undefined> => {
  const { items, edges, submissions, requester, stepMs } = batch;
  const item = items[at]!;
  for (const on of edges[at]!) if (items[on]!.refusal !== undefined) refuseFor(item, items[on]!);
  item.refusal ??= batch.outage;
  if (item.refusal !== undefined) return undefined;
  const part = { dependsOn: item.dependsOn, present: batch.present.get(item.body.project_id)! };
  try {
    return await within(submissions.prepare(item.body, requester, item.taskId, part), stepMs);
  } catch (error) {
    refuseAll(batch, [item], error);
    return undefined;
  }
};

const refuseAll = (batch: Batch, items: readonly Item[], error: unknown): void => {
  for (const item of items) item.refusal = error;
  // Another project may have its home elsewhere.
  if (isOutage(error) && toFault(error).code !== 'node_cordoned') batch.outage = error;
};

/** Prepares and appends one chunk; items whose dependencies were refused are refused. */
const takeChunk = async (batch: Batch, chunk: readonly number[]): Promise<void> => {
  const taken: { item: Item; ready: Ready }[] = [];
  for (const at of chunk) {
    const ready = await prepared(batch, at);
    if (ready !== undefined) taken.push({ item: batch.items[at]!, ready });
  }
  if (taken.length === 0) return;
  try {
    const accepted = await within(batch.submissions.commit(taken.map(({ ready }) => ready)), batch.stepMs);
    taken.forEach(({ item }, i) => {
      item.accepted = accepted[i]!;
    });
  } catch (error) {
    refuseAll(
      batch,
      taken.map(({ item }) => item),
      error,
    );
  }
};

/** The items in an order in which nothing comes before what it depends on; circles are refused. */
const orderOf = (items: readonly Item[], edges: readonly (readonly number[])[]): readonly number[] => {
  const order: number[] = [];
  for (const component of components(edges)) {
    if (component.length > 1 || edges[component[0]!]!.includes(component[0]!)) refuseCircle(items, edges, component);
    order.push(...component);
  }
  return order;
};

const parse = async (values: readonly unknown[]): Promise<readonly ReturnType<typeof itemOf>[]> => {
  const parsed: ReturnType<typeof itemOf>[] = [];
  for (const [index, value] of values.entries()) {
    parsed.push(itemOf(value, index));
    if (index % BATCH_CHUNK === BATCH_CHUNK - 1) await breathe();
  }
  return parsed;
};

/** @throws Fault where nothing was taken for a reason that is no item's own (N4). */
export const submitBatch = async (deps: BatchDeps, values: readonly unknown[], requester: Requester): Promise<BatchResult[]> => {
  const parsed = await parse(values);
  const items = parsed.filter((item): item is Item => 'body' in item);
  const edges = link(items);
  const order = orderOf(items, edges);
  const present = await within(presentIn(deps, byProject(items)), deps.stepMs);
  await spend(deps, byProject(items));
  const batch: Batch = { ...deps, requester, items, edges, present, outage: undefined };
  for (let start = 0; start < order.length; start += BATCH_CHUNK) {
    await takeChunk(batch, order.slice(start, start + BATCH_CHUNK));
    await breathe();
  }
  const shared = items.some((item) => item.accepted !== undefined) ? undefined : items.find(({ refusal }) => isShared(refusal));
  if (shared !== undefined) throw shared.refusal;
  return parsed.map((item) => resultOf(item, requester.correlationId));
};

const isShared = (refusal: unknown): boolean =>
  refusal !== undefined && (isOutage(refusal) || (isFault(refusal) && refusal.code === 'rate_limited'));

const resultOf = (
  item: { readonly index: number; readonly refusal: unknown; readonly accepted?: Accepted | undefined },
  correlationId: string,
): BatchResult => {
  if (item.accepted !== undefined) return { index: item.index, status: STATUS.accepted, task: item.accepted };
  const { problem } = problemOf(item.refusal, correlationId);
  return { index: item.index, status: problem.status, problem };
};
