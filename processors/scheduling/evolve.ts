// How events change the scheduling state. What does not fit a task's stage and attempt changes nothing: that is what makes late and repeated events harmless.
import type { ArtifactRef, DatsEvent, EventOf } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { profileOf } from '../qa/profile.js';
import { asked, ended, granted, refused, released } from './gates.js';
import { begin, forget, settleIn } from './move.js';
import { type SchedulingPolicy, timeoutMs } from './policy.js';
import { count, unknownUse, usedBy, usedFor } from './quota.js';
import { addTask, arm, cancelEarly, closeTask, enter, handOver, keepPlaces, type OpenTask, type SchedulingState, touch } from './state.js';

/** @param under the policy that held where an event was said: what is kept of it must come out the same whenever it is folded */
export const evolve = (
  under: (configversion: string) => SchedulingPolicy,
  state: SchedulingState,
  event: DatsEvent,
  offset: number,
): void => {
  if (event.type === 'dats.task.created') return created(under(event.configversion), state, event, offset);
  if (event.type.startsWith('dats.project.')) return moves(state, event);
  if (!('task_id' in event.data) || event.data.task_id === undefined) return;
  const task = state.tasks.get(event.data.task_id);
  if (!task) return event.type === 'dats.task.output.created' ? late(state, event, offset) : undefined;
  switch (event.type) {
    case 'dats.task.analyzed':
      if (task.stage !== 'pending') return;
      task.tier = event.data.tier;
      task.domain = event.data.domain;
      task.estimate = event.data.estimated_tokens;
      if (event.data.calls !== undefined) count(task, usedBy(event.data.calls));
      if (task.options.decompose && task.parent === undefined) task.stage = 'decomposing';
      // What was asked for at another node may have been on its way for longer than that.
      if (task.dueMs !== undefined && task.dueMs <= millisOf(event.time)) {
        task.dueMs = millisOf(event.time) + timeoutMs(under(event.configversion), task.options);
        arm(state, task);
      }
      return touch(state, task);
    case 'dats.task.decomposed':
      if (task.stage !== 'decomposing') return;
      task.children = event.data.children.map((child) => child.task_id);
      if (event.data.calls !== undefined) count(task, usedBy(event.data.calls));
      return enter(state, task, 'children');
    case 'dats.task.queued':
      if (event.data.reservation_id !== undefined) return asked(state, task, event.data.reservation_id);
      // Who is queued already goes to the end.
      if (task.stage === 'queued') {
        delete task.queuedAt;
        delete task.askAgainMs;
      }
      return enter(state, task, event.data.reason === 'dependencies' ? 'waiting' : 'queued');
    case 'dats.quota.blocked': {
      const { reservation_id, retry_at } = event.data;
      if (!isAwaited(task, reservation_id) || retry_at === undefined) return;
      return refused(state, task, event.data, millisOf(retry_at));
    }
    case 'dats.task.ready':
      task.attempt = event.data.attempt;
      task.tier = event.data.tier;
      task.dueMs = millisOf(event.data.due);
      takeUp(task, event);
      granted(state, task);
      return enter(state, task, 'ready');
    case 'dats.task.started':
      if (task.attempt !== event.data.attempt || task.stage !== 'ready') return;
      task.stage = 'running';
      return touch(state, task);
    case 'dats.task.output.created':
      return outputCreated(state, task, event, offset);
    case 'dats.task.attempt.failed':
      if (task.attempt !== event.data.attempt) return;
      failed(state, task, event);
      task.rejected = offset;
      return touch(state, task);
    case 'dats.task.timedout':
      if (!awaitsOutput(task, event.data.attempt)) return;
      count(task, unknownUse(task));
      released(state, task);
      return touch(state, task);
    case 'dats.task.rejected':
      if (task.attempt !== event.data.attempt) return;
      task.rejected = offset;
      return touch(state, task);
    case 'dats.task.retry.scheduled':
      task.dueMs = millisOf(event.data.due);
      task.tier = event.data.tier;
      return enter(state, task, 'retrying');
    case 'dats.task.completed':
      close(state, task, 'completed');
      return handOver(state, task);
    case 'dats.task.failed':
      return close(state, task, 'failed');
    case 'dats.task.cancelled':
      return close(state, task, 'cancelled');
  }
};

const outputCreated = (state: SchedulingState, task: OpenTask, event: EventOf<'dats.task.output.created'>, offset: number): void => {
  const made = refsOf(event, offset);
  if (!awaitsOutput(task, event.data.attempt)) return keepPlaces(task, made) ? touch(state, task) : undefined;
  const before = task.artifacts;
  task.output = offset;
  task.artifacts = made;
  keepPlaces(task, before);
  count(task, usedFor(event.data));
  released(state, task);
  task.stage = 'validating';
  touch(state, task);
};

const close = (state: SchedulingState, task: OpenTask, status: 'completed' | 'failed' | 'cancelled'): void => {
  ended(state, task);
  if (awaitsOutput(task, task.attempt)) released(state, task);
  closeTask(state, task, status);
};

