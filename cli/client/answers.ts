// What the server answers, where schemas/api.ts has no shape for it.
import type { ModelConfig, TaskState } from '../../schemas/index.js';

export interface ModelRow {
  readonly id: string;
  readonly provider: string;
  readonly runner: ModelConfig['runner'];
  readonly scripted: boolean;
  readonly fallback: boolean;
  readonly tiers: readonly string[];
  readonly health: { readonly ok: boolean; readonly detail?: string; readonly latency_ms: number };
  readonly running: number;
}

export interface CancelAnswer {
  readonly outcome: 'cancelled' | 'already_final' | 'requested';
  readonly state: TaskState;
  /** What it did, in words. */
  readonly detail: string;
}

export interface DeadLetter {
  readonly id: string;
  readonly state: 'open' | 'retried' | 'discarded';
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly type: string;
  readonly project_id: string | null;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  readonly failed_at: string;
}

export interface HealthReport {
  readonly status: 'ok' | 'degraded' | 'down';
  readonly version: string;
  readonly dependencies: readonly { readonly name: string; readonly ok: boolean; readonly required: boolean; readonly detail?: string }[];
}
