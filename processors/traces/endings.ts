// How what is open of a task becomes spans: each is made once, when it ends, and everything within it has ended by then.
import { LIFECYCLE } from '../../schemas/index.js';
import { type Stage, spanIdOf } from './ids.js';
import { DATS, ERROR_TYPE, MESSAGING } from './names.js';
import type { Begun, OpenAttempt, OpenTask } from './open-task.js';
import type { AttributeValue, Span, SpanAttributes } from './span.js';

/** Where the records come from. */
export interface Place {
  /** `messaging.system`. */
  readonly system: string;
  readonly partition: number;
}

export interface Ending {
  readonly endMs: number;
  readonly attributes?: SpanAttributes;
  readonly error?: string | undefined;
}

export const endCheck = (place: Place, task: OpenTask, attempt: OpenAttempt, ending: Ending): Span => {
  const check = attempt.check!;
  delete attempt.check;
  return spanOf(place, task, { stage: 'check', name: 'check', attempt: attempt.n, begun: check, parent: ['attempt', attempt.n] }, ending);
};

/** Made once for every attempt, also where nobody was seen to begin it: the calls of models are its children. */
export const endGeneration = (place: Place, task: OpenTask, attempt: OpenAttempt, ending: Ending): Span => {
  const { generate, n } = attempt;
  attempt.generated = true;
  const own: SpanAttributes =
    generate === undefined
      ? { [DATS.starts]: 0 }
      : { [DATS.starts]: generate.starts, [DATS.worker]: generate.worker, [DATS.node]: generate.node };
  const span = { stage: 'generate' as const, name: 'generate', attempt: n, begun: generate ?? attempt, parent: ['attempt', n] as const };
  return spanOf(place, task, span, { ...ending, attributes: { ...own, ...ending.attributes } });
};

/** The open attempt with what is open of it; nothing where none is. */
export const endAttempt = (place: Place, task: OpenTask, ending: Ending, outcome: string): Span[] => {
  const { attempt } = task;
  if (attempt === undefined) return [];
  delete task.attempt;
  const spans: Span[] = [];
  if (!attempt.generated) spans.push(endGeneration(place, task, attempt, ending));
  if (attempt.check !== undefined) spans.push(endCheck(place, task, attempt, ending));
  const { n, tier, model } = attempt;
  const attributes: Record<string, AttributeValue> = { ...ending.attributes, [DATS.tier]: tier, [DATS.outcome]: outcome };
  if (model !== undefined) attributes[DATS.model] = model;
  spans.push(
    spanOf(
      place,
      task,
      { stage: 'attempt', name: `attempt ${n}`, attempt: n, begun: attempt, parent: ['task', 0] },
      { ...ending, attributes },
    ),
  );
  return spans;
};

/** Analysis or plan, where it is open. */
export const endStage = (place: Place, task: OpenTask, stage: 'analyse' | 'decompose', ending: Ending): Span[] => {
  const begun = task[stage];
  if (begun === undefined) return [];
  delete task[stage];
  return [spanOf(place, task, { stage, name: stage, attempt: 0, begun, parent: ['task', 0] }, { error: begun.error, ...ending })];
};

export const endTask = (place: Place, task: OpenTask, ending: Ending): Span[] => {
  const { attributes: ended, ...inner } = ending;
  const truncated = ended?.[DATS.truncated] === true ? { attributes: { [DATS.truncated]: true } } : {};
  const within = { ...inner, ...truncated };
  const spans = [
    ...endStage(place, task, 'analyse', within),
    ...endStage(place, task, 'decompose', within),
    ...endAttempt(place, task, within, truncated.attributes ? 'truncated' : String(ended?.[DATS.state])),
  ];
  const attributes: Record<string, AttributeValue> = {
    ...ended,
    [DATS.project]: task.project,
    [DATS.correlation]: task.correlation,
    [DATS.attempts]: task.attempts,
  };
  if (task.tier !== undefined) attributes[DATS.tier] = task.tier;
  if (task.domain !== undefined) attributes[DATS.domain] = task.domain;
  if (task.subtasks !== undefined) attributes[DATS.subtasks] = task.subtasks;
  if (task.parentTask !== undefined) attributes[DATS.parent] = task.parentTask;
  const span = spanOf(place, task, { stage: 'task', name: 'task', attempt: 0, begun: task }, { ...inner, attributes });
  const { parentSpanId: _none, ...root } = span;
  spans.push({ ...root, ...(task.parent === undefined ? {} : { parentSpanId: task.parent }), events: task.events });
  return spans;
};

interface Part {
  readonly stage: Stage;
  readonly name: string;
  readonly attempt: number;
  readonly begun: Begun;
  readonly parent?: readonly [Stage, number];
}

const spanOf = (
  place: Place,
  task: OpenTask,
  { stage, name, attempt, begun, parent }: Part,
  { endMs, attributes, error }: Ending,
): Span => ({
  traceId: task.trace,
  spanId: spanIdOf(task.id, stage, attempt),
  ...(parent === undefined ? {} : { parentSpanId: spanIdOf(task.id, ...parent) }),
  name,
  kind: 'internal',
  startMs: begun.from,
  endMs: Math.max(begun.from, endMs),
  attributes: {
    [DATS.task]: task.id,
    ...(attempt === 0 ? {} : { [DATS.attempt]: attempt }),
    [MESSAGING.system]: place.system,
    [MESSAGING.operation]: 'process',
    [MESSAGING.destination]: LIFECYCLE,
    [MESSAGING.partition]: String(place.partition),
    [MESSAGING.offset]: begun.at,
    ...attributes,
    ...(error === undefined ? {} : { [ERROR_TYPE]: error }),
  },
  events: [],
  ...(error === undefined ? {} : { error }),
});
