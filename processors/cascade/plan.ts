// What a rollback would change: under each path the version that stands and the one that is to stand, and the tasks behind what is taken back. Pure.
//
// P1. A path goes back to its last good version: accepted, not among what is taken back now or was before, not tainted, not suspect. Where there is none, to none.
// P2. The target says what is bad: what a cascade tainted; what a task and its subtasks made, and all that was made from it; what stood not yet at a place in the log.
import type { RollbackTarget, TaskPolicy } from '../../schemas/index.js';
import { type Cascade, isActive } from './cascade.js';
import type { Graph } from './graph/index.js';
import type { Marks } from './marks.js';
import type { TaskNote } from './project.js';
import type { PathStep, Rollback } from './rollback.js';
import { NONE, type Versions } from './versions.js';

export interface PlanGround {
  readonly graph: Graph;
  readonly marks: Marks;
  readonly versions: Versions;
  readonly tasks: ReadonlyMap<string, TaskNote>;
  readonly subtasks: ReadonlyMap<string, readonly string[]>;
  readonly cascades: ReadonlyMap<string, Cascade>;
  readonly rollbacks: ReadonlyMap<string, Rollback>;
}

export interface PlannedTask {
  readonly id: string;
  readonly open: boolean;
  readonly state: TaskNote['state'];
  readonly action: 'cancel' | 'redo' | 'keep';
}

export interface Plan {
  readonly steps: readonly PathStep[];
  readonly tasks: readonly PlannedTask[];
}

/** Why a target cannot be rolled back; undefined: it can. */
export const refusalOf = (ground: PlanGround, target: RollbackTarget): string | undefined => {
  switch (target.kind) {
    case 'cascade': {
      const cascade = ground.cascades.get(target.cascade_id);
      if (cascade === undefined) return `there is no cascade ${target.cascade_id} in this project`;
      return isActive(cascade) ? `cascade ${target.cascade_id} is not over yet` : undefined;
    }
    case 'task':
      return ground.tasks.has(target.task_id) ? undefined : `there is no task ${target.task_id} in this project`;
    case 'rollback': {
      const earlier = ground.rollbacks.get(target.rollback_id);
      if (earlier === undefined) return `there is no rollback ${target.rollback_id} in this project`;
      return earlier.state === 'requested' || earlier.state === 'running' ? `rollback ${target.rollback_id} is not over yet` : undefined;
    }
    case 'offset':
      return target.offset === ELSEWHERE
        ? `${target.said} is a place in the log of another node, and the project is decided here by now; ask for it again`
        : undefined;
  }
};

/** The place of a target that another node's log named. */
export const ELSEWHERE = -1;

/**
 * @param asOf offset of the request: tasks that were created after it are not concerned
 */
export const planOf = (ground: PlanGround, target: RollbackTarget, policy: TaskPolicy, asOf: number): Plan => {
  if (target.kind === 'offset' && target.offset === ELSEWHERE) return { steps: [], tasks: [] };
  const steps = stepsOf(ground, target).filter(({ from, to }) => from !== to);
  return { steps, tasks: tasksOf(ground, target, policy, steps, asOf) };
};

const stepsOf = (ground: PlanGround, target: RollbackTarget): readonly PathStep[] => {
  switch (target.kind) {
    case 'cascade': {
      const marks = ground.cascades.get(target.cascade_id)?.marks;
      return stepsWithout(ground, (index) => marks?.get(index)?.state === 'tainted');
    }
    case 'task': {
      const bad = builtBy(ground, target.task_id);
      return stepsWithout(ground, (index) => bad.has(index));
    }
    case 'offset':
      return stepsTo(ground, target.offset);
    case 'rollback':
      return stepsBack(ground, target.rollback_id);
  }
};

/** Those that made what a task is known for: itself, and its subtasks. */
export const makersOf = ({ subtasks }: Pick<PlanGround, 'subtasks'>, taskId: string): readonly string[] => [
  taskId,
  ...(subtasks.get(taskId) ?? []),
];

