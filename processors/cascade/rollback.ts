// One rollback as a fold: which paths are still to change, which tasks are still to be closed or done anew. Pure; decide.ts says what follows.
//
// B1. What is to be done is planned once, from the project as it is when `dats.rollback.started` is taken in. B2. A path that got a newer version before its turn is left
// as it is. B3. Each change and each task leaves the list by the event that did it, so nothing is done twice and nothing is forgotten. B4. One runs at a time in a project, in
// the order in which they were asked for: each plans on what the one before has left.
import { type DatsEvent, derivedId, type EventOf, type RollbackTarget, type TaskPolicy } from '../../schemas/index.js';
import type { Chain } from '../draft.js';
import { millisOf } from '../iso-time.js';
import { ELSEWHERE, type PlanGround, planOf } from './plan.js';
import { NONE } from './versions.js';

export type RollbackState = 'requested' | 'running' | 'completed' | 'nothing_to_do' | 'refused';

/** Under a path: what stands, and what is to stand (NONE: nothing). Indexes of the graph. */
export interface PathStep {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

export interface Rollback {
  readonly id: string;
  readonly project: string;
  readonly target: RollbackTarget;
  readonly tasks: TaskPolicy;
  readonly reason: string;
  readonly by: string;
  readonly chain: Chain;
  readonly requestedMs: number;
  readonly firstOffset: number;
  lastOffset: number;
  state: RollbackState;
  completedMs?: number;
  detail?: string;
  configThen?: string;
  /** Under which it was asked for. */
  configNow: string;
  paths: number;
  affectedTasks: number;
  /** Still to be done. */
  readonly steps: Map<string, PathStep>;
  readonly toCancel: Set<string>;
  readonly toRedo: Set<string>;
  /** All tasks that are done anew: old id. */
  readonly redone: Set<string>;
  /** What it changed: what an undo goes back over. */
  readonly changed: PathStep[];
  reverted: number;
  restored: number;
  skipped: number;
  tasksClosed: number;
  tasksRequeued: number;
}

/** The id that a task gets when it is done anew, and of the event that says so. */
export const redoIdOf = (rollbackId: string, taskId: string): string => derivedId(rollbackId, 'redo', taskId);

export interface RollbackGround extends PlanGround {
  readonly rollbacks: ReadonlyMap<string, Rollback>;
}

type Begun = EventOf<'dats.rollback.requested' | 'dats.rollback.started'>;

const open = (event: Begun, offset: number): Rollback => {
  const { rollback_id, target, tasks, reason, by } = event.data;
  const { projectid, correlationid, traceparent } = event;
  return {
    id: rollback_id,
    project: projectid,
    target,
    tasks,
    reason,
    by,
    chain: traceparent === undefined ? { projectid, correlationid } : { projectid, correlationid, traceparent },
    requestedMs: millisOf(event.time),
    firstOffset: offset,
    lastOffset: offset,
    configNow: event.configversion,
    state: 'requested',
    paths: 0,
    affectedTasks: 0,
    steps: new Map(),
    toCancel: new Set(),
    toRedo: new Set(),
    redone: new Set(),
    changed: [],
    reverted: 0,
    restored: 0,
    skipped: 0,
    tasksClosed: 0,
    tasksRequeued: 0,
  };
};

const isOver = ({ state }: Rollback): boolean => state !== 'requested' && state !== 'running';

/** Takes an event into the rollbacks of a project. The project itself has taken it in already. */
export const takeRollback = (
  rollbacks: Map<string, Rollback>,
  rolling: Set<Rollback>,
  event: DatsEvent,
  offset: number,
  ground: RollbackGround,
): void => {
  if (event.type === 'dats.rollback.requested' || event.type === 'dats.rollback.started' || event.type === 'dats.rollback.completed')
    return takeLife(rollbacks, rolling, event, offset, ground);
  for (const rollback of rolling) takeDeed(rollback, event, offset, ground);
};

const takeLife = (
  rollbacks: Map<string, Rollback>,
  rolling: Set<Rollback>,
  event: EventOf<'dats.rollback.requested' | 'dats.rollback.started' | 'dats.rollback.completed'>,
  offset: number,
  ground: RollbackGround,
): void => {
  let rollback = rollbacks.get(event.data.rollback_id);
  if (rollback === undefined) {
    if (event.type === 'dats.rollback.completed') return;
    rollback = open(event, offset);
    rollbacks.set(rollback.id, rollback);
    rolling.add(rollback);
  }
  if (isOver(rollback)) return;
  rollback.lastOffset = offset;
  if (event.type === 'dats.rollback.started' && rollback.state === 'requested') begin(rollback, event, ground);
  if (event.type !== 'dats.rollback.completed') return;
  rollback.state = event.data.outcome;
  rollback.completedMs = millisOf(event.time);
  if (event.data.detail !== undefined) rollback.detail = event.data.detail;
  rollback.steps.clear();
  rollback.toCancel.clear();
  rollback.toRedo.clear();
  rolling.delete(rollback);
};

/** B1. */
const begin = (rollback: Rollback, event: EventOf<'dats.rollback.started'>, ground: RollbackGround): void => {
  const plan = planOf(ground, rollback.target, rollback.tasks, rollback.firstOffset);
  rollback.state = 'running';
  rollback.configNow = event.data.config_now;
  if (event.data.config_then !== undefined) rollback.configThen = event.data.config_then;
  rollback.paths = plan.steps.length;
  rollback.affectedTasks = plan.tasks.length;
  for (const step of plan.steps) rollback.steps.set(step.path, step);
  for (const { id, action, open } of plan.tasks) {
    if (action === 'cancel' || (action === 'redo' && open)) rollback.toCancel.add(id);
    if (action !== 'redo') continue;
    rollback.toRedo.add(id);
    rollback.redone.add(id);
  }
};

/** What was planned elsewhere, by a place in that node's log, is known here by what was done. */
const unplanned = (
  { id, target, changed }: Rollback,
  { type, data }: EventOf<'dats.artifact.reverted' | 'dats.artifact.restored'>,
  graph: RollbackGround['graph'],
): PathStep | undefined => {
  const { path, rollback_id } = data;
  if (rollback_id !== id || target.kind !== 'offset' || target.offset !== ELSEWHERE || changed.some((step) => step.path === path))
    return undefined;
  const other = (artifact: string | undefined): number => (artifact === undefined ? NONE : graph.indexOf(artifact));
  const made = graph.indexOf(data.artifact_id);
  if (type === 'dats.artifact.reverted') return { path, from: made, to: other('to' in data ? data.to : undefined) };
  return { path, from: other('replaces' in data ? data.replaces : undefined), to: made };
};

const takeDeed = (rollback: Rollback, event: DatsEvent, offset: number, { graph, versions, tasks }: RollbackGround): void => {
  switch (event.type) {
    case 'dats.artifact.reverted':
    case 'dats.artifact.restored': {
      const step = rollback.steps.get(event.data.path) ?? unplanned(rollback, event, graph);
      if (step === undefined) return;
      rollback.steps.delete(event.data.path);
      if (event.data.rollback_id !== rollback.id) {
        rollback.skipped++;
        return;
      }
      rollback.lastOffset = offset;
      rollback.changed.push(step);
      if (event.type === 'dats.artifact.reverted') rollback.reverted++;
      else rollback.restored++;
      return;
    }
    case 'dats.task.completed':
      // B2.
      for (const index of graph.madeBy(event.data.task_id)) {
        const { path } = graph.factAt(index)!;
        const step = rollback.steps.get(path);
        if (step === undefined || versions.head(path) === step.from) continue;
        rollback.steps.delete(path);
        rollback.skipped++;
      }
      rollback.toCancel.delete(event.data.task_id);
      return;
    case 'dats.task.failed':
    case 'dats.task.cancelled':
      rollback.toCancel.delete(event.data.task_id);
      return;
    case 'dats.task.cancel.requested':
      if (rollback.toCancel.delete(event.data.task_id)) rollback.tasksClosed++;
      return;
    case 'dats.task.created': {
      const { redo } = event.data;
      if (redo?.rollback_id !== rollback.id || !rollback.toRedo.delete(redo.task_id)) return;
      rollback.tasksRequeued++;
      rollback.lastOffset = offset;
      return;
    }
    case 'dats.task.attempt.failed':
      // That it is done anew failed for good: it is said under the id that its creation would have had.
      if (event.id !== redoIdOf(rollback.id, event.data.task_id) || !rollback.toRedo.has(event.data.task_id)) return;
      rollback.detail = `task ${event.data.task_id} could not be submitted anew, nor what depends on it: ${event.data.error.message}`.slice(
        0,
        1_000,
      );
      dropRedo(rollback, event.data.task_id, tasks);
  }
};

/** What depends on it is not done anew either: it would be without what it depends on. */
const dropRedo = (rollback: Rollback, taskId: string, tasks: RollbackGround['tasks']): void => {
  rollback.toRedo.delete(taskId);
  rollback.redone.delete(taskId);
  for (const id of [...rollback.toRedo]) if (tasks.get(id)?.dependsOn.includes(taskId)) dropRedo(rollback, id, tasks);
};
