// The port of everything that answers: one interface to scripted answers, Ollama and any OpenAI-compatible server. Types only.
// `runner.contract.ts` is what every runner passes.
//
// M1. `generate` streams: text chunks, then exactly one `done`. An abort ends it soon with the signal's reason and frees the connection.
// M2. What goes wrong is a Fault with a code from MODEL_FAULTS: retryable where another try or another model may do better.
// M3. No API key, prompt or answer reaches an error message or a log.

/** A call of a tool that a model asks for. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, as the model wrote it: it may be none. */
  readonly arguments: string;
}

export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  /** Of an assistant's message. */
  readonly tool_calls?: readonly ToolCall[];
  /** Of a tool's message: which call it answers. */
  readonly tool_call_id?: string;
}

export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** JSON Schema of the arguments. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string };

export interface GenerateRequest {
  readonly messages: readonly Message[];
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  readonly top_p?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  /** Ask for a JSON object; with `json_schema`, for one that fits it. */
  readonly json?: boolean;
  readonly json_schema?: { readonly name: string; readonly schema: Readonly<Record<string, unknown>> };
  readonly tools?: readonly Tool[];
  readonly tool_choice?: ToolChoice;
  /** What a scripted runner may match on; real runners ignore it. */
  readonly hints?: Readonly<Record<string, string | number>>;
  /** Its server is known to have the model in memory. Else the first byte may take as long as loading does. */
  readonly loaded?: boolean;
  /** W3C Trace Context of whoever asks: a server is told it as a header. */
  readonly traceparent?: string;
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'other';

/** A piece of a tool call: the first of an `index` has id and name, `arguments` of all of them are put together. */
export interface ToolCallChunk {
  readonly kind: 'tool_call';
  readonly index: number;
  readonly id?: string;
  readonly name?: string;
  readonly arguments?: string;
}

export type GenerateChunk =
  | { readonly kind: 'text'; readonly text: string }
  | ToolCallChunk
  | {
      readonly kind: 'done';
      readonly finish_reason: FinishReason;
      readonly input_tokens: number;
      readonly output_tokens: number;
      /** Of the input tokens, those that the server had from an earlier call. */
      readonly cached_input_tokens?: number;
      /** The server did not count: the tokens are estimates. */
      readonly estimated?: boolean;
      /** The server loaded the model for this call. */
      readonly cold?: boolean;
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

/** A model that a server has in memory. */
export interface LoadedModel {
  readonly name: string;
  /** What it takes, on the graphics processor where there is one. */
  readonly memory_bytes?: number;
  readonly context_tokens?: number;
}

/** What a runner can do that loads and unloads its models. */
export interface Residency {
  /** What its server has in memory now. @throws Fault */
  loaded(signal: AbortSignal): Promise<readonly LoadedModel[]>;
  /** Resolves when the model is in memory. @throws Fault */
  load(signal: AbortSignal): Promise<void>;
  /** @throws Fault */
  unload(signal: AbortSignal): Promise<void>;
}

export interface ModelRunner {
  readonly provider: string;
  /** True when no model stands behind it. */
  readonly scripted: boolean;
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateChunk>;
  /** @param loaded as of a request */
  embed(
    texts: readonly string[],
    signal: AbortSignal,
    loaded?: boolean,
  ): Promise<{ readonly vectors: readonly (readonly number[])[]; readonly input_tokens: number }>;
  models(signal: AbortSignal): Promise<readonly ModelInfo[]>;
  /** Absent: its server keeps its models in memory for ever. */
  readonly residency?: Residency;
  /** How many generations its server runs now, whoever asked for them; undefined where the server does not say. Absent: no server says it. @throws Fault */
  busy?(signal: AbortSignal): Promise<number | undefined>;
  /** Does the server answer, and does it have the model? Never throws. */
  health(signal: AbortSignal): Promise<RunnerHealth>;
  close(): Promise<void>;
}

export const MODEL_FAULTS = [
  'model_unreachable', // retryable: no connection, connection lost mid-stream
  'model_timeout', // retryable: nothing came for idle_timeout_ms, or no end in timeout_ms
  'model_overloaded', // retryable: 429 or 503, with retryAfterMs where it was told
  'model_error', // retryable: 5xx
  'model_garbage', // retryable: the stream is not what the protocol says, or ended without its end
  'model_refused', // retryable by another model: content filter, refusal
  'model_context', // retryable by a model with a longer context: the prompt does not fit
  'model_rejected', // terminal: 4xx other than the above (bad request, bad key)
  'model_missing', // terminal for this model: the server does not have it
  'no_model', // retryable: no healthy candidate for tier and domain
  'model_not_allowed', // terminal: the access list, confidentiality or a strict rule leaves none
  'call_limit', // terminal: what asks has made all the calls that it may
  'budget_exceeded', // terminal: the next call would use more tokens or money than was set aside
] as const;
export type ModelFaultCode = (typeof MODEL_FAULTS)[number];
