// The agent functions by themselves: analyse, decompose, estimate, without submitting a task. The port; routing/agents.ts makes it.
import type { Analysis, AnalyzeBody, Tier } from '../schemas/index.js';

export interface PlanStep {
  readonly title: string;
  readonly description: string;
  /** Indexes of steps that must be done before. No cycles. */
  readonly depends_on: readonly number[];
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  readonly planner: { readonly name: string; readonly version: string; readonly model?: string };
}

export interface Estimate {
  readonly tier: Tier;
  readonly complexity: number;
  readonly confidence: number;
  readonly estimated_tokens: number;
  readonly estimated_duration_ms: number;
  /** If it were submitted now, RFC 3339. */
  readonly estimated_completion: string;
}

export interface Agents {
  analyze(body: AnalyzeBody, signal: AbortSignal): Promise<Analysis>;
  decompose(body: AnalyzeBody, signal: AbortSignal): Promise<Plan>;
  estimate(body: AnalyzeBody): Estimate;
}
