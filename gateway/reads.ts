// Reading what is true now: the view, and what stands in the log after it.
//
// Q1. A task that was acknowledged is found by the next read, in every process: the views may be some milliseconds behind, so what they have not taken
// in yet is folded here, on the fly, with what its subtasks made. Q2. So a submission writes the log only. Q3. Lists and counts wait for the views instead, but not for long, and say how
// far behind they are, and so does what is found out about an ended task later: how it stands is as new as the views. Q4. A partition is asked once a request, and all of them at once. Q5. What cannot be told is not guessed: while the views are
// too far behind (they are being rebuilt, say), what is not found, or may have changed since, is `views_behind`, never "there is none".
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ArtifactDoc,
  type FamilyFold,
  MARK_TYPES,
  openFamilyFold,
  shownArtifact,
  shownTask,
  type TaskDoc,
  VIEW,
} from '../processors/index.js';
import { type ArtifactView, type Fault, LIFECYCLE, partitionOf, type TaskView, timeoutSignal } from '../schemas/index.js';
import { readableEventOf } from '../streams/index.js';
import type { GatewayDeps } from './deps.js';
import { forwardedTask } from './link/forwarded.js';
import { homeElsewhere, whereIs } from './link/to-home.js';
import { refuse } from './problem.js';

export interface Sources extends Pick<GatewayDeps, 'log' | 'views'> {
  readonly limits?: Partial<ReadLimits>;
}

export interface ReadLimits {
  /** Records that a read folds in a partition, at most. */
  readonly tailRecords: number;
  /** How long a read waits until the views are that near, milliseconds. */
  readonly nearMs: number;
  /** How long the fold may take, milliseconds. */
  readonly foldMs: number;
  /** How long a list or a miss waits for the views to have everything, milliseconds. */
  readonly catchUpMs: number;
}
const LIMITS: ReadLimits = { tailRecords: 20_000, nearMs: 3_000, foldMs: 6_000, catchUpMs: 500 };
/** Between two looks at the views: the first and the longest, milliseconds. */
const LOOK_MS = { first: 2, longest: 50 } as const;

export const isFinal = (view: TaskView): boolean => view.status === 'completed' || view.status === 'failed' || view.status === 'cancelled';

const viewsBehind = (records: number): Fault =>
  refuse(
    'views_behind',
    `the views are ${records} records behind the log (they are being rebuilt, perhaps), so this cannot be told yet; try again in some seconds`,
  );

/** Where a partition stood: everything below `checkpoint` was in the views, everything acknowledged was below `end`. */
interface Stand {
  readonly partition: number;
  readonly checkpoint: number;
  readonly first: number;
  readonly end: number;
}

/** Where the views go on. What retention removed is in no view and never will be. */
const takenOf = ({ checkpoint, first }: Stand): number => Math.max(checkpoint, first);
const behindOf = (stand: Stand): number => Math.max(0, stand.end - takenOf(stand));

const partitionsOf = ({ log }: Sources, projectId: string | undefined): number[] => {
  const count = log.partitions(LIFECYCLE);
  return projectId === undefined ? Array.from({ length: count }, (_, partition) => partition) : [partitionOf(projectId, count)];
};

const standsOf = ({ log, views }: Sources, partitions: readonly number[]): Promise<Stand[]> =>
  Promise.all(
    partitions.map(async (partition) => {
      const [checkpoint, { first, end }] = await Promise.all([views.checkpoint(VIEW, partition), log.range(LIFECYCLE, partition)]);
      return { partition, checkpoint, first, end };
    }),
  );

/** Looks at the views until each is at most `within` records behind where the log ended then, or `waitMs` are over. @returns where they are. */
const untilNear = async ({ views }: Sources, stands: readonly Stand[], within: number, waitMs: number): Promise<readonly Stand[]> => {
  let seen = stands;
  const deadline = performance.now() + waitMs;
  for (let look: number = LOOK_MS.first; seen.some((stand) => behindOf(stand) > within); look = Math.min(2 * look, LOOK_MS.longest)) {
    if (performance.now() >= deadline) break;
    await sleep(look);
    seen = await Promise.all(
      seen.map(async (stand) =>
        behindOf(stand) > within ? { ...stand, checkpoint: await views.checkpoint(VIEW, stand.partition) } : stand,
      ),
    );
  }
  return seen;
};

const mostBehind = (stands: readonly Stand[]): number => Math.max(0, ...stands.map(behindOf));

/**
 * What is nowhere is told only by a store that has (nearly) everything, and still had it when it was asked for the documents: it may have been emptied.
 * @throws Fault `views_behind`.
 */
