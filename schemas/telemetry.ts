// Telemetry and operations. Names follow the OpenTelemetry GenAI conventions where there is one.
import { z } from 'zod';

export const modelCalled = z.object({
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
  /** USD, from the model's prices in servers.yaml; absent where it names none. */
  cost_usd: z.number().min(0).optional(),
  time_to_first_chunk_ms: z.number().min(0).optional(),
  duration_ms: z.number().min(0),
  outcome: z.enum(['ok', 'error', 'aborted', 'timeout']),
  error_type: z.string().optional(),
  finish_reason: z.string().optional(),
});
export type ModelCall = z.infer<typeof modelCalled>;

export const opsAlert = z.object({
  severity: z.enum(['info', 'warning', 'critical']),
  what: z.string(),
  detail: z.string(),
  /** Where to read what to do. */
  runbook: z.string().optional(),
});
