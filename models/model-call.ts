// One call to one model, from the request to the answer, and the telemetry record it leaves.
//
// K1. Every call that was made leaves exactly one record, however it ended, before its outcome is seen by the caller.
import type { Decision, ModelConfig } from '../schemas/index.js';
import { costOf, promptTokensOf, tokensOf } from './accounting.js';
import { type CallDeps, type End, errorTypeOf, outcomeOf, recordCall, type Tokens } from './call-record.js';
import { modelFault } from './faults.js';
import type { Answer, Ask } from './gateway.js';
import type { GenerateChunk, GenerateRequest, ToolCallChunk } from './runner.js';
import { collectToolCalls, type ToolCalls } from './tool-calls.js';

export interface ModelCallDeps extends CallDeps {
  /** The answer is cut to so many tokens. */
  readonly max_tokens: number;
  /** Told when the first chunk comes, before anything of it is shown. */
  readonly onFirst?: (() => void) | undefined;
  /** Told of text and tool calls as they come, instead of what the ask names. */
  readonly onText?: ((text: string) => void) | undefined;
  readonly onToolCall?: ((chunk: ToolCallChunk) => void) | undefined;
}

type Done = Extract<GenerateChunk, { kind: 'done' }>;

/** Filled field by field below: spreading optional fields costs microseconds in a path that has few to spend. */
type Filled<T> = { -readonly [K in keyof T]: T[K] };

const hintsOf = ({ hints, purpose, tier, attempt }: Ask): Record<string, string | number> => {
  const own: Record<string, string | number> = hints === undefined ? {} : { ...hints };
  own.purpose = purpose;
  own.tier = tier;
  if (attempt !== undefined) own.attempt = attempt;
  return own;
};

/** How long an answer is asked for, before anything is set aside for it. */
export const wantedTokens = (ask: Ask, config: ModelConfig): number =>
  Math.min(ask.max_tokens ?? config.max_output_tokens, config.max_output_tokens);

const requestOf = (ask: Ask, { max_tokens, loaded }: ModelCallDeps): GenerateRequest => {
  const request: Filled<GenerateRequest> = { messages: ask.messages, max_tokens, hints: hintsOf(ask) };
  if (ask.temperature !== undefined) request.temperature = ask.temperature;
  if (ask.seed !== undefined) request.seed = ask.seed;
  if (ask.stop !== undefined) request.stop = ask.stop;
  if (ask.top_p !== undefined) request.top_p = ask.top_p;
  if (ask.presence_penalty !== undefined) request.presence_penalty = ask.presence_penalty;
  if (ask.frequency_penalty !== undefined) request.frequency_penalty = ask.frequency_penalty;
  if (ask.json !== undefined) request.json = ask.json;
  if (ask.json_schema !== undefined) request.json_schema = ask.json_schema;
  if (ask.tools !== undefined) request.tools = ask.tools;
  if (ask.tool_choice !== undefined) request.tool_choice = ask.tool_choice;
  if (loaded !== undefined) request.loaded = loaded;
  if (ask.traceparent !== undefined) request.traceparent = ask.traceparent;
  return request;
};

/** What was certainly used by a call that did not end: nothing where no chunk came, else what can be estimated. */
const usedBy = (request: GenerateRequest, chars: number): Tokens =>
  chars === 0 ? { input_tokens: 0, output_tokens: 0 } : { input_tokens: promptTokensOf(request), output_tokens: tokensOf(chars) };

/** What came so far. */
interface Stream {
  first: number | undefined;
  text: string;
  tools: ToolCalls | undefined;
}

/** @throws what the runner threw, or the signal's reason. */
const read = async (deps: ModelCallDeps, ask: Ask, request: GenerateRequest, got: Stream, signal: AbortSignal): Promise<Done> => {
  const { clock, onText = ask.onText, onToolCall = ask.onToolCall, onFirst } = deps;
  const started = clock.now();
  let done: Done | undefined;
  for await (const chunk of deps.runner.generate(request, signal)) {
    if (got.first === undefined) {
      got.first = clock.now() - started;
      onFirst?.();
    }
    // Another model may have won meanwhile: nothing of this one is shown any more.
    if (onFirst !== undefined && signal.aborted) throw signal.reason;
    if (chunk.kind === 'text') {
      got.text += chunk.text;
      onText?.(chunk.text);
    } else if (chunk.kind === 'tool_call') {
      got.tools ??= collectToolCalls();
      got.tools.add(chunk);
      onToolCall?.(chunk);
    } else done = chunk;
  }
  if (done === undefined) throw modelFault(deps.config.id, 'model_garbage', { detail: 'the stream ended without its end' });
  return done;
};

const answerOf = (deps: ModelCallDeps, { first, text, tools }: Stream, done: Done, duration_ms: number, decision: Decision): Answer => {
  const { config, runner, price } = deps;
  const answer: Filled<Answer> = {
    text,
    model: config.id,
    provider: runner.provider,
    scripted: runner.scripted,
    finish_reason: done.finish_reason,
    input_tokens: done.input_tokens,
    output_tokens: done.output_tokens,
    duration_ms,
    decision,
  };
  const calls = tools?.all();
  if (calls !== undefined) answer.tool_calls = calls;
  if (done.cached_input_tokens !== undefined) answer.cached_input_tokens = done.cached_input_tokens;
  if (price !== undefined) answer.cost_usd = costOf(price, done.input_tokens, done.output_tokens);
  if (done.response_model !== undefined) answer.response_model = done.response_model;
  if (done.model_digest !== undefined) answer.model_digest = done.model_digest;
  if (first !== undefined) answer.time_to_first_chunk_ms = first;
  return answer;
};

/** @throws what the runner threw, or the signal's reason; `onText` may have been given some text by then. */
export const callModel = async (deps: ModelCallDeps, ask: Ask, decision: Decision, signal: AbortSignal): Promise<Answer> => {
  const { clock } = deps;
  const request = requestOf(ask, deps);
  const started = clock.now();
  const got: Stream = { first: undefined, text: '', tools: undefined };
  let done: Done;
  try {
    done = await read(deps, ask, request, got, signal);
  } catch (error) {
    recordCall(deps, ask, 'chat', usedBy(request, got.text.length + (got.tools?.chars ?? 0)), {
      outcome: outcomeOf(error, signal),
      error_type: errorTypeOf(error, signal),
      duration_ms: clock.now() - started,
      time_to_first_chunk_ms: got.first,
    });
    throw error;
  }
  const duration_ms = clock.now() - started;
  const end: { -readonly [K in keyof End]: End[K] } = { outcome: 'ok', duration_ms };
  end.finish_reason = done.finish_reason;
  end.time_to_first_chunk_ms = got.first;
  end.response_model = done.response_model;
  end.cold = done.cold;
  end.cached_input_tokens = done.cached_input_tokens;
  recordCall(deps, ask, 'chat', done, end);
  return answerOf(deps, got, done, duration_ms, decision);
};