/** What a task and its subtasks made that was accepted, and all that was made from it. */
const builtBy = (ground: PlanGround, taskId: string): ReadonlySet<number> => {
  const { graph, versions } = ground;
  const made = makersOf(ground, taskId)
    .flatMap((id) => graph.madeBy(id))
    .filter((index) => versions.isAccepted(index));
  return new Set(graph.closure(made).nodes);
};

const isGood = ({ marks, versions }: PlanGround, index: number): boolean => marks.of(index) === 'clean' && !versions.isTakenBack(index);

/** P1: the last good version before (excluding) the one at `end` in the path's list. */
const lastGood = (ground: PlanGround, path: string, end: number, isBad: (index: number) => boolean): number => {
  const versions = ground.versions.of(path);
  for (let i = end - 1; i >= 0; i--) {
    const index = versions[i]!;
    if (!isBad(index) && isGood(ground, index)) return index;
  }
  return NONE;
};

const stepsWithout = (ground: PlanGround, isBad: (index: number) => boolean): readonly PathStep[] => {
  const steps: PathStep[] = [];
  for (const path of ground.versions.paths()) {
    const from = ground.versions.head(path);
    if (from === NONE || !isBad(from)) continue;
    steps.push({ path, from, to: lastGood(ground, path, ground.versions.of(path).indexOf(from), isBad) });
  }
  return steps;
};

/** Paths stand again as they stood below `offset`; what stood then and is known to be bad now gives way to the last good version before it. */
const stepsTo = (ground: PlanGround, offset: number): readonly PathStep[] => {
  const steps: PathStep[] = [];
  for (const path of ground.versions.paths()) {
    const from = ground.versions.head(path);
    const then = ground.versions.headAt(path, offset);
    if (from === then) continue;
    const usable = then === NONE || ground.marks.of(then) === 'clean';
    steps.push({ path, from, to: usable ? then : lastGood(ground, path, ground.versions.of(path).indexOf(then), () => false) });
  }
  return steps;
};

/** Back over what a rollback changed, where nothing newer stands since. */
const stepsBack = (ground: PlanGround, rollbackId: string): readonly PathStep[] =>
  (ground.rollbacks.get(rollbackId)?.changed ?? []).flatMap(({ path, from, to }) =>
    ground.versions.head(path) === to ? [{ path, from: to, to: from }] : [],
  );

/** Tasks whose versions leave, and open ones that wait for them or, where the target is a place in the log, came after it. */
const tasksOf = (
  ground: PlanGround,
  target: RollbackTarget,
  policy: TaskPolicy,
  steps: readonly PathStep[],
  asOf: number,
): readonly PlannedTask[] => {
  if (target.kind === 'rollback') return [];
  const concerned = new Set<string>();
  for (const { from } of steps) if (from !== NONE) concerned.add(ground.graph.factAt(from)!.task_id);
  for (const task of ground.tasks.values()) {
    if (task.state !== 'open' || task.created > asOf) continue;
    const after = target.kind === 'offset' && task.created >= target.offset;
    const named = target.kind === 'task' && (task.id === target.task_id || task.parent === target.task_id);
    const waits = task.dependsOn.some((id) => makersOf(ground, id).some((maker) => concerned.has(maker)));
    if (after || named || waits) concerned.add(task.id);
  }
  return [...concerned].map((id) => {
    const { state, parent } = ground.tasks.get(id)!;
    // A parent that is done anew makes its subtasks anew.
    const isWithin = parent !== undefined && concerned.has(parent);
    return { id, open: state === 'open', state, action: actionFor(isWithin && policy === 'requeue' ? 'close' : policy, state) };
  });
};

const actionFor = (policy: TaskPolicy, state: TaskNote['state']): PlannedTask['action'] => {
  if (policy === 'keep' || (policy === 'close' && state !== 'open')) return 'keep';
  return policy === 'requeue' ? 'redo' : 'cancel';
};
