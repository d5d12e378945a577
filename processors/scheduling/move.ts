// A project that leaves for another node, and one that comes from there.
//
// M1. Who leaves begins nothing more; what runs ends here. When nothing runs any more, no cascade or rollback either, one last word is said, and the project is
// forgotten. M2. Who comes has been folded from its history: what waited there goes on here, and asks this node's ledger, whatever the other one's had refused.
import type { Draft } from '../draft.js';
import { say } from '../draft.js';
import { clearTimer } from '../timers.js';
import { ended } from './gates.js';
import { arm, dropEarly, HOLDS_A_PLACE, type OpenTask, type SchedulingState, type Stage, touch } from './state.js';

export interface Move {
  readonly to: string;
  /** Offset of the request. */
  readonly at: number;
  readonly correlationid: string;
  /** No cascade or rollback is under way any more. */
  readonly released?: true;
}

/** Somebody works on it, or answers for it. */
const IS_BUSY: ReadonlySet<Stage> = new Set<Stage>([...HOLDS_A_PLACE, 'pending', 'decomposing']);

const openTasksOf = (state: SchedulingState, project: string): OpenTask[] =>
  [...state.tasks.values()].filter((task) => task.project === project);

/** Nothing of it runs. */
const isQuiet = (state: SchedulingState, project: string): boolean => {
  if ((state.projects.get(project)?.running.size ?? 0) > 0) return false;
  for (const task of state.tasks.values()) if (task.project === project && IS_BUSY.has(task.stage)) return false;
  return true;
};

/** Can one leave now? Costs nothing while none is to. */
export const leaving = (state: SchedulingState): readonly (readonly [project: string, move: Move])[] =>
  state.moving.size === 0 ? [] : [...state.moving].filter(([project, { released }]) => released && isQuiet(state, project));

export const lastWord = ([project, { to, at, correlationid }]: readonly [string, Move], from: string): Draft => ({
  ...say('dats.project.moved', project, { project_id: project, from, to, requested_at: at }),
  chain: { projectid: project, correlationid },
});

/** M1. */
export const begin = (state: SchedulingState, project: string, move: Move): void => {
  state.moving.set(project, move);
  state.dirty.add(`m/${project}`);
};

/** M1. */
export const forget = (state: SchedulingState, project: string): void => {
  state.moving.delete(project);
  state.dirty.add(`m/${project}`);
  for (const task of openTasksOf(state, project)) {
    const { id, deps } = task;
    // Whoever else waits for what it was refused asks by itself now.
    ended(state, task);
    clearTimer(state.timers, id);
    state.unblocked.delete(id);
    state.dependants.delete(id);
    for (const dep of deps) state.dependants.delete(dep);
    state.tasks.delete(id);
    state.dirty.add(`t/${id}`);
  }
  // Where it comes back, it is folded from its beginning.
  for (const [id, task] of state.closed)
    if (task.project === project) {
      state.closed.delete(id);
      state.dirty.add(`c/${id}`);
    }
  for (const [id, early] of state.early) if (early.project === project) dropEarly(state, id);
  state.projects.delete(project);
};

/** M2. */
export const settleIn = (state: SchedulingState, project: string): void => {
  for (const task of openTasksOf(state, project)) {
    ended(state, task);
    if (task.askAgainMs === undefined) continue;
    delete task.askAgainMs;
    arm(state, task);
    touch(state, task);
  }
};

/** M2: tasks that wait for nothing, and were not told so there. */
export const unblockedOf = (state: SchedulingState, project: string): readonly OpenTask[] =>
  openTasksOf(state, project).filter(({ id }) => state.unblocked.has(id));