const checkMiss = async ({ views }: Sources, stands: readonly Stand[], allowed: number): Promise<void> => {
  if (mostBehind(stands) > allowed) throw viewsBehind(mostBehind(stands));
  const now = await Promise.all(stands.map(async (stand) => ({ ...stand, checkpoint: await views.checkpoint(VIEW, stand.partition) })));
  if (now.some((stand, i) => stand.checkpoint < stands[i]!.checkpoint)) throw viewsBehind(mostBehind(now));
};

/** The task as of now; undefined when there is none. `projectId`, where it is known, spares the other partitions. @throws Fault `views_behind`. */
export const findTask = async (sources: Sources, id: string, projectId?: string): Promise<TaskView | undefined> =>
  (await findTasks(sources, [id], projectId)).get(id);

/** Those of the tasks that there are, as of now. Of `projectId`, where it is given, or of any project. @throws Fault `views_behind`. */
export const findTasks = async (sources: Sources, ids: readonly string[], projectId?: string): Promise<ReadonlyMap<string, TaskView>> =>
  new Map([...(await findDocs(sources, ids, projectId))].map(([id, doc]) => [id, shownTask(doc)]));

const findDocs = async (sources: Sources, ids: readonly string[], projectId?: string): Promise<Map<string, TaskDoc>> => {
  const { tailRecords, nearMs } = { ...LIMITS, ...sources.limits };
  const found = await storedIn<TaskDoc>(sources, 'task', ids);
  const open = ids.filter((id) => !isSettled(found.get(id)));
  if (open.length === 0) return found;
  const stands = await untilNear(sources, await standsOf(sources, partitionsFor(sources, open, found, projectId)), tailRecords, nearMs);
  // Asked for after the checkpoints, so that it holds all that is below them.
  for (const [id, view] of await storedIn<TaskDoc>(sources, 'task', open)) found.set(id, view);
  const far = stands.filter((stand) => behindOf(stand) > tailRecords);
  const count = sources.log.partitions(LIFECYCLE);
  const changed = (view: TaskView | undefined): boolean =>
    view !== undefined && !isFinal(view) && far.some(({ partition }) => partition === partitionOf(view.project_id, count));
  if (open.some((id) => changed(found.get(id)))) throw viewsBehind(mostBehind(far));
  const family = await withSubtasks(sources, found, open);
  const fold = openFamilyFold(family, new Set(open));
  await Promise.all(stands.map((stand) => foldTail(sources, stand, fold)));
  for (const id of open) if (family.has(id)) found.set(id, family.get(id)!);
  if (!open.every((id) => found.has(id))) await checkMiss(sources, stands, tailRecords);
  return found;
};

const isSettled = (view: TaskView | undefined): boolean => view !== undefined && isFinal(view);

const storedIn = async <T>({ views }: Sources, collection: string, ids: readonly string[]): Promise<Map<string, T>> => {
  const found = new Map<string, T>();
  const stored = await Promise.all(ids.map((id) => views.get<T>(collection, id)));
  stored.forEach((view, i) => {
    if (view !== undefined) found.set(ids[i]!, view);
  });
  return found;
};

/** A task whose view is there can only change in its project's partition. */
const partitionsFor = (
  sources: Sources,
  ids: readonly string[],
  found: ReadonlyMap<string, TaskView>,
  projectId: string | undefined,
): readonly number[] => {
  const projects = ids.map((id) => found.get(id)?.project_id ?? projectId);
  return projects.includes(undefined)
    ? partitionsOf(sources, undefined)
    : [...new Set(projects.flatMap((project) => partitionsOf(sources, project)))];
};

/** Those tasks and, where they are not over, their subtasks of all depths, as the views have them. */
const withSubtasks = async (
  sources: Sources,
  found: ReadonlyMap<string, TaskDoc>,
  ids: readonly string[],
): Promise<Map<string, TaskDoc>> => {
  const family = new Map(ids.flatMap((id) => (found.has(id) ? [[id, found.get(id)!] as const] : [])));
  for (let level: readonly TaskDoc[] = [...family.values()]; level.length > 0; ) {
    const below = level.filter((view) => !isFinal(view)).flatMap(({ children }) => children.filter((child) => !family.has(child)));
    const next = await storedIn<TaskDoc>(sources, 'task', below);
    for (const [id, view] of next) family.set(id, view);
    level = [...next.values()];
  }
  return family;
};

