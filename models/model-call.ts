// One call to one model, from the request to the answer, and the telemetry record it leaves.
//
// K1. Every call that was made leaves exactly one record, however it ended, before its outcome is seen by the caller.
// K2. A record holds sizes and codes, never text.
import { type Decision, type Fault, isFault, type ModelCall, type ModelConfig } from '../schemas/index.js';
import { costOf, type Price, promptTokensOf, tokensOf } from './accounting.js';
import type { Clock } from './clock.js';
import { modelFault } from './faults.js';
import type { Answer, Ask } from './gateway.js';
import type { GenerateChunk, GenerateRequest, ModelRunner } from './runner.js';

export interface ModelCallDeps {
  readonly config: ModelConfig;
  readonly runner: ModelRunner;
  /** Undefined where nobody says what it costs. */
  readonly price: Price | undefined;
  readonly clock: Clock;
  readonly node: string;
  readonly onCall: (call: ModelCall) => void;
  /** Told of text as it comes, instead of `ask.onText`. */
  readonly onText?: ((text: string) => void) | undefined;
}

type Done = Extract<GenerateChunk, { kind: 'done' }>;
type Tokens = Pick<ModelCall, 'input_tokens' | 'output_tokens'>;
type End = Pick<ModelCall, 'outcome'> & { readonly [K in 'error_type' | 'finish_reason' | 'response_model']?: string | undefined };

/** Filled field by field below: spreading optional fields costs microseconds in a path that has few to spend. */
type Filled<T> = { -readonly [K in keyof T]: T[K] };

const hintsOf = ({ hints, purpose, tier, attempt }: Ask): Record<string, string | number> => {
  const own: Record<string, string | number> = hints === undefined ? {} : { ...hints };
  own.purpose = purpose;
  own.tier = tier;
  if (attempt !== undefined) own.attempt = attempt;
  return own;
};

const requestOf = (ask: Ask, config: ModelConfig): GenerateRequest => {
  const request: Filled<GenerateRequest> = {
    messages: ask.messages,
    max_tokens: Math.min(ask.max_tokens ?? config.max_output_tokens, config.max_output_tokens),
    hints: hintsOf(ask),
  };
  if (ask.temperature !== undefined) request.temperature = ask.temperature;
  if (ask.seed !== undefined) request.seed = ask.seed;
  if (ask.stop !== undefined) request.stop = ask.stop;
  if (ask.json !== undefined) request.json = ask.json;
  if (ask.traceparent !== undefined) request.traceparent = ask.traceparent;
  return request;
};

const outcomeOf = (error: unknown, signal: AbortSignal): ModelCall['outcome'] =>
  signal.aborted ? 'aborted' : isFault(error) && error.code === 'model_timeout' ? 'timeout' : 'error';

const errorTypeOf = (error: unknown, signal: AbortSignal): string =>
  isFault(error) ? (error as Fault).code : signal.aborted ? 'aborted' : error instanceof Error ? error.name : 'unknown';

/** What was certainly used by a call that did not end: nothing where no chunk came, else what can be estimated. */
const usedBy = (request: GenerateRequest, text: string): Tokens =>
  text === '' ? { input_tokens: 0, output_tokens: 0 } : { input_tokens: promptTokensOf(request), output_tokens: tokensOf(text.length) };

/** @throws what the runner threw, or the signal's reason; `onText` may have been given some text by then. */
export const callModel = async (deps: ModelCallDeps, ask: Ask, decision: Decision, signal: AbortSignal): Promise<Answer> => {
  const { config, runner, price, clock } = deps;
  const onText = deps.onText ?? ask.onText;
  const request = requestOf(ask, config);
  const started = clock.now();
  let first: number | undefined;
  let text = '';

  const record = (tokens: Tokens, end: End): void => {
    const call: ModelCall = {
      operation: 'chat',
      model: config.id,
      request_model: config.model ?? config.id,
      provider: runner.provider,
      purpose: ask.purpose,
      node: deps.node,
      input_tokens: tokens.input_tokens,
      output_tokens: tokens.output_tokens,
      duration_ms: clock.now() - started,
      outcome: end.outcome,
    };
    if (price !== undefined) {
      call.cost_usd = costOf(price, tokens.input_tokens, tokens.output_tokens);
      call.price_version = price.version;
    }
    if (ask.task_id !== undefined) call.task_id = ask.task_id;
    if (ask.attempt !== undefined) call.attempt = ask.attempt;
    if (first !== undefined) call.time_to_first_chunk_ms = first;
    if (end.error_type !== undefined) call.error_type = end.error_type;
    if (end.finish_reason !== undefined) call.finish_reason = end.finish_reason;
    if (end.response_model !== undefined) call.response_model = end.response_model;
    deps.onCall(call);
  };

  let done: Done | undefined;
  try {
    for await (const chunk of runner.generate(request, signal)) {
      first ??= clock.now() - started;
      if (chunk.kind === 'done') done = chunk;
      else if (chunk.kind === 'text') {
        text += chunk.text;
        onText?.(chunk.text);
      }
    }
    if (done === undefined) throw modelFault(config.id, 'model_garbage', { detail: 'the stream ended without its end' });
  } catch (error) {
    record(usedBy(request, text), { outcome: outcomeOf(error, signal), error_type: errorTypeOf(error, signal) });
    throw error;
  }
  record(done, { outcome: 'ok', finish_reason: done.finish_reason, response_model: done.response_model });
  const answer: Filled<Answer> = {
    text,
    model: config.id,
    provider: runner.provider,
    scripted: runner.scripted,
    finish_reason: done.finish_reason,
    input_tokens: done.input_tokens,
    output_tokens: done.output_tokens,
    duration_ms: clock.now() - started,
    decision,
  };
  if (done.response_model !== undefined) answer.response_model = done.response_model;
  if (done.model_digest !== undefined) answer.model_digest = done.model_digest;
  if (first !== undefined) answer.time_to_first_chunk_ms = first;
  return answer;
};
