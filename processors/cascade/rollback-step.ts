// The next bounded piece of a rollback: versions, then tasks, then its end. Pure.
import { type ArtifactRef, type DataOf, derivedId, workTopic } from '../../schemas/index.js';
import { type Draft, inChain, say, sayOn } from '../draft.js';
import { isoOf } from '../iso-time.js';
import { first, refOf } from './cascade-step.js';
import { makersOf, planOf, refusalOf } from './plan.js';
import { configBefore, type Project, type TaskNote } from './project.js';
import { type PathStep, type Rollback, redoIdOf } from './rollback.js';
import { NONE } from './versions.js';

const CHANGES_A_STEP = 500;
const TASKS_A_STEP = 100;
/** As long as work items are kept, in milliseconds. */
const REDO_WITHIN_MS = 14 * 24 * 60 * 60 * 1_000;
/** A task that was not done anew by then is asked for again: the same work, under the same id. */
const REDO_AGAIN_MS = 10 * 60 * 1_000;
const REDO = 'redo@1';

/** When this process asked for the redoing of tasks, milliseconds since the epoch: by rollback, then by old task. */
export type Asked = Map<string, Map<string, number>>;

const isDone = ({ steps, toCancel, toRedo }: Rollback): boolean => steps.size + toCancel.size + toRedo.size === 0;

/** When `rollbackStep` has something to say before another event comes, milliseconds since the epoch; undefined: it has not. */
export const nextRollbackStep = (project: Project, rollback: Rollback, now: number, asked: Asked): number | undefined => {
  if (rollback.state === 'requested' || isDone(rollback) || rollback.steps.size + rollback.toCancel.size > 0) return now;
  if (redoable(project, rollback, now, asked, 1).length > 0) return now;
  const times = [...(asked.get(rollback.id) ?? [])].flatMap(([id, at]) => (rollback.toRedo.has(id) ? [at] : []));
  return times.length === 0 ? undefined : Math.min(...times) + REDO_AGAIN_MS;
};

/** Each after those it depends on are there: scheduling waits for no task that it does not know. */
const redoable = (project: Project, rollback: Rollback, now: number, asked: Asked, most: number): readonly TaskNote[] => {
  const found: TaskNote[] = [];
  const times = asked.get(rollback.id);
  for (const id of rollback.toRedo) {
    if (found.length >= most) break;
    const at = times?.get(id);
    if (at !== undefined && at + REDO_AGAIN_MS > now) continue;
    const task = project.tasks.get(id)!;
    if (!task.dependsOn.some((each) => makersOf(project, each).some((maker) => rollback.toRedo.has(maker)))) found.push(task);
  }
  return found;
};

export const rollbackStep = (project: Project, rollback: Rollback, now: number, asked: Asked): readonly Draft[] => {
  if (rollback.state === 'requested') return [inChain(rollback.chain, begun(project, rollback))];
  const drafts = [...changes(project, rollback), ...cancels(rollback), ...redos(project, rollback, now, asked)];
  if (isDone(rollback)) {
    asked.delete(rollback.id);
    drafts.push(completed(rollback, now));
  }
  return drafts.map((draft) => inChain(rollback.chain, draft));
};

/** Its beginning, with what it is about to change; or its end, where that is nothing. */
const begun = (project: Project, rollback: Rollback): Draft => {
  const { id: rollback_id, target, tasks, reason, by, firstOffset, configNow } = rollback;
  const refusal = refusalOf(project, target);
  const plan = refusal === undefined ? planOf(project, target, tasks, firstOffset) : { steps: [], tasks: [] };
  if (plan.steps.length === 0 && plan.tasks.every(({ action }) => action === 'keep')) {
    const none = { reverted: 0, restored: 0, skipped: 0, tasks_closed: 0, tasks_requeued: 0, duration_ms: 0 };
    const outcome = refusal === undefined ? 'nothing_to_do' : 'refused';
    const detail = refusal ?? 'every path stands as it is to stand';
    return say('dats.rollback.completed', rollback_id, { rollback_id, outcome, ...none, detail }, derivedId(rollback_id, 'completed'));
  }
  const then = target.kind === 'offset' ? configBefore(project, target.offset) : undefined;
  return say(
    'dats.rollback.started',
    rollback_id,
    {
      rollback_id,
      target,
      tasks,
      reason,
      by,
      paths: plan.steps.length,
      affected_tasks: plan.tasks.length,
      config_now: configNow,
      ...(then === undefined ? {} : { config_then: then }),
    },
    derivedId(rollback_id, 'started'),
  );
};

