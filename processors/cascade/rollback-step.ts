// The next bounded piece of a rollback: versions, then tasks, then its end. Pure.
import { type ArtifactRef, type DataOf, derivedId, workTopic } from '../../schemas/index.js';
import { type Draft, inChain, say, sayOn } from '../draft.js';
import { isoOf } from '../iso-time.js';
import { refOf } from './cascade-step.js';
import type { Project, TaskNote } from './project.js';
import type { PathStep, Rollback } from './rollback.js';
import { NONE } from './versions.js';

const CHANGES_A_STEP = 500;
const TASKS_A_STEP = 100;
/** As long as work items are kept, in milliseconds: nobody asks again. */
const REDO_WITHIN_MS = 14 * 24 * 60 * 60 * 1_000;
const REDO = 'redo@1';

/** The id that a task gets when it is done anew. */
export const redoIdOf = (rollbackId: string, taskId: string): string => derivedId(rollbackId, 'redo', taskId);

const isDone = ({ steps, toCancel, toRedo }: Rollback): boolean => steps.size + toCancel.size + toRedo.size === 0;

/** Has `rollbackStep` anything to say before another event comes? */
export const hasRollbackStep = (project: Project, rollback: Rollback, asked: ReadonlySet<string>): boolean => {
  if (rollback.state !== 'running') return false;
  if (isDone(rollback) || rollback.steps.size + rollback.toCancel.size > 0) return true;
  return redoable(project, rollback, asked, 1).length > 0;
};

/** Each after those it depends on are there: scheduling waits for no task that it does not know. */
const redoable = ({ tasks }: Project, rollback: Rollback, asked: ReadonlySet<string>, most: number): readonly TaskNote[] => {
  const found: TaskNote[] = [];
  for (const id of rollback.toRedo) {
    if (found.length >= most) break;
    const task = tasks.get(id)!;
    if (asked.has(redoIdOf(rollback.id, id)) || task.dependsOn.some((each) => rollback.toRedo.has(each))) continue;
    found.push(task);
  }
  return found;
};

/** `asked`: new ids of tasks whose redoing was asked for by this process already. */
export const rollbackStep = (project: Project, rollback: Rollback, now: number, asked: Set<string>): readonly Draft[] => {
  if (rollback.state !== 'running') return [];
  const drafts = [...changes(project, rollback), ...cancels(rollback), ...redos(project, rollback, isoOf(now + REDO_WITHIN_MS), asked)];
  if (isDone(rollback)) drafts.push(completed(rollback, now));
  return drafts.map((draft) => inChain(rollback.chain, draft));
};

const first = <T>(items: Iterable<T>, count: number): T[] => {
  const found: T[] = [];
  for (const item of items) {
    if (found.length >= count) break;
    found.push(item);
  }
  return found;
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

const redos = (project: Project, rollback: Rollback, due: string, asked: Set<string>): readonly Draft[] => {
  // Files first: what is done anew is done on them.
  if (rollback.steps.size > 0) return [];
  return redoable(project, rollback, asked, TASKS_A_STEP).map((task) => {
    asked.add(redoIdOf(rollback.id, task.id));
    return redo(project, rollback, task, due);
  });
};

/** What a task depended on and is done anew is waited for; what was accepted and stands is its input. */
const redo = (project: Project, rollback: Rollback, task: TaskNote, due: string): Draft => {
  const { tasks, graph, versions } = project;
  const depends_on = task.dependsOn.filter((id) => rollback.redone.has(id)).map((id) => redoIdOf(rollback.id, id));
  const kept = task.dependsOn.filter((id) => !rollback.redone.has(id)).flatMap((id) => graph.madeBy(id));
  const named = task.inputs.map(({ artifact_id }) => graph.indexOf(artifact_id));
  const inputs = new Map<string, ArtifactRef>();
  for (const index of [...kept, ...named]) {
    const path = graph.factAt(index)?.path;
    if (path === undefined || !versions.isAccepted(index)) continue;
    const stands = versions.isTakenBack(index) ? versions.head(path) : index;
    if (stands !== NONE) inputs.set(path, refOf(project, stands));
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
      depends_on,
      inputs: [...inputs.values()].slice(0, 100),
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
