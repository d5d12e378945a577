// Traces as a fold of the log: events in, finished spans out. Pure: no clock, no randomness, no I/O.
//
// S1. One tree a task: every span but the root has its parent among the spans of its trace, or is told it by `traceparent`. S2. Whatever is open
// when a task ends is ended with it, so no span lacks its parent for good. S3. The same events give the same spans, also when they come twice in a
// row, and when the fold goes on from what `changes` gave (ids.ts). S4. At most MAX_OPEN_TASKS are kept: beyond, the oldest is ended where it
// stands and says so. S5. Late, repeated and foreign events make no span: what does not fit what is open is passed over.
import { type DatsEvent, type EventOf, type EventType, TASK_TYPES } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { type Ending, endAttempt, endCheck, endGeneration, endStage, endTask, type Place } from './endings.js';
import { callerSpanIdOf, isSampled, spanIdOf, traceIdOf } from './ids.js';
import { modelSpan } from './model-span.js';
import { DATS } from './names.js';
import type { Begun, OpenAttempt, OpenTask } from './open-task.js';
import type { Span, SpanAttributes } from './span.js';

/** Tasks of a partition whose spans are open at a time. */
export const MAX_OPEN_TASKS = 100_000;
/** Events that a task's span carries at most; what comes later is left out. */
const EVENTS_LIMIT = 64;

export interface SpanFold {
  /** The spans that end with this event. */
  take(event: DatsEvent, offset: number): readonly Span[];
  /** Entries that changed since the last call, by task id; null where one is to be deleted. */
  changes(): Map<string, string | null>;
}

/** What the fold looks at. */
export const TRACED_TYPES: ReadonlySet<string> = new Set<EventType>(['dats.model.called', ...TASK_TYPES]);

type TaskEvent = Extract<DatsEvent, { readonly type: `dats.task.${string}` }>;

/** A fold that begins anew, or goes on from saved entries. */
export const openSpanFold = (
  place: Place,
  saved: Iterable<readonly [taskId: string, json: string]> = [],
  maxOpenTasks: number = MAX_OPEN_TASKS,
): SpanFold => {
  const restored = [...saved].map(([, json]) => JSON.parse(json) as OpenTask).sort((a, b) => a.at - b.at);
  /** In the order in which they were created. */
  const tasks = new Map(restored.map((task) => [task.id, task]));
  const stored = new Set(tasks.keys());
  const touched = new Set<string>();

  const open = (event: EventOf<'dats.task.created'>, offset: number): readonly Span[] => {
    if (tasks.has(event.data.task_id) || !isSampled(event)) return [];
    const task = openTask(event, offset);
    tasks.set(task.id, task);
    touched.add(task.id);
    const oldest = tasks.values().next().value!;
    return tasks.size > maxOpenTasks ? close(oldest, { endMs: millisOf(event.time), attributes: { [DATS.truncated]: true } }) : [];
  };

  const close = (task: OpenTask, ending: Ending): readonly Span[] => {
    tasks.delete(task.id);
    touched.add(task.id);
    return endTask(place, task, ending);
  };

  return {
    take(event, offset) {
      if (event.type === 'dats.model.called') {
        const span = modelSpan(event);
        return span === undefined ? [] : [span];
      }
      if (event.type === 'dats.task.created') return open(event, offset);
      const task = isTaskEvent(event) ? tasks.get(event.data.task_id) : undefined;
      if (task === undefined) return [];
      const ending = endingOf(event);
      if (ending !== undefined) return close(task, ending);
      touched.add(task.id);
      return step(place, task, event as TaskEvent, offset);
    },
    changes() {
      const changed = new Map<string, string | null>();
      for (const id of touched) {
        const task = tasks.get(id);
        if (task !== undefined) {
          changed.set(id, JSON.stringify(task));
          stored.add(id);
        } else if (stored.delete(id)) changed.set(id, null);
      }
      touched.clear();
      return changed;
    },
  };
};

const isTaskEvent = (event: DatsEvent): event is TaskEvent => event.type.startsWith('dats.task.');

const openTask = (event: EventOf<'dats.task.created'>, at: number): OpenTask => {
  const { task_id: id, parent_id, options } = event.data;
  const from = millisOf(event.time);
  const parent = parent_id === undefined ? callerSpanIdOf(event) : spanIdOf(parent_id, 'task');
  return {
    id,
    project: event.projectid,
    correlation: event.correlationid,
    trace: traceIdOf(event),
    ...(parent === undefined ? {} : { parent }),
    ...(parent_id === undefined ? {} : { parentTask: parent_id }),
    wantsPlan: options.decompose === true && parent_id === undefined,
    from,
    at,
    attempts: 0,
    analyse: { from, at },
    events: [],
  };
};

/** How a task ends with this event; undefined where it does not. */
const endingOf = (event: DatsEvent): Ending | undefined => {
  const endMs = millisOf(event.time);
  switch (event.type) {
    case 'dats.task.completed':
      return { endMs, attributes: { [DATS.state]: 'completed' } };
    case 'dats.task.cancelled':
      return { endMs, attributes: { [DATS.state]: 'cancelled' } };
    case 'dats.task.failed':
      return { endMs, attributes: { [DATS.state]: 'failed' }, error: event.data.error.code };
    default:
      return undefined;
  }
};

