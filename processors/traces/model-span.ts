// One model call as a span: sizes and codes, never text. Stateless: its parent's id follows from task, attempt and purpose.
import type { EventOf, ModelCall } from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { isSampled, type Stage, spanIdOf, spanIdOfEvent, traceIdOf, traceIdOfEvent } from './ids.js';
import { DATS, ERROR_TYPE, GEN_AI } from './names.js';
import type { AttributeValue, Span } from './span.js';

const MS_PER_S = 1000;

/** The stage in which a call for a purpose is made. */
const STAGES: Readonly<Record<ModelCall['purpose'], Stage>> = {
  generate: 'generate',
  analyse: 'analyse',
  decompose: 'decompose',
  embed: 'task',
  chat: 'task',
  other: 'task',
};
/** Stages that a task goes through with each attempt. */
const OF_ATTEMPT: ReadonlySet<Stage> = new Set(['generate']);

const attributesOf = (call: ModelCall): Record<string, AttributeValue> => {
  const attributes: Record<string, AttributeValue> = {
    [GEN_AI.operation]: call.operation,
    [GEN_AI.provider]: call.provider,
    [GEN_AI.requestModel]: call.request_model,
    [GEN_AI.inputTokens]: call.input_tokens,
    [GEN_AI.outputTokens]: call.output_tokens,
    [DATS.model]: call.model,
    [DATS.purpose]: call.purpose,
    [DATS.node]: call.node,
  };
  if (call.response_model !== undefined) attributes[GEN_AI.responseModel] = call.response_model;
  if (call.finish_reason !== undefined) attributes[GEN_AI.finishReasons] = [call.finish_reason];
  if (call.time_to_first_chunk_ms !== undefined) attributes[GEN_AI.timeToFirstChunk] = call.time_to_first_chunk_ms / MS_PER_S;
  if (call.cost_usd !== undefined) attributes[DATS.costUsd] = call.cost_usd;
  if (call.task_id !== undefined) attributes[DATS.task] = call.task_id;
  if (call.attempt !== undefined) attributes[DATS.attempt] = call.attempt;
  return attributes;
};

/**
 * The span of a call; undefined where its trace is not to be recorded. It ends when the call was recorded, which is with the outcome of the work
 * it was made for. A call that no work item caused is in nobody's trace: it is one of its own.
 */
export const modelSpan = (event: EventOf<'dats.model.called'>): Span | undefined => {
  if (!isSampled(event)) return undefined;
  const { data, causationid } = event;
  const stage = STAGES[data.purpose];
  const within = data.task_id !== undefined && causationid !== undefined;
  const endMs = millisOf(event.time);
  const attributes = attributesOf(data);
  const error = data.outcome === 'ok' ? undefined : (data.error_type ?? data.outcome);
  if (error !== undefined) attributes[ERROR_TYPE] = error;
  return {
    traceId: within ? traceIdOf(event) : traceIdOfEvent(event.id),
    spanId: spanIdOfEvent(event.id),
    ...(within ? { parentSpanId: spanIdOf(data.task_id!, stage, OF_ATTEMPT.has(stage) ? (data.attempt ?? 0) : 0) } : {}),
    name: `${data.operation} ${data.request_model}`,
    kind: 'client',
    startMs: endMs - data.duration_ms,
    endMs,
    attributes,
    events: [],
    ...(error === undefined ? {} : { error }),
  };
};
