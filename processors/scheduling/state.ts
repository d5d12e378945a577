// The fold of a partition for scheduling: its open tasks, and what was derived from them (queues, running counts, timers, who waits for whom).
//
// T1. Everything but `tasks` and `closed` is derived: `restore` makes it from the entries. T2. An ended task leaves `tasks`; the newest
// CLOSED_LIMIT ended ones are remembered, so that late events are known to be late and dependants find their inputs.
import type { Allowance, ArtifactRef, DataOf, Domain, Priority, QaProfile, Tier } from '../../schemas/index.js';
import { PRIORITIES } from '../../schemas/index.js';
import { clearTimer, newTimers, setTimer, type Timers } from '../timers.js';
import type { Gate } from './gates.js';
import type { Move } from './move.js';

/** Cancels remembered in a partition that came before their tasks. */
const EARLY_LIMIT = 1_000;

/** Ended tasks remembered in a partition. */
export const CLOSED_LIMIT = 20_000;

export type Stage =
  | 'pending'
  | 'decomposing'
  | 'children'
  | 'waiting'
  | 'queued'
  | 'reserving'
  | 'ready'
  | 'running'
  | 'validating'
  | 'retrying';

/** Of models; money in nano-dollars. */
export interface Used {
  readonly calls: number;
  readonly tokens: number;
  readonly nanos: number;
}

export interface OpenTask {
  readonly id: string;
  readonly project: string;
  readonly priority: Priority;
  readonly correlationid: string;
  readonly traceparent?: string;
  /** Milliseconds since the epoch. */
  readonly createdMs: number;
  /** Offset of its `created` (or, for a subtask, of its plan), and of its parent's. */
  readonly at: number;
  readonly parentAt?: number;
  readonly parent?: string;
  readonly options: DataOf<'dats.task.created'>['options'];
  readonly hasTests: boolean;
  readonly profile: QaProfile;
  stage: Stage;
  /** Number of the attempt that is under way, or was the last; 0 before the first. */
  attempt: number;
  tier: Tier;
  domain: Domain;
  /** Open tasks it waits for. */
  deps: string[];
  /** What it consumes. */
  inputs: ArtifactRef[];
  /** Of its newest output (of all children, for a parent). */
  artifacts: ArtifactRef[];
  /** Of its other outputs: those that were replaced, and those that came too late. They may be named by who asks at another node. */
  others?: ArtifactRef[];
  /** Open subtasks. */
  children?: string[];
  output?: number;
  rejected?: number;
  /** When its attempt, or the work before the first one, times out; or when its retry is due. */
  dueMs?: number;
  deadlineMs?: number;
  /** Order in its queue. */
  queuedAt?: number;
  /** Whose budget it uses: whoever submitted it, or its parent. */
  readonly user: string;
  /** Tokens that its analysis expects. */
  estimate?: number;
  /** By its attempts so far, and what was asked before them. */
  used?: Used;
  /** How often the ledger was asked for it. */
  asks?: number;
  /** What the ledger was last asked for, or what its attempt was begun with. Open while it is reserving, ready or running. */
  reservation?: string;
  /** What its attempt may use. */
  given?: Allowance;
  /** Queued, and refused for now: when it asks the ledger again. */
  askAgainMs?: number;
}

export interface EarlyCancel {
  readonly project: string;
  readonly reason: string;
  readonly by: string;
}

export interface ClosedTask {
  /** The how manyth ended task of the partition it was. */
  readonly n: number;
  readonly status: 'completed' | 'failed' | 'cancelled';
  /** Of what it was completed with. */
  readonly artifacts: readonly ArtifactRef[];
  /** As an open task's; and of its newest output, where it was not completed. */
  others?: ArtifactRef[];
  readonly parent?: string;
  readonly project?: string;
}

/** Waiting tasks of one project, one queue a priority; retries go before fresh ones of their priority. Maps keep insertion order. */
export interface ProjectQueues {
  readonly running: Set<string>;
  readonly retries: readonly Map<string, OpenTask>[];
  readonly fresh: readonly Map<string, OpenTask>[];
}

