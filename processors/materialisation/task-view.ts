// A task as the API shows it, and what it made: the fold of its events, and of what was found out about its artifacts later. Pure.
import {
  type ArtifactView,
  type DatsEvent,
  type EventOf,
  type QaProfile,
  statusOf,
  type TaskState,
  type TaskView,
} from '../../schemas/index.js';
import type { Document } from '../../streams/index.js';
import { profileOf } from '../qa/profile.js';
import { flagsOf, isMark, type MarkEvent, mergedMarks, type TaskMarks, taintOf, withMark } from './marks.js';

/** Longest title, in characters. */
const TITLE_LENGTH = 200;

const created = (event: EventOf<'dats.task.created'>, offset: number): TaskView => {
  const { data } = event;
  return {
    task_id: data.task_id,
    project_id: event.projectid,
    status: 'pending',
    state: 'pending',
    title: titleOf(data.description.content ?? `(${data.description.bytes} bytes)`),
    priority: data.priority,
    mode: null,
    domain: null,
    tier: data.options.tier ?? null,
    complexity: null,
    confidence: null,
    qa_profile: profileOf(data),
    confidentiality: data.options.confidentiality ?? null,
    attempt: 0,
    model: null,
    scripted: null,
    submitted_by: data.submitted_by,
    correlation_id: event.correlationid,
    created_at: event.time,
    started_at: null,
    completed_at: null,
    updated_at: event.time,
    estimated_completion: null,
    execution_time_ms: null,
    artifacts: [],
    provenance_id: null,
    parent_id: data.parent_id ?? null,
    children: [],
    depends_on: data.depends_on,
    verdict: null,
    error: null,
    waiting_for: null,
    flags: [],
    first_offset: offset,
    last_offset: offset,
  };
};

