// The port that processors use: say what is wanted, get an answer from whichever model is chosen, accounted for.
import type { Domain, ModelCall, Tier } from '../schemas/index.js';
import type { Decision } from './choose.js';
import type { GenerateRequest, RunnerHealth } from './runner.js';

export interface Ask extends GenerateRequest {
  readonly purpose: ModelCall['purpose'];
  readonly tier: Tier;
  readonly domain: Domain;
  /** A model id of servers.yaml: then nothing is chosen. */
  readonly model?: string;
  readonly task_id?: string;
  readonly attempt?: number;
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
  readonly finish_reason: 'stop' | 'length' | 'other';
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly duration_ms: number;
  readonly time_to_first_chunk_ms?: number;
  /** Why this model: every model with its scores, so that the choice can be recorded and understood. */
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
  /** Where it is not asked for a while (it failed in a row, or asked to wait): milliseconds until it is again. */
  readonly retry_after_ms?: number;
}

export interface ModelGateway {
  /** @throws Fault with a code of MODEL_FAULTS, or the signal's reason when aborted. */
  ask(ask: Ask, signal: AbortSignal): Promise<Answer>;
  /** What is configured and how it is; `fresh` probes now instead of answering from the last probe. */
  status(options?: { readonly fresh?: boolean }): Promise<readonly ModelStatus[]>;
  close(): Promise<void>;
}
