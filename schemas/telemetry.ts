// Telemetry and operations. Names follow the OpenTelemetry GenAI conventions where there is one.
import { z } from 'zod';
import { PURPOSES } from './model-choice.js';

/** Version 1: without the version of its prices. */
export const modelCalledV1 = z.object({
  operation: z.enum(['chat', 'embeddings']),
  /** Id in servers.yaml, and the name that the server knows. */
  model: z.string(),
  request_model: z.string(),
  response_model: z.string().optional(),
  provider: z.string(),
  purpose: z.enum(['generate', 'analyse', 'decompose', 'embed', 'other']),
  task_id: z.string().optional(),
  attempt: z.int().min(0).optional(),
  node: z.string(),
  input_tokens: z.int().min(0),
  output_tokens: z.int().min(0),
  /** USD, from the prices in servers.yaml; absent where it names none for the model. */
  cost_usd: z.number().min(0).optional(),
  time_to_first_chunk_ms: z.number().min(0).optional(),
  duration_ms: z.number().min(0),
  outcome: z.enum(['ok', 'error', 'aborted', 'timeout']),
  error_type: z.string().optional(),
  finish_reason: z.string().optional(),
});

/** The price version of a call that was priced by the prices beside its model, not by the price list. */
export const PRICED_AT_MODEL = 'model';

/** Version 2: without what came with budgets, hedging and the OpenAI-compatible endpoint. */
export const modelCalledV2 = modelCalledV1.extend({
  /** What `cost_usd` was computed with: `prices.version` of servers.yaml, or PRICED_AT_MODEL; absent where there is no cost. */
  price_version: z.string().optional(),
});
export const modelCalled = modelCalledV2.extend({
  purpose: z.enum(PURPOSES),
  /** Who asked, where that is known. */
  user: z.string().max(128).optional(),
  /** A second call beside a slow one. */
  hedge: z.boolean().optional(),
  /** The model was loaded for this call. */
  cold: z.boolean().optional(),
  /** Of the input tokens, those that the server had from an earlier call. */
  cached_input_tokens: z.int().min(0).optional(),
});
export type ModelCall = z.infer<typeof modelCalled>;

export const opsAlert = z.object({
  severity: z.enum(['info', 'warning', 'critical']),
  what: z.string(),
  detail: z.string(),
  /** Where to read what to do. */
  runbook: z.string().optional(),
});

/** How one process and its machine are. */
export const nodeSampled = z.object({
  /** Id in servers.yaml. */
  node: z.string(),
  /** The process: `<node>:<pid>`. */
  worker: z.string(),
  version: z.string(),
  /** As on the command line: `gateway, deciders, workers:small+qa`. */
  roles: z.string(),
  uptime_s: z.number().min(0),
  /** CPU seconds that the process used per second since its last sample, in the first one since it began; above 1 on several cores. */
  cpu_ratio: z.number().min(0),
  /** Of the machine; 0 where the system does not say it. */
  load_1m: z.number().min(0),
  rss_bytes: z.int().min(0),
  memory_free_bytes: z.int().min(0),
  memory_total_bytes: z.int().min(0),
  /** How late timers were since the last sample: 99 of 100 by no more. */
  loop_delay_p99_ms: z.number().min(0),
  /** Work items that run in this process now. */
  running_work: z.int().min(0),
  /** The machine's graphics processors; what one of them does not tell is absent. */
  gpus: z.array(
    z.object({
      index: z.int().min(0),
      name: z.string(),
      /** 0 idle .. 1 busy. */
      utilisation_ratio: z.number().min(0).max(1).optional(),
      memory_used_bytes: z.int().min(0).optional(),
      memory_total_bytes: z.int().min(0).optional(),
      temperature_c: z.number().optional(),
    }),
  ),
});
export type NodeSample = z.infer<typeof nodeSampled>;
