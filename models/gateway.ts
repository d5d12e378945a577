// The port that processors use: say what is wanted, get an answer from whichever model is chosen, accounted for.
import type { Allowance, CallSummary, Decision, Domain, Features, ModelCall, Tier } from '../schemas/index.js';
import type { FinishReason, GenerateChunk, GenerateRequest, ModelRunner, RunnerHealth, ToolCall, ToolCallChunk } from './runner.js';

/** What every ask says about itself, whatever it wants. */
export interface Asking {
  readonly purpose: ModelCall['purpose'];
  readonly tier: Tier;
  readonly domain: Domain;
  /** A model id of servers.yaml: then nothing is chosen. */
  readonly model?: string;
  readonly task_id?: string;
  readonly attempt?: number;
  readonly project_id?: string;
  readonly user?: string;
  /** Only models that keep what they are sent in the building. */
  readonly local_only?: boolean;
  /** What it may use, all its calls together. Absent: no limit beside MOST_CALLS_PER_ASK. */
  readonly allowance?: Allowance;
  /** Told of every choice, and of every call when it has ended, also where the ask fails. Must not throw. */
  readonly onDecision?: (decision: Decision) => void;
  readonly onCall?: (call: CallSummary) => void;
}

export interface Ask extends GenerateRequest, Asking {
  /** Tool calls as they come. */
  readonly onToolCall?: (chunk: ToolCallChunk) => void;
  /** Text as it comes. */
  readonly onText?: (text: string) => void;
  /** A model failed in the middle and another begins anew: what `onText` gave so far is void. */
  readonly onRestart?: () => void;
}

export interface Answer {
  readonly text: string;
  /** Id in servers.yaml. */
  readonly model: string;
  readonly provider: string;
  readonly scripted: boolean;
  readonly response_model?: string;
  readonly model_digest?: string;
  readonly finish_reason: FinishReason;
  readonly tool_calls?: readonly ToolCall[];
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cached_input_tokens?: number;
  /** Of the call that answered, USD; absent where nobody says what it costs. */
  readonly cost_usd?: number;
  readonly duration_ms: number;
  readonly time_to_first_chunk_ms?: number;
  /** Why this model: every model with its scores, so that the choice can be recorded and understood. */
  readonly decision?: Decision;
}

export interface EmbedAsk extends Asking {
  readonly texts: readonly string[];
  readonly traceparent?: string;
}

export interface Embeddings {
  /** One for each text, in their order. */
  readonly vectors: readonly (readonly number[])[];
  readonly model: string;
  readonly provider: string;
  readonly scripted: boolean;
  readonly input_tokens: number;
  readonly cost_usd?: number;
  readonly decision?: Decision;
}

export interface ModelStatus {
  readonly id: string;
  readonly provider: string;
  readonly runner: string;
  readonly scripted: boolean;
  readonly fallback: boolean;
  readonly tiers: readonly Tier[];
  readonly domains: readonly Domain[];
  readonly health: RunnerHealth;
  readonly running: number;
  /** Calls that wait for a free slot. */
  readonly queued?: number;
  /** What it is sent stays in the building. */
  readonly local?: boolean;
  /** `open`: it failed in a row and is left alone; `half_open`: one call finds out. */
  readonly breaker?: 'closed' | 'open' | 'half_open';
  /** What a choice would be made from now. */
  readonly features?: Features;
  /** Where it is not asked for a while (it failed in a row, or asked to wait): milliseconds until it is again. */
  readonly retry_after_ms?: number;
}

export interface ModelGateway {
  /** @throws Fault with a code of MODEL_FAULTS, or the signal's reason when aborted. */
  ask(ask: Ask, signal: AbortSignal): Promise<Answer>;
  /** @throws as `ask` does */
  embed(ask: EmbedAsk, signal: AbortSignal): Promise<Embeddings>;
  /** What is configured and how it is; `fresh` probes now instead of answering from the last probe. */
  status(options?: { readonly fresh?: boolean }): Promise<readonly ModelStatus[]>;
  close(): Promise<void>;
}

/** What a node does for another one: calls of its models that were chosen, and are accounted for, there. */
export interface ModelLender {
  /**
   * Takes one of the model's slots.
   * @throws Fault of the model, `model_missing` where there is none of that id, `model_overloaded` where its queue is full
   */
  lend(model: string, request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateChunk>;
  lendEmbedding(model: string, texts: readonly string[], signal: AbortSignal): ReturnType<ModelRunner['embed']>;
}
