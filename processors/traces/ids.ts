// Ids of traces and spans, derived from what they are about: whoever computes them gets the same ones, in any process, at any time.
//
// I1. A span's id follows from task, stage and attempt, or from the event it was made of; a trace's id from the `traceparent` of its events,
// else from their correlation id. I2. No id is all zero (W3C Trace Context). I3. Never changed: an export that is repeated after an update must
// give the same ids.
import { hash } from 'node:crypto';
import type { DatsEvent } from '../../schemas/index.js';

export type Stage = 'task' | 'analyse' | 'decompose' | 'attempt' | 'generate' | 'check';

const TRACE_DIGITS = 32;
const SPAN_DIGITS = 16;
const SAMPLED = 1;

const digest = (digits: number, parts: readonly (string | number)[]): string => {
  const id = hash('sha256', parts.join('\u001f'), 'hex').slice(0, digits);
  return /^0+$/.test(id) ? `${id.slice(1)}1` : id;
};

/** The id of a task's span. `attempt` is 0 for what belongs to no attempt. */
export const spanIdOf = (taskId: string, stage: Stage, attempt = 0): string => digest(SPAN_DIGITS, ['span', taskId, stage, attempt]);

/** The id of a span that was made of one event. */
export const spanIdOfEvent = (eventId: string): string => digest(SPAN_DIGITS, ['event', eventId]);

/** The id of a trace that holds one event and nothing else. */
export const traceIdOfEvent = (eventId: string): string => digest(TRACE_DIGITS, ['event', eventId]);

type Traced = Pick<DatsEvent, 'traceparent' | 'correlationid'>;

/** The trace that an event belongs to. */
export const traceIdOf = ({ traceparent, correlationid }: Traced): string =>
  traceparent === undefined ? digest(TRACE_DIGITS, ['trace', correlationid]) : traceparent.slice(3, 35);

/** Does whoever began the trace want it recorded? True where nobody said. */
export const isSampled = ({ traceparent }: Traced): boolean =>
  traceparent === undefined || (Number.parseInt(traceparent.slice(53, 55), 16) & SAMPLED) === SAMPLED;

/**
 * The span that a task's creation continues; undefined where its trace begins with the task. A gateway that exports no span of its own
 * writes the digits of the event's id there (gateway/middleware/correlation.ts): a span that nobody has.
 */
export const callerSpanIdOf = ({ traceparent, id }: Pick<DatsEvent, 'traceparent' | 'id'>): string | undefined => {
  if (traceparent === undefined) return undefined;
  const span = traceparent.slice(36, 52);
  return id.replaceAll('-', '').slice(-SPAN_DIGITS) === span ? undefined : span;
};

/** `traceparent` for a request that is made within a stage of a task: `event` is any event of the task's chain. */
export const traceparentWithin = (event: Traced, taskId: string, stage: Stage, attempt = 0): string =>
  `00-${traceIdOf(event)}-${spanIdOf(taskId, stage, attempt)}-${isSampled(event) ? '01' : '00'}`;