export interface SchedulingState {
  readonly tasks: Map<string, OpenTask>;
  readonly closed: Map<string, ClosedTask>;
  readonly projects: Map<string, ProjectQueues>;
  /** Open task -> tasks that wait for it. */
  readonly dependants: Map<string, Set<string>>;
  /** Tasks in stage `waiting` that wait for nothing any more. */
  readonly unblocked: Set<string>;
  /** Closed or narrow, by `<kind>/<id>` of a quota's subject. */
  readonly gates: Map<string, Gate>;
  readonly timers: Timers;
  /** By task: a cancel that came before it, as the two came from another node by different ways. */
  readonly early: Map<string, EarlyCancel>;
  /** Projects that are to be decided elsewhere, and leave when nothing of them runs any more. */
  readonly moving: Map<string, Move>;
  readonly dirty: Set<string>;
  /** Something may wait that nothing but a hold keeps back. Never saved: whoever begins looks. */
  kept: boolean;
  /** Count up with every queueing and every end: what orders queues and `closed` across a restart. */
  readonly clock: { queued: number; closed: number };
}

export const newState = (): SchedulingState => ({
  tasks: new Map(),
  closed: new Map(),
  projects: new Map(),
  dependants: new Map(),
  unblocked: new Set(),
  gates: new Map(),
  timers: newTimers(),
  early: new Map(),
  moving: new Map(),
  dirty: new Set(),
  kept: false,
  clock: { queued: 0, closed: 0 },
});

/** `urgent` first. */
const LEVELS = PRIORITIES.length;
export const levelOf = (priority: Priority): number => LEVELS - 1 - PRIORITIES.indexOf(priority);

export const queuesOf = (state: SchedulingState, project: string): ProjectQueues => {
  let queues = state.projects.get(project);
  if (!queues) {
    const levels = () => Array.from({ length: LEVELS }, () => new Map<string, OpenTask>());
    queues = { running: new Set(), retries: levels(), fresh: levels() };
    state.projects.set(project, queues);
  }
  return queues;
};

export const touch = (state: SchedulingState, task: OpenTask): void => {
  state.dirty.add(`t/${task.id}`);
};

/** Stages in which a task occupies one of its project's places. */
export const HOLDS_A_PLACE: ReadonlySet<Stage> = new Set<Stage>(['reserving', 'ready', 'running', 'validating']);

/** Stages that end at `dueMs`. */
const HAS_TIME: ReadonlySet<Stage> = new Set<Stage>(['ready', 'running', 'validating', 'retrying']);

/** Moves a task to another stage and keeps what is derived from it right. */
export const enter = (state: SchedulingState, task: OpenTask, stage: Stage): void => {
  leave(state, task);
  task.stage = stage;
  if (stage === 'waiting' && task.deps.length === 0) state.unblocked.add(task.id);
  if (stage === 'queued') {
    task.queuedAt ??= ++state.clock.queued;
    const queues = queuesOf(state, task.project);
    (task.attempt > 0 || task.asks !== undefined ? queues.retries : queues.fresh)[levelOf(task.priority)]!.set(task.id, task);
  } else {
    if (task.queuedAt !== undefined) delete task.queuedAt;
    if (task.askAgainMs !== undefined) delete task.askAgainMs;
    if (HOLDS_A_PLACE.has(stage)) queuesOf(state, task.project).running.add(task.id);
  }
  if (task.dueMs !== undefined && !HAS_TIME.has(stage)) delete task.dueMs;
  arm(state, task);
  touch(state, task);
};

const leave = (state: SchedulingState, task: OpenTask): void => {
  state.unblocked.delete(task.id);
  const queues = state.projects.get(task.project);
  if (!queues) return;
  if (task.stage === 'queued') {
    const level = levelOf(task.priority);
    if (!queues.retries[level]!.delete(task.id)) queues.fresh[level]!.delete(task.id);
  } else queues.running.delete(task.id);
};