/** Takes in what the views do not have. */
const foldTail = async (sources: Sources, stand: Stand, fold: FamilyFold): Promise<void> => {
  const { tailRecords, foldMs } = { ...LIMITS, ...sources.limits };
  if (behindOf(stand) === 0) return;
  const { partition, end } = stand;
  const offset = Math.max(takenOf(stand), end - tailRecords);
  const late = timeoutSignal(foldMs);
  for await (const records of sources.log.read({ topic: LIFECYCLE, partition, offset }, late, { until: end }))
    for (const record of records) {
      if (!fold.has(record.headers['subject'] ?? '') && !MARKS.has(record.type)) continue;
      const event = readableEventOf(record);
      if (event !== undefined) fold.take(event, record.offset);
    }
  if (late.aborted) throw refuse('log_unavailable', `reading the end of the log took longer than ${foldMs} ms; try again`);
};

/** Their subject is the artifact. */
const MARKS: ReadonlySet<string> = new Set(MARK_TYPES);

/** A task of a project that another node decides, of which this edge node is told nothing: how it stood when it left, or that it was taken here. */
export interface Away {
  readonly project_id: string;
  readonly home: string;
}

export type FoundTask = { readonly view: TaskView } | { readonly away: Away };

type TaskSources = Sources & Partial<Pick<GatewayDeps, 'nodes'>>;

/** Only the core is told of what others decide. */
const isTold = ({ nodes }: TaskSources): boolean => nodes === undefined || nodes.core?.id === nodes.self;

/** @throws Fault `task_not_found`, `views_behind`; at the core `task_on_its_way`. */
export const lookForTask = async (sources: TaskSources, id: string): Promise<FoundTask> => {
  const view = await findTask(sources, id);
  if (view !== undefined && (isFinal(view) || isTold(sources))) return { view };
  const forwarded = view === undefined ? await forwardedTask(sources.views, id) : undefined;
  const project_id = view?.project_id ?? forwarded?.project_id;
  if (project_id === undefined) throw refuse('task_not_found', `there is no task "${id}"`);
  const home = (await homeElsewhere(sources, project_id)) ?? (view === undefined ? forwarded?.home : undefined);
  if (home === undefined) return { view: view! };
  if (!isTold(sources)) return { away: { project_id, home } };
  throw refuse(
    'task_on_its_way',
    `task "${id}" was taken here for node "${home}", which decides project "${project_id}" and has said nothing of it yet`,
  );
};

/** @throws Fault `decided_elsewhere`, and as `lookForTask` */
export const taskNow = async (sources: TaskSources, id: string): Promise<TaskView> => {
  const found = await lookForTask(sources, id);
  if ('view' in found) return found.view;
  const { project_id, home } = found.away;
  throw refuse(
    'decided_elsewhere',
    `task "${id}" is on node "${home}" or on its way there, as that one decides project "${project_id}"; ask for it ${whereIs(sources, home)}`,
  );
};

const caughtUpStands = async (sources: Sources, projectId: string | undefined): Promise<readonly Stand[]> => {
  const { catchUpMs } = { ...LIMITS, ...sources.limits };
  return untilNear(sources, await standsOf(sources, partitionsOf(sources, projectId)), 0, catchUpMs);
};

/** Waits until the views have all that the log holds now (of the project), but not for long. @returns how many records they are behind. */
export const caughtUp = async (sources: Sources, projectId?: string): Promise<number> =>
  (await caughtUpStands(sources, projectId)).reduce((sum, stand) => sum + behindOf(stand), 0);

/** Those of the artifacts that there are, waited for when their output is younger than the views. @throws Fault `views_behind`. */
export const storedArtifacts = async (
  sources: Sources,
  ids: readonly string[],
  projectId?: string,
): Promise<ReadonlyMap<string, ArtifactDoc>> => {
  const found = await storedIn<ArtifactDoc>(sources, 'artifact', ids);
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length === 0) return found;
  const stands = await caughtUpStands(sources, projectId);
  for (const [id, view] of await storedIn<ArtifactDoc>(sources, 'artifact', missing)) found.set(id, view);
  if (!missing.every((id) => found.has(id))) await checkMiss(sources, stands, 0);
  return found;
};

/** The artifact, as of now; undefined when there is none. @throws Fault `views_behind`. */
export const findArtifact = async (sources: Sources, id: string): Promise<ArtifactView | undefined> => {
  const artifact = (await storedArtifacts(sources, [id])).get(id);
  if (artifact === undefined) return undefined;
  const { task_id, project_id } = artifact;
  return shownArtifact(artifact, (await findDocs(sources, [task_id], project_id)).get(task_id));
};
