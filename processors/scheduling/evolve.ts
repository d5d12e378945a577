// How events change the scheduling state. What does not fit a task's stage and attempt changes nothing: that is what makes late and repeated events harmless.
import type { ArtifactRef, DatsEvent, EventOf } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { profileOf } from '../qa/profile.js';
import { type SchedulingPolicy, timeoutMs } from './policy.js';
import { addTask, closeTask, enter, handOver, type OpenTask, type SchedulingState, touch } from './state.js';

/** @param under the policy that held where an event was said: what is kept of it must come out the same whenever it is folded */
export const evolve = (
  under: (configversion: string) => SchedulingPolicy,
  state: SchedulingState,
  event: DatsEvent,
  offset: number,
): void => {
  if (event.type === 'dats.task.created') return created(under(event.configversion), state, event, offset);
  if (!('task_id' in event.data) || event.data.task_id === undefined) return;
  const task = state.tasks.get(event.data.task_id);
  if (!task) return;
  switch (event.type) {
    case 'dats.task.analyzed':
      if (task.stage !== 'pending') return;
      task.tier = event.data.tier;
      task.domain = event.data.domain;
      if (task.options.decompose && task.parent === undefined) task.stage = 'decomposing';
      return touch(state, task);
    case 'dats.task.decomposed':
      if (task.stage !== 'decomposing') return;
      task.children = event.data.children.map((child) => child.task_id);
      return enter(state, task, 'children');
    case 'dats.task.queued':
      return enter(state, task, event.data.reason === 'dependencies' ? 'waiting' : 'queued');
    case 'dats.task.ready':
      task.attempt = event.data.attempt;
      task.tier = event.data.tier;
      task.dueMs = millisOf(event.data.due);
      return enter(state, task, 'ready');
    case 'dats.task.started':
      if (task.attempt !== event.data.attempt || task.stage !== 'ready') return;
      task.stage = 'running';
      return touch(state, task);
    case 'dats.task.output.created':
      if (!awaitsOutput(task, event.data.attempt)) return;
      task.output = offset;
      task.artifacts = refsOf(event, offset);
      task.stage = 'validating';
      return touch(state, task);
    case 'dats.task.attempt.failed':
    case 'dats.task.rejected':
      if (task.attempt !== event.data.attempt) return;
      task.rejected = offset;
      return touch(state, task);
    case 'dats.task.retry.scheduled':
      task.dueMs = millisOf(event.data.due);
      task.tier = event.data.tier;
      return enter(state, task, 'retrying');
    case 'dats.task.completed':
      closeTask(state, task, 'completed');
      return handOver(state, task);
    case 'dats.task.failed':
      return closeTask(state, task, 'failed');
    case 'dats.task.cancelled':
      return closeTask(state, task, 'cancelled');
  }
};

export const awaitsOutput = (task: OpenTask, attempt: number): boolean =>
  task.attempt === attempt && (task.stage === 'ready' || task.stage === 'running');

const created = (policy: SchedulingPolicy, state: SchedulingState, event: EventOf<'dats.task.created'>, offset: number): void => {
  const { data } = event;
  if (state.tasks.has(data.task_id) || state.closed.has(data.task_id)) return;
  const parent = data.parent_id === undefined ? undefined : state.tasks.get(data.parent_id);
  const deadlineMs = data.options.deadline === undefined ? undefined : Date.parse(data.options.deadline);
  const createdMs = millisOf(event.time);
  const inputs = data.depends_on.length === 0 ? data.inputs : [...data.inputs, ...data.depends_on.flatMap((id) => artifactsOf(state, id))];
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

const artifactsOf = (state: SchedulingState, id: string): readonly ArtifactRef[] => state.closed.get(id)?.artifacts ?? [];

const refsOf = (event: EventOf<'dats.task.output.created'>, offset: number): ArtifactRef[] =>
  event.data.artifacts.map(({ artifact_id, path, sha256 }) => ({ artifact_id, task_id: event.data.task_id, path, sha256, at: offset }));