/** What an attempt may use, and its reservation where it has one. */
const takeUp = (task: OpenTask, { data: { reservation_id, allowance } }: EventOf<'dats.task.ready'>): void => {
  if (reservation_id !== undefined) task.reservation = reservation_id;
  else if (task.reservation !== undefined) delete task.reservation;
  if (allowance?.tokens !== undefined || allowance?.cost_usd !== undefined) task.given = allowance;
  else if (task.given !== undefined) delete task.given;
};

const failed = (state: SchedulingState, task: OpenTask, { data }: EventOf<'dats.task.attempt.failed'>): void => {
  const { stage, attempt, calls } = data;
  if (stage === 'generation') {
    if (!awaitsOutput(task, attempt)) return;
    count(task, calls === undefined ? unknownUse(task) : usedBy(calls));
    released(state, task);
  } else if (calls !== undefined && EXPECTED_IN[stage] === task.stage) count(task, usedBy(calls));
};
const EXPECTED_IN = { analysis: 'pending', decomposition: 'decomposing', qa: 'validating' } as const;

/** Is the answer of the ledger to `reservation` what the task waits for? */
export const isAwaited = (task: OpenTask, reservation: string | undefined): boolean =>
  task.stage === 'reserving' && task.reservation === reservation;

export const awaitsOutput = (task: OpenTask, attempt: number): boolean =>
  task.attempt === attempt && (task.stage === 'ready' || task.stage === 'running');

/** Where there are several nodes a cancel may come before its task: the two came by different ways. On one node nobody knows a task before it is there. */
export const noteEarly = (state: SchedulingState, event: DatsEvent): void => {
  if (event.type !== 'dats.task.cancel.requested' || state.tasks.has(event.data.task_id)) return;
  const { task_id, reason, by } = event.data;
  cancelEarly(state, task_id, { project: event.projectid, reason, by });
};

const moves = (state: SchedulingState, event: DatsEvent): void => {
  const { projectid, correlationid } = event;
  const move = state.moving.get(projectid);
  switch (event.type) {
    case 'dats.project.move.started':
      return begin(state, projectid, { to: event.data.to, at: event.data.requested_at, correlationid });
    case 'dats.project.released':
      return move === undefined ? undefined : begin(state, projectid, { ...move, released: true });
    case 'dats.project.moved':
      return move === undefined ? undefined : forget(state, projectid);
    case 'dats.project.arrived':
      return settleIn(state, projectid);
  }
};

const created = (policy: SchedulingPolicy, state: SchedulingState, event: EventOf<'dats.task.created'>, offset: number): void => {
  const { data } = event;
  if (state.tasks.has(data.task_id) || state.closed.has(data.task_id)) return;
  const parent = data.parent_id === undefined ? undefined : state.tasks.get(data.parent_id);
  const deadlineMs = data.options.deadline === undefined ? undefined : Date.parse(data.options.deadline);
  const createdMs = millisOf(event.time);
  const named = data.inputs.length === 0 ? data.inputs : data.inputs.map((input) => asHere(state, input));
  const inputs = data.depends_on.length === 0 ? named : [...named, ...data.depends_on.flatMap((id) => artifactsOf(state, id))];
  const task: Filled<OpenTask> = {
    id: data.task_id,
    project: event.projectid,
    priority: data.priority,
    correlationid: event.correlationid,
    createdMs,
    dueMs: createdMs + timeoutMs(policy, data.options),
    at: offset,
    options: data.options,
    hasTests: data.tests !== undefined,
    profile: profileOf(data),
    stage: 'pending',
    attempt: 0,
    tier: data.options.tier ?? 'small',
    domain: 'general',
    deps: data.depends_on.filter((id) => state.tasks.has(id)),
    inputs,
    artifacts: [],
    user: parent?.user ?? data.submitted_by,
  };
  if (event.traceparent !== undefined) task.traceparent = event.traceparent;
  if (parent !== undefined) {
    task.parent = parent.id;
    task.parentAt = parent.at;
  }
  if (deadlineMs !== undefined) task.deadlineMs = deadlineMs;
  addTask(state, task);
};

/** Filled field by field: spreading optional fields costs several times as much. */
type Filled<T> = { -readonly [K in keyof T]: T[K] };

/** Who asked at another node named its place there; it need not be what its task goes on with, or has ended with. */
const asHere = (state: SchedulingState, input: ArtifactRef): ArtifactRef => {
  const task = state.tasks.get(input.task_id) ?? state.closed.get(input.task_id);
  return [...(task?.artifacts ?? []), ...(task?.others ?? [])].find(({ artifact_id }) => artifact_id === input.artifact_id) ?? input;
};

/** An output of a task that has ended: it changes nothing, but may be named. */
const late = (state: SchedulingState, event: EventOf<'dats.task.output.created'>, offset: number): void => {
  const task = state.closed.get(event.data.task_id);
  if (task !== undefined && keepPlaces(task, refsOf(event, offset))) state.dirty.add(`c/${event.data.task_id}`);
};

const artifactsOf = (state: SchedulingState, id: string): readonly ArtifactRef[] => state.closed.get(id)?.artifacts ?? [];

const refsOf = (event: EventOf<'dats.task.output.created'>, offset: number): ArtifactRef[] =>
  event.data.artifacts.map(({ artifact_id, path, sha256 }) => ({ artifact_id, task_id: event.data.task_id, path, sha256, at: offset }));