/** Sets the timer to whichever comes first: the stage's due time or the deadline. */
export const arm = (state: SchedulingState, task: OpenTask): void => {
  const never = Number.POSITIVE_INFINITY;
  const due = Math.min(task.dueMs ?? never, task.deadlineMs ?? never, task.askAgainMs ?? never);
  if (due === Number.POSITIVE_INFINITY) clearTimer(state.timers, task.id);
  else setTimer(state.timers, task.id, due);
};

export const addTask = (state: SchedulingState, task: OpenTask): void => {
  state.tasks.set(task.id, task);
  for (const dep of task.deps) waitFor(state, dep, task.id);
  arm(state, task);
  touch(state, task);
};

const waitFor = (state: SchedulingState, dep: string, id: string): void => {
  const waiting = state.dependants.get(dep);
  if (waiting) waiting.add(id);
  else state.dependants.set(dep, new Set([id]));
};

/** A cancel of a task that is not known yet. */
export const cancelEarly = (state: SchedulingState, id: string, cancel: EarlyCancel): void => {
  if (state.closed.has(id) || state.early.has(id)) return;
  state.early.set(id, cancel);
  state.dirty.add(`e/${id}`);
  if (state.early.size > EARLY_LIMIT) dropEarly(state, state.early.keys().next().value!);
};

export const dropEarly = (state: SchedulingState, id: string): void => {
  if (state.early.delete(id)) state.dirty.add(`e/${id}`);
};

/** Ends a task: out of the queues, into `closed`. Its dependants and parent learn of it when its end is decided on. */
export const closeTask = (state: SchedulingState, task: OpenTask, status: ClosedTask['status']): void => {
  leave(state, task);
  clearTimer(state.timers, task.id);
  dropEarly(state, task.id);
  for (const dep of task.deps) {
    const waiting = state.dependants.get(dep);
    if (waiting?.delete(task.id) && waiting.size === 0) state.dependants.delete(dep);
  }
  state.tasks.delete(task.id);
  state.dirty.add(`t/${task.id}`);
  const others = [...(task.others ?? []), ...(status === 'completed' ? [] : task.artifacts.filter((made) => made.task_id === task.id))];
  state.closed.set(task.id, {
    n: ++state.clock.closed,
    status,
    artifacts: status === 'completed' ? task.artifacts : [],
    ...(others.length === 0 ? {} : { others }),
    project: task.project,
    ...(task.parent === undefined ? {} : { parent: task.parent }),
  });
  state.dirty.add(`c/${task.id}`);
  if (state.closed.size > CLOSED_LIMIT) {
    const oldest = state.closed.keys().next().value!;
    state.closed.delete(oldest);
    state.dirty.add(`c/${oldest}`);
  }
  const queues = state.projects.get(task.project);
  if (queues && queues.running.size === 0 && queueLength(queues) === 0) state.projects.delete(task.project);
};

/** Remembers where artifacts stand that the task does not go on with; says whether any of them is new. */
export const keepPlaces = (task: Pick<ClosedTask, 'artifacts' | 'others'>, made: readonly ArtifactRef[]): boolean => {
  const { artifacts, others = [] } = task;
  const anew = made.filter(({ artifact_id }) => ![...artifacts, ...others].some((one) => one.artifact_id === artifact_id));
  if (anew.length > 0) task.others = [...others, ...anew];
  return anew.length > 0;
};

/** A task it waited for is completed: its artifacts become inputs. */
const dependencyDone = (state: SchedulingState, task: OpenTask, dep: string, artifacts: readonly ArtifactRef[]): void => {
  task.deps = task.deps.filter((id) => id !== dep);
  task.inputs = [...task.inputs, ...artifacts];
  if (task.stage === 'waiting' && task.deps.length === 0) state.unblocked.add(task.id);
  touch(state, task);
};

