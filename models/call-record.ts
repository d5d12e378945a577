// The telemetry record that a call leaves, whatever kind of call it was.
//
// K2. A record holds sizes and codes, never text.
import { type CallSummary, type Fault, isFault, type ModelCall, type ModelConfig } from '../schemas/index.js';
import { costOf, type Price } from './accounting.js';
import type { Clock } from './clock.js';
import type { Asking } from './gateway.js';
import type { ModelRunner } from './runner.js';

/** The call that is made, and whom it is told to when it has ended. */
export interface CallDeps {
  readonly config: ModelConfig;
  readonly runner: ModelRunner;
  /** Undefined where nobody says what it costs. */
  readonly price: Price | undefined;
  readonly clock: Clock;
  readonly node: string;
  /** A second call beside a slow one. */
  readonly hedge?: boolean;
  /** Is the model in memory? Undefined: nobody knows, or it always is. */
  readonly loaded?: boolean | undefined;
  readonly onCall: (call: ModelCall) => void;
}

export type Tokens = Pick<ModelCall, 'input_tokens' | 'output_tokens'>;

/** How it ended. */
export type End = Pick<ModelCall, 'outcome' | 'duration_ms'> & {
  readonly [K in 'error_type' | 'finish_reason' | 'response_model' | 'time_to_first_chunk_ms' | 'cold' | 'cached_input_tokens']?:
    | ModelCall[K]
    | undefined;
};

export const outcomeOf = (error: unknown, signal: AbortSignal): ModelCall['outcome'] =>
  signal.aborted ? 'aborted' : isFault(error) && error.code === 'model_timeout' ? 'timeout' : 'error';

export const errorTypeOf = (error: unknown, signal: AbortSignal): string =>
  isFault(error) ? (error as Fault).code : signal.aborted ? 'aborted' : error instanceof Error ? error.name : 'unknown';

/** Filled field by field: spreading optional fields costs microseconds in a path that has few to spend. */
export const recordCall = (deps: CallDeps, asking: Asking, operation: ModelCall['operation'], tokens: Tokens, end: End): void => {
  const { config, runner, price } = deps;
  const call: ModelCall = {
    operation,
    model: config.id,
    request_model: config.model ?? config.id,
    provider: runner.provider,
    purpose: asking.purpose,
    node: deps.node,
    input_tokens: tokens.input_tokens,
    output_tokens: tokens.output_tokens,
    duration_ms: end.duration_ms,
    outcome: end.outcome,
  };
  if (price !== undefined) {
    call.cost_usd = costOf(price, tokens.input_tokens, tokens.output_tokens);
    call.price_version = price.version;
  }
  if (asking.task_id !== undefined) call.task_id = asking.task_id;
  if (asking.attempt !== undefined) call.attempt = asking.attempt;
  if (asking.user !== undefined) call.user = asking.user;
  if (deps.hedge === true) call.hedge = true;
  if (end.time_to_first_chunk_ms !== undefined) call.time_to_first_chunk_ms = end.time_to_first_chunk_ms;
  if (end.error_type !== undefined) call.error_type = end.error_type;
  if (end.finish_reason !== undefined) call.finish_reason = end.finish_reason;
  if (end.response_model !== undefined) call.response_model = end.response_model;
  if (end.cold !== undefined) call.cold = end.cold;
  if (end.cached_input_tokens !== undefined) call.cached_input_tokens = end.cached_input_tokens;
  deps.onCall(call);
};

export const summaryOf = (call: ModelCall): CallSummary => {
  const { model, provider, outcome, input_tokens, output_tokens, duration_ms } = call;
  const summary: CallSummary = { model, provider, outcome, input_tokens, output_tokens, duration_ms };
  if (call.error_type !== undefined) summary.error_type = call.error_type;
  if (call.hedge !== undefined) summary.hedge = call.hedge;
  if (call.cost_usd !== undefined) summary.cost_usd = call.cost_usd;
  return summary;
};