const titleOf = (text: string): string => {
  const line = text.trimStart().split('\n', 1)[0]!.trim();
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1)}…` : line;
};

type Change = Partial<MutableTaskView>;

const to = (state: TaskState, change: Change = {}): Change => ({ state, status: statusOf(state), ...change });

/** What an event changes; undefined: nothing. */
const changeOf = (view: TaskView, event: DatsEvent): Change | undefined => {
  switch (event.type) {
    case 'dats.task.analyzed': {
      const { mode, domain, tier, complexity, confidence, estimated_completion } = event.data;
      return view.state === 'pending' ? to('analyzing', { mode, domain, tier, complexity, confidence, estimated_completion }) : undefined;
    }
    case 'dats.task.decomposed':
      return to('waiting', { children: event.data.children.map((child) => child.task_id), waiting_for: 'its subtasks' });
    case 'dats.task.queued':
      return event.data.reason === 'dependencies'
        ? to('waiting', { waiting_for: 'the tasks it depends on' })
        : to('queued', { waiting_for: awaited(event) });
    case 'dats.quota.blocked': {
      const { subject, limit, allowed, retry_at } = event.data;
      if (view.state !== 'queued' || retry_at === undefined) return undefined;
      return { waiting_for: `its turn: ${limit} of ${subject.kind} ${subject.id} is ${allowed}; asks again at ${retry_at}` };
    }
    case 'dats.task.ready':
      return to('queued', { attempt: event.data.attempt, tier: event.data.tier, waiting_for: 'a free worker' });
    case 'dats.task.started':
      return view.attempt === event.data.attempt && view.state === 'queued'
        ? to('running', { started_at: view.started_at ?? event.time, waiting_for: null })
        : undefined;
    case 'dats.task.output.created': {
      const { artifacts, model, scripted, attempt } = event.data;
      if (view.attempt !== attempt) return undefined;
      const listed = artifacts.map(({ artifact_id, type, path, sha256, bytes }) => ({ artifact_id, type, path, sha256, bytes }));
      return to('validating', { started_at: view.started_at ?? event.time, artifacts: listed, model, scripted, waiting_for: null });
    }
    case 'dats.task.validated':
    case 'dats.task.rejected':
      return view.attempt === event.data.attempt ? { verdict: verdictOf(event) } : undefined;
    case 'dats.task.attempt.failed':
      return view.attempt === event.data.attempt ? { error: event.data.error } : undefined;
    case 'dats.task.retry.scheduled':
      return to('retrying', { tier: event.data.tier, waiting_for: `its next attempt at ${event.data.due}: ${event.data.reason}` });
    default:
      return ended(view, event);
  }
};

const awaited = ({ data: { reason, position, reservation_id } }: EventOf<'dats.task.queued'>): string => {
  if (reservation_id !== undefined) return 'its budget to be set aside';
  return reason === 'quota' ? `its turn under a quota (position ${position})` : `a free place in its project (position ${position})`;
};

const ended = (view: TaskView, event: DatsEvent): Change | undefined => {
  const time = { completed_at: event.time, waiting_for: null };
  switch (event.type) {
    case 'dats.task.completed':
      return to('completed', {
        ...time,
        error: null,
        execution_time_ms: event.data.execution_time_ms,
        provenance_id: event.data.provenance_id,
      });
    case 'dats.task.failed':
      return to('failed', {
        ...time,
        error: event.data.error,
        execution_time_ms: Math.max(0, Date.parse(event.time) - Date.parse(view.created_at)),
      });
    case 'dats.task.cancelled':
      return to('cancelled', {
        ...time,
        error: { code: 'cancelled', message: `by ${event.data.by}: ${event.data.reason}`, retryable: false },
      });
    default:
      return undefined;
  }
};

const verdictOf = (event: EventOf<'dats.task.validated' | 'dats.task.rejected'>): TaskView['verdict'] => {
  const { attempt, profile, score, checks } = event.data;
  const reasons = event.type === 'dats.task.rejected' ? event.data.reasons : [];
  return { attempt, passed: event.type === 'dats.task.validated', profile: profile satisfies QaProfile, score, checks, reasons };
};

const FINAL: ReadonlySet<TaskState> = new Set<TaskState>(['completed', 'failed', 'cancelled']);

/** A task as it is stored: with the marks of its artifacts, once there are any. */
export interface TaskDoc extends TaskView {
  readonly marks?: TaskMarks;
}

/** A view that is being folded. */
export type MutableTaskDoc = { -readonly [K in keyof TaskDoc]: TaskDoc[K] };
type MutableTaskView = Omit<MutableTaskDoc, 'marks'>;

/**
 * Takes an event that stands at `offset` into a view, in place. Events at or below `last_offset` are in it already, marks at or below `marks.at`. After the
 * end only marks change it.
 */
export const foldTask = (view: MutableTaskDoc, event: DatsEvent, offset: number): void => {
  if (isMark(event)) return foldMark(view, event, offset);
  if (offset <= view.last_offset || FINAL.has(view.state)) return;
  const change = changeOf(view, event);
  view.last_offset = offset;
  if (!change) return;
  view.updated_at = event.time;
  Object.assign(view, change);
  if (view.marks !== undefined && change.artifacts !== undefined) view.flags = flagsOf(view.marks, view.artifacts);
};

const foldMark = (view: MutableTaskDoc, event: MarkEvent, offset: number): void => {
  const marks = withMark(view.marks, event, offset);
  if (marks === view.marks) return;
  view.marks = marks;
  view.flags = flagsOf(marks, view.artifacts);
  view.updated_at = event.time;
};

/** The artifacts of a completed subtask are its parent's too, as they stand. */
export const handUp = (parent: MutableTaskDoc, child: TaskDoc, offset: number): void => {
  parent.artifacts = [...parent.artifacts, ...child.artifacts];
  parent.last_offset = offset;
  if (child.marks === undefined) return;
  parent.marks = mergedMarks(parent.marks, child.marks);
  parent.flags = flagsOf(parent.marks, parent.artifacts);
};

/** What the API shows of a task. */
export const shownTask = (doc: TaskDoc): TaskView => {
  if (doc.marks === undefined) return doc;
  const { marks: _marks, ...view } = doc;
  return view;
};

/**
 * The view after `event`, which stands at `offset` of the task's partition: `current` is left as it is. Only its creation makes a view of nothing.
 */
export const projectTask = (current: TaskDoc | undefined, event: DatsEvent, offset: number): TaskDoc | undefined => {
  if (event.type === 'dats.task.created') return current ?? created(event, offset);
  if (!current) return undefined;
  const next = { ...current };
  foldTask(next, event, offset);
  return next;
};

/** How a task's view is stored. Its index keys never change, so only the first write needs them. */
export const taskDocument = (view: TaskDoc, first = true): Document => {
  const version = Math.max(view.last_offset, view.marks?.at ?? 0) + 1;
  const document = { collection: 'task', id: view.task_id, version, doc: view };
  if (!first) return document;
  const when = `${view.created_at}/${view.task_id}`;
  const indexes = [`project/${view.project_id}/${when}`, `all/${when}`];
  if (view.parent_id !== null) indexes.push(`parent/${view.parent_id}/${when}`);
  return { ...document, indexes };
};

/** An artifact as it is stored: what was so when it was made. How it stands now is with its task. */
export type ArtifactDoc = Omit<ArtifactView, 'accepted' | 'taint'>;

/** The artifacts of an output. */
export const artifactDocs = (event: EventOf<'dats.task.output.created'>, offset: number): readonly ArtifactDoc[] =>
  event.data.artifacts.map(({ artifact_id, type, path, sha256, bytes }) => ({
    artifact_id,
    task_id: event.data.task_id,
    project_id: event.projectid,
    type,
    path,
    sha256,
    bytes,
    attempt: event.data.attempt,
    created_at: event.time,
    model: event.data.model,
    provider: event.data.provider,
    scripted: event.data.scripted,
    prompt_version: event.data.prompt_version,
    consumed: event.data.consumed.map((ref) => ref.artifact_id),
    at: offset,
  }));

/** What the API shows of an artifact, by what is known of the task that made it. */
export const shownArtifact = (artifact: ArtifactDoc, task: TaskDoc | undefined): ArtifactView => ({
  ...artifact,
  accepted: task?.state === 'completed' && task.artifacts.some(({ artifact_id }) => artifact_id === artifact.artifact_id),
  taint: taintOf(task?.marks, artifact.artifact_id),
});