/** A completed task hands its artifacts to those that waited for it, and to its parent. */
export const handOver = (state: SchedulingState, task: OpenTask): void => {
  for (const id of state.dependants.get(task.id) ?? []) dependencyDone(state, state.tasks.get(id)!, task.id, task.artifacts);
  state.dependants.delete(task.id);
  const parent = task.parent === undefined ? undefined : state.tasks.get(task.parent);
  if (!parent?.children) return;
  parent.children = parent.children.filter((id) => id !== task.id);
  parent.artifacts = [...parent.artifacts, ...task.artifacts];
  touch(state, parent);
};

export const queueLength = (queues: ProjectQueues): number => {
  let n = 0;
  for (let level = 0; level < LEVELS; level++) n += queues.retries[level]!.size + queues.fresh[level]!.size;
  return n;
};

/** 1 = next: how many would go before a task of that priority that is queued now, plus one. */
export const positionFor = (queues: ProjectQueues | undefined, priority: Priority): number => {
  if (!queues) return 1;
  let n = 1;
  for (let level = 0; level <= levelOf(priority); level++) n += queues.retries[level]!.size + queues.fresh[level]!.size;
  return n;
};

/** Tasks at the head of a project's queues among which those are looked for that may go; further back it is not looked. */
const LOOKED_AT = 1_000;

/** The first `count` tasks of the queues that `may` go, in order. */
export const firstInLine = (queues: ProjectQueues, count: number, may?: (task: OpenTask) => boolean): readonly OpenTask[] => {
  const found: OpenTask[] = [];
  let seen = 0;
  for (let level = 0; level < LEVELS; level++)
    for (const queue of [queues.retries[level]!, queues.fresh[level]!])
      for (const task of queue.values()) {
        if (found.length >= count || seen++ >= LOOKED_AT + count) return found;
        if (may === undefined || may(task)) found.push(task);
      }
  return found;
};

const CLOCK = 'k/clock';

const mapOf = ({ tasks, gates, closed, early, moving }: SchedulingState, key: string): ReadonlyMap<string, unknown> => {
  const kind = key[0];
  return kind === 't' ? tasks : kind === 'g' ? gates : kind === 'm' ? moving : kind === 'e' ? early : closed;
};

export const changes = (state: SchedulingState): ReadonlyMap<string, unknown> => {
  const entries = new Map<string, unknown>();
  if (state.dirty.size === 0) return entries;
  for (const key of state.dirty) {
    const id = key.slice(2);
    entries.set(key, mapOf(state, key).get(id) ?? null);
  }
  entries.set(CLOCK, { ...state.clock });
  state.dirty.clear();
  return entries;
};

export const restore = (entries: Iterable<readonly [string, unknown]>): SchedulingState => {
  const state = newState();
  state.kept = true;
  const queued: OpenTask[] = [];
  const closed: (readonly [string, ClosedTask])[] = [];
  for (const [key, value] of entries) {
    const id = key.slice(2);
    if (key === CLOCK) Object.assign(state.clock, value);
    else if (key[0] === 'g') state.gates.set(id, value as Gate);
    else if (key[0] === 'e') state.early.set(id, value as EarlyCancel);
    else if (key[0] === 'm') state.moving.set(id, value as Move);
    else if (key[0] === 'c') closed.push([id, value as ClosedTask]);
    else {
      const task = value as OpenTask;
      addTask(state, task);
      if (task.stage === 'queued') queued.push(task);
      else if (task.stage === 'waiting') enter(state, task, 'waiting');
      else if (HOLDS_A_PLACE.has(task.stage)) queuesOf(state, task.project).running.add(id);
    }
  }
  for (const [id, task] of closed.sort((a, b) => a[1].n - b[1].n)) state.closed.set(id, task);
  for (const task of queued.sort((a, b) => a.queuedAt! - b.queuedAt!)) enter(state, task, 'queued');
  state.dirty.clear();
  return state;
};
