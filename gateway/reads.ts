// Reading what is true now: the view, and what stands in the log after it.
//
// Q1. A task that was acknowledged is found by the next read, in every process: the views may be some milliseconds behind, so what they have not taken
// in yet is folded here, on the fly. Q2. So a submission writes the log only. Q3. Lists and counts wait for the views instead, but not for long.
import { setTimeout as sleep } from 'node:timers/promises';
import { projectTask, VIEW } from '../processors/index.js';
import { type ArtifactView, LIFECYCLE, partitionOf, type TaskView } from '../schemas/index.js';
import { eventOf } from '../streams/index.js';
import type { GatewayDeps } from './deps.js';
import { refuse } from './problem.js';

type Sources = Pick<GatewayDeps, 'log' | 'views'>;

/** Records that a read folds at most in a partition; views that are further behind show old states for a while, and the newest tasks all the same. */
const TAIL_RECORDS = 20_000;
/** How long a list or a miss waits for the views, in milliseconds, and between two looks. */
const CATCH_UP_MS = 500;
const LOOK_MS = 2;

export const isFinal = (view: TaskView): boolean => view.status === 'completed' || view.status === 'failed' || view.status === 'cancelled';

const NEVER = new AbortController().signal;

/** The task as of now; undefined when there is none. */
export const findTask = async (sources: Sources, id: string): Promise<TaskView | undefined> => {
  const view = await sources.views.get<TaskView>('task', id);
  if (view !== undefined && isFinal(view)) return view;
  const count = sources.log.partitions(LIFECYCLE);
  const partitions =
    view === undefined ? Array.from({ length: count }, (_, partition) => partition) : [partitionOf(view.project_id, count)];
  for (const partition of partitions) {
    const folded = await foldTail(sources, partition, id, view);
    if (folded !== undefined) return folded;
  }
  // The views may have taken it in between the two looks.
  return sources.views.get<TaskView>('task', id);
};

const foldTail = async (
  { log, views }: Sources,
  partition: number,
  id: string,
  view: TaskView | undefined,
): Promise<TaskView | undefined> => {
  const [from, { end }] = await Promise.all([views.checkpoint(VIEW, partition), log.range(LIFECYCLE, partition)]);
  if (from >= end) return view;
  let folded = view;
  const offset = Math.max(from, end - TAIL_RECORDS);
  for await (const records of log.read({ topic: LIFECYCLE, partition, offset }, NEVER, { until: end }))
    for (const record of records) if (record.headers['subject'] === id) folded = projectTask(folded, eventOf(record), record.offset);
  return folded;
};

/** @throws Fault `task_not_found`. */
export const taskNow = async (sources: Sources, id: string): Promise<TaskView> => {
  const view = await findTask(sources, id);
  if (view === undefined) throw refuse('task_not_found', `there is no task "${id}"`);
  return view;
};

/** Waits until the views have all that the log holds now, CATCH_UP_MS at most. */
export const caughtUp = async ({ log, views }: Sources): Promise<void> => {
  const count = log.partitions(LIFECYCLE);
  const ends = await Promise.all(Array.from({ length: count }, (_, partition) => log.range(LIFECYCLE, partition)));
  for (const deadline = performance.now() + CATCH_UP_MS; performance.now() < deadline; await sleep(LOOK_MS)) {
    const taken = await Promise.all(ends.map((_, partition) => views.checkpoint(VIEW, partition)));
    if (ends.every(({ end }, partition) => taken[partition]! >= end)) return;
  }
};

/** The artifact, waited for when its output is younger than the views; undefined when there is none. */
export const findArtifact = async (sources: Sources, id: string): Promise<ArtifactView | undefined> => {
  const stored = await sources.views.get<ArtifactView>('artifact', id);
  if (stored === undefined) await caughtUp(sources);
  const view = stored ?? (await sources.views.get<ArtifactView>('artifact', id));
  if (view === undefined) return undefined;
  const task = await findTask(sources, view.task_id);
  return { ...view, accepted: task?.state === 'completed' && task.artifacts.some(({ artifact_id }) => artifact_id === id) };
};
