// The port of everything that answers: one interface to scripted answers, Ollama and any OpenAI-compatible server. Types only.
// `runner.contract.ts` is what every runner passes.
//
// M1. `generate` streams: text chunks, then exactly one `done`. An abort ends it soon with the signal's reason and frees the connection.
// M2. What goes wrong is a Fault with a code from MODEL_FAULTS: retryable where another try or another model may do better.
// M3. No API key, prompt or answer reaches an error message or a log.

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface GenerateRequest {
  readonly messages: readonly Message[];
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  /** Ask for a JSON object. */
  readonly json?: boolean;
  /** What a scripted runner may match on; real runners ignore it. */
  readonly hints?: Readonly<Record<string, string | number>>;
  /** W3C Trace Context of whoever asks: a server is told it as a header. */
  readonly traceparent?: string;
}

export type GenerateChunk =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'done';
      readonly finish_reason: 'stop' | 'length' | 'other';
      readonly input_tokens: number;
      readonly output_tokens: number;
      /** The model as the server names it, and its build digest where it tells it. */
      readonly response_model?: string;
      readonly model_digest?: string;
    };

export interface ModelInfo {
  readonly name: string;
  readonly digest?: string;
  readonly context_tokens?: number;
}

export interface RunnerHealth {
  readonly ok: boolean;
  /** What is wrong, and what to do about it. */
  readonly detail?: string;
  readonly latency_ms: number;
}

export interface ModelRunner {
  readonly provider: string;
  /** True when no model stands behind it. */
  readonly scripted: boolean;
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateChunk>;
  embed(
    texts: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly vectors: readonly (readonly number[])[]; readonly input_tokens: number }>;
  models(signal: AbortSignal): Promise<readonly ModelInfo[]>;
  /** Does the server answer, and does it have the model? Never throws. */
  health(signal: AbortSignal): Promise<RunnerHealth>;
  close(): Promise<void>;
}

export const MODEL_FAULTS = [
  'model_unreachable', // retryable: no connection, connection lost mid-stream
  'model_timeout', // retryable: nothing came for idle_timeout_ms, or timeout_ms in all
  'model_overloaded', // retryable: 429 or 503, with retryAfterMs where it was told
  'model_error', // retryable: 5xx
  'model_garbage', // retryable: the stream is not what the protocol says, or ended without its end
  'model_refused', // retryable by another model: content filter, refusal
  'model_rejected', // terminal: 4xx other than the above (bad request, bad key, context too long)
  'model_missing', // terminal for this model: the server does not have it
  'no_model', // retryable: no healthy candidate for tier and domain
] as const;
export type ModelFaultCode = (typeof MODEL_FAULTS)[number];