const changes = (project: Project, rollback: Rollback): readonly Draft[] =>
  first(rollback.steps.values(), CHANGES_A_STEP).map((step) => change(project, rollback.id, step));

const change = ({ graph, marks, versions }: Project, rollback_id: string, { path, from, to }: PathStep): Draft => {
  const id = derivedId(rollback_id, 'path', path);
  if (to !== NONE && (from === NONE || versions.isTakenBack(to))) {
    const { artifact_id, task_id } = graph.factAt(to)!;
    const replaces = from === NONE ? {} : { replaces: graph.idOf(from) };
    return say('dats.artifact.restored', artifact_id, { rollback_id, artifact_id, task_id, path, ...replaces, mark: marks.of(to) }, id);
  }
  const { artifact_id, task_id } = graph.factAt(from)!;
  return say(
    'dats.artifact.reverted',
    artifact_id,
    { rollback_id, artifact_id, task_id, path, ...(to === NONE ? {} : { to: graph.idOf(to) }) },
    id,
  );
};

const cancels = ({ id, reason, toCancel }: Rollback): readonly Draft[] =>
  first(toCancel, TASKS_A_STEP).map((task_id) =>
    say(
      'dats.task.cancel.requested',
      task_id,
      { task_id, reason: `rolled back: ${reason}`.slice(0, 1_000), by: `rollback ${id}` },
      derivedId(id, 'cancel', task_id),
    ),
  );

const redos = (project: Project, rollback: Rollback, now: number, asked: Asked): readonly Draft[] => {
  // Files first: what is done anew is done on them.
  if (rollback.steps.size > 0) return [];
  const times = asked.get(rollback.id) ?? new Map<string, number>();
  asked.set(rollback.id, times);
  return redoable(project, rollback, now, asked, TASKS_A_STEP).map((task) => {
    times.set(task.id, now);
    return redo(project, rollback, task, isoOf(now + REDO_WITHIN_MS));
  });
};

/** What a task depended on and is done anew, or is not over, is waited for; of the rest what stands now is its input, unless that is bad. */
const redo = (project: Project, rollback: Rollback, task: TaskNote, due: string): Draft => {
  const { tasks, graph, versions, marks } = project;
  const depends_on: string[] = [];
  const paths = new Set<string>();
  for (const id of task.dependsOn) {
    const redone = makersOf(project, id).filter((maker) => rollback.redone.has(maker));
    if (redone.length > 0) depends_on.push(...redone.map((maker) => redoIdOf(rollback.id, maker)));
    else if (tasks.get(id)?.state === 'open') depends_on.push(id);
    for (const maker of makersOf(project, id))
      if (!rollback.redone.has(maker)) for (const index of graph.madeBy(maker)) paths.add(graph.factAt(index)!.path);
  }
  for (const { path } of task.inputs) paths.add(path);
  const inputs: ArtifactRef[] = [];
  for (const path of paths) {
    const stands = versions.head(path);
    if (stands !== NONE && marks.of(stands) === 'clean') inputs.push(refOf(project, stands));
  }
  const parent = task.parent === undefined ? undefined : tasks.get(task.parent);
  const id = derivedId(rollback.id, 'redo work', task.id);
  const work: DataOf<'dats.work.requested'> = {
    task_id: task.id,
    kind: 'redo',
    attempt: 0,
    tier: 'small',
    domain: 'general',
    prompt_version: REDO,
    context: { created: task.created, inputs: [], ...(parent === undefined ? {} : { parent: parent.created }) },
    due,
    redo: {
      rollback_id: rollback.id,
      new_task_id: redoIdOf(rollback.id, task.id),
      depends_on: depends_on.slice(0, 100),
      inputs: inputs.slice(0, 100),
    },
  };
  return sayOn(workTopic('analysis'), task.id, 'dats.work.requested', task.id, work, id);
};

const completed = (rollback: Rollback, now: number): Draft => {
  const { id, reverted, restored, skipped, tasksClosed, tasksRequeued, requestedMs, detail } = rollback;
  return say(
    'dats.rollback.completed',
    id,
    {
      rollback_id: id,
      outcome: 'completed',
      reverted,
      restored,
      skipped,
      tasks_closed: tasksClosed,
      tasks_requeued: tasksRequeued,
      duration_ms: Math.max(0, now - requestedMs),
      ...(detail === undefined ? {} : { detail }),
    },
    derivedId(id, 'completed'),
  );
};
