// What a choice is made from: every model with its features, as one ask sees them now. Runs at every ask: filled field by field.
import type { Features } from '../schemas/index.js';
import type { Availability, Candidate } from './choose.js';
import type { Asking } from './gateway.js';
import type { ModelLine } from './model-line.js';
import type { ReadyPolicy } from './policy.js';
import type { Residencies } from './residency.js';
import { TRIAL_AFTER_MS } from './rules.js';

/** A prompt whose estimate is so many times a context certainly does not fit into it. */
const SURELY_TOO_LONG = 1.5;

export interface Sources {
  readonly lines: ReadonlyMap<string, ModelLine>;
  readonly residencies: Residencies;
  readonly now: () => number;
  /** How busy a graphics processor of this machine is, 0..1. */
  readonly gpuRatio: (gpu: number) => number | undefined;
}

/** What one ask knows of the models beside how they are. */
export interface Asked {
  readonly asking: Asking;
  readonly tried: ReadonlyMap<string, Availability>;
  /** Estimate; undefined where it does not matter. */
  readonly prompt_tokens: number;
  /** The longest context that the prompt was found not to fit into; 0 before. */
  readonly beyond_context: number;
}

export const featuresOf = (line: ModelLine, policy: ReadyPolicy, { residencies, gpuRatio }: Sources): Features => {
  const { config, slots, averages } = line;
  const features: Features = { load: (slots.running + slots.queued) / config.concurrency };
  const error_rate = averages.errorRate();
  if (error_rate !== undefined) features.error_rate = error_rate;
  const latency_ms = averages.latencyMs();
  if (latency_ms !== undefined) features.latency_ms = latency_ms;
  const loaded = residencies.of(config.id)?.loaded();
  if (loaded !== undefined) features.loaded = loaded;
  const gpu_ratio = config.gpu === undefined ? undefined : gpuRatio(config.gpu);
  if (gpu_ratio !== undefined) features.gpu_ratio = gpu_ratio;
  const price = policy.priceOf(config.id);
  if (price !== undefined) features.cost_per_mtok = (price.input_per_mtok + price.output_per_mtok) / 2;
  return features;
};

const isAble = ({ config, runner }: ModelLine, { prompt_tokens, beyond_context }: Asked): boolean =>
  config.context_tokens > beyond_context && (runner.scripted || prompt_tokens <= config.context_tokens * SURELY_TOO_LONG);

export const candidatesOf = (asked: Asked, policy: ReadyPolicy, sources: Sources): readonly Candidate[] => {
  const { asking, tried } = asked;
  const now = sources.now();
  const candidates: Candidate[] = [];
  for (const line of sources.lines.values()) {
    const { id, tiers, domains, preference, fallback } = line.config;
    candidates.push({
      id,
      tiers,
      domains,
      preference,
      fallback,
      availability: tried.get(id) ?? line.availability(),
      features: featuresOf(line, policy, sources),
      allowed:
        (asking.local_only !== true || (line.local && policy.maySeeConfidential(id, asking.project_id))) &&
        policy.isAllowed(id, asking.project_id),
      able: isAble(line, asked),
      trial: now - line.calledAt >= TRIAL_AFTER_MS,
    });
  }
  return candidates;
};