/** Everything between a task's creation and its end. */
const step = (place: Place, task: OpenTask, event: TaskEvent, offset: number): readonly Span[] => {
  const now = millisOf(event.time);
  switch (event.type) {
    case 'dats.task.analyzed':
      return onAnalyzed(place, task, event, { from: now, at: offset });
    case 'dats.task.decomposed':
      task.subtasks = event.data.children.length;
      return endStage(place, task, 'decompose', { endMs: now, attributes: { [DATS.subtasks]: task.subtasks } });
    case 'dats.task.ready':
      return onReady(place, task, event, { from: now, at: offset });
    case 'dats.task.started':
      return onStarted(task, event, { from: now, at: offset });
    case 'dats.task.output.created':
      return onOutput(place, task, event, { from: now, at: offset });
    case 'dats.task.attempt.failed':
      return onAttemptFailed(place, task, event, now);
    case 'dats.task.validated':
    case 'dats.task.rejected':
      return onVerdict(place, task, event, now);
    case 'dats.task.timedout':
      return attemptOf(task, event.data.attempt) ? endAttempt(place, task, { endMs: now, error: 'timeout' }, 'timedout') : [];
    case 'dats.task.queued':
      return note(task, 'queued', now, { reason: event.data.reason, position: event.data.position });
    case 'dats.task.retry.scheduled': {
      const { attempt, backoff_ms, tier, escalated } = event.data;
      return note(task, 'retry scheduled', now, { [DATS.attempt]: attempt, backoff_ms, [DATS.tier]: tier, escalated });
    }
    case 'dats.task.cancel.requested':
      return note(task, 'cancel requested', now, {});
    default:
      return [];
  }
};

const note = (task: OpenTask, name: string, atMs: number, attributes: SpanAttributes): readonly Span[] => {
  if (task.events.length < EVENTS_LIMIT) task.events.push({ name, atMs, attributes });
  return [];
};

/** The open attempt, where it is that one. */
const attemptOf = ({ attempt }: OpenTask, n: number): OpenAttempt | undefined => (attempt?.n === n ? attempt : undefined);

const onAnalyzed = (place: Place, task: OpenTask, event: EventOf<'dats.task.analyzed'>, begun: Begun): readonly Span[] => {
  if (task.analyse === undefined) return [];
  const { tier, domain } = event.data;
  task.tier = tier;
  task.domain = domain;
  if (task.wantsPlan) task.decompose = begun;
  return endStage(place, task, 'analyse', { endMs: begun.from, attributes: { [DATS.tier]: tier, [DATS.domain]: domain } });
};

const onReady = (place: Place, task: OpenTask, event: EventOf<'dats.task.ready'>, begun: Begun): readonly Span[] => {
  const { attempt: n, tier, domain, model } = event.data;
  if (n <= task.attempts) return [];
  const spans = endAttempt(place, task, { endMs: begun.from }, 'superseded');
  task.attempts = n;
  task.tier = tier;
  task.domain = domain;
  task.attempt = { ...begun, n, tier, ...(model === undefined ? {} : { model }) };
  return spans;
};

const onStarted = (task: OpenTask, event: EventOf<'dats.task.started'>, begun: Begun): readonly Span[] => {
  const attempt = attemptOf(task, event.data.attempt);
  if (attempt === undefined || attempt.generated) return [];
  const { worker, node } = event.data;
  const before = attempt.generate;
  attempt.generate = { from: before?.from ?? begun.from, at: before?.at ?? begun.at, starts: (before?.starts ?? 0) + 1, worker, node };
  return [];
};

const onOutput = (place: Place, task: OpenTask, event: EventOf<'dats.task.output.created'>, begun: Begun): readonly Span[] => {
  const { data } = event;
  const attempt = attemptOf(task, data.attempt);
  if (attempt === undefined || attempt.generated) return [];
  // A quick answer shares its instant with the notice that it was begun (generation/start-notice.ts); how long it took it says itself.
  if (attempt.generate) attempt.generate.from = Math.max(attempt.from, Math.min(attempt.generate.from, begun.from - data.duration_ms));
  attempt.check = begun;
  return [
    endGeneration(place, task, attempt, {
      endMs: begun.from,
      attributes: { [DATS.model]: data.model, [DATS.artifacts]: data.artifacts.length },
    }),
  ];
};

const onAttemptFailed = (place: Place, task: OpenTask, event: EventOf<'dats.task.attempt.failed'>, now: number): readonly Span[] => {
  const { stage, attempt, error } = event.data;
  // Analysis and plan may still come another way: their spans end with what comes of them, or with the task.
  const before = stage === 'analysis' ? task.analyse : stage === 'decomposition' ? task.decompose : undefined;
  if (before !== undefined) before.error = error.code;
  const failed = attemptOf(task, attempt);
  const fits = stage === 'generation' ? failed?.generated === undefined : stage === 'qa' && failed?.check !== undefined;
  return failed !== undefined && fits ? endAttempt(place, task, { endMs: now, error: error.code }, 'failed') : [];
};

const onVerdict = (
  place: Place,
  task: OpenTask,
  { type, data }: EventOf<'dats.task.validated' | 'dats.task.rejected'>,
  now: number,
): readonly Span[] => {
  const attempt = attemptOf(task, data.attempt);
  if (attempt?.check === undefined) return [];
  const rejected = type === 'dats.task.rejected';
  const failedChecks = data.checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
  const ending = { endMs: now, error: rejected ? 'rejected' : undefined };
  const attributes = { [DATS.profile]: data.profile, [DATS.score]: data.score, [DATS.failedChecks]: failedChecks };
  const check = endCheck(place, task, attempt, { ...ending, attributes });
  return [check, ...endAttempt(place, task, ending, rejected ? 'rejected' : 'validated')];
};
