// The agent functions by themselves, and the models behind them. Nothing here is recorded.

import { z } from 'zod';
import { type AnalyzeBody, analyzeSchema, DOMAINS, featuresSchema, TIERS, taskAnalyzed } from '../../schemas/index.js';
import { pathMisfits } from '../commands.js';
import { invalid, STATUS } from '../problem.js';
import { json, type Route, route } from '../table.js';

const EXAMPLE = { description: 'Build a REST API for a todo list in Python with tests.' };

export const planSchema = z.object({
  steps: z.array(z.object({ title: z.string(), description: z.string(), depends_on: z.array(z.int()) })),
  planner: z.object({ name: z.string(), version: z.string(), model: z.string().optional() }),
});

export const estimateAnswerSchema = z.object({
  tier: z.enum(TIERS),
  complexity: z.number(),
  confidence: z.number(),
  estimated_tokens: z.int(),
  estimated_duration_ms: z.number(),
  estimated_completion: z.string(),
});

export const analysisSchema = taskAnalyzed.omit({ task_id: true });

const checked = (body: AnalyzeBody): AnalyzeBody => {
  const misfits = pathMisfits(body.files.map((file) => file.path));
  if (misfits.length > 0) throw invalid(misfits);
  return body;
};

/** A model that fails is none: an analysis is made of the signals then, and a plan of the lists. */
const PROBLEMS_ASKING = [
  'malformed_json',
  'body_too_large',
  'unsupported_media_type',
  'validation_failed',
  'budget_exceeded',
  'quota_reached',
  'client_gone',
  'unavailable',
  'log_unavailable',
  'disk_full',
] as const;
const ON_BUDGETS =
  'What a model is asked for it is on the budgets of `project_id`, of `submitted_by` where it is there, and of the agent (`analyse`, `decompose`).';

const analyze = route({
  method: 'POST',
  path: '/api/v1/analyze',
  operationId: 'analyze',
  tag: 'agents',
  summary: 'Mode, domain, tier and complexity of a description, without submitting it',
  description: `${ON_BUDGETS} A model is asked only where the cheap signals are unsure.`,
  patient: true,
  body: { schema: analyzeSchema, example: EXAMPLE },
  success: [{ status: STATUS.ok, description: 'The analysis, with what it was decided from.', schema: analysisSchema }],
  problems: PROBLEMS_ASKING,
  handle: async (call, { deps }) => json(STATUS.ok, await deps.agents.analyze(checked(call.body), call.signal())),
});

const decompose = route({
  method: 'POST',
  path: '/api/v1/decompose',
  operationId: 'decompose',
  tag: 'agents',
  summary: 'Steps that a description falls into',
  description: ON_BUDGETS,
  patient: true,
  body: { schema: analyzeSchema, example: EXAMPLE },
  success: [{ status: STATUS.ok, description: 'The plan. `depends_on` holds indexes of steps.', schema: planSchema }],
  problems: [...PROBLEMS_ASKING, 'no_plan'],
  handle: async (call, { deps }) => json(STATUS.ok, await deps.agents.decompose(checked(call.body), call.signal())),
});

const estimate = route({
  method: 'POST',
  path: '/api/v1/estimate',
  operationId: 'estimate',
  tag: 'agents',
  summary: 'What a description would take, without a model',
  body: { schema: analyzeSchema, example: EXAMPLE },
  success: [{ status: STATUS.ok, description: 'The estimate.', schema: estimateAnswerSchema }],
  problems: ['malformed_json', 'body_too_large', 'unsupported_media_type', 'validation_failed'],
  handle: (call, { deps }) => json(STATUS.ok, deps.agents.estimate(checked(call.body))),
});

export const modelStatusSchema = z.object({
  id: z.string(),
  provider: z.string(),
  runner: z.string(),
  scripted: z.boolean(),
  fallback: z.boolean(),
  tiers: z.array(z.enum(TIERS)),
  domains: z.array(z.enum(DOMAINS)),
  health: z.object({ ok: z.boolean(), detail: z.string().optional(), latency_ms: z.number() }),
  running: z.int(),
  queued: z.int().optional().meta({ description: 'Calls that wait for a free slot.' }),
  local: z.boolean().optional().meta({ description: 'What it is sent stays in the building.' }),
  breaker: z.enum(['closed', 'open', 'half_open']).optional(),
  features: featuresSchema.optional().meta({ description: 'What a choice would be made from now.' }),
  retry_after_ms: z.number().optional().meta({ description: 'It is left alone for so long.' }),
});

const models = route({
  method: 'GET',
  path: '/api/v1/models',
  operationId: 'listModels',
  tag: 'models',
  summary: 'The configured models and how they are',
  query: z.strictObject({
    fresh: z.enum(['true', 'false']).default('false').meta({ description: 'Probe now instead of answering from the last probe.' }),
  }),
  success: [{ status: STATUS.ok, description: 'Every model of servers.yaml.', schema: z.object({ models: z.array(modelStatusSchema) }) }],
  problems: ['invalid_parameter'],
  handle: async (call, { deps }) => json(STATUS.ok, { models: await deps.models.status({ fresh: call.query.fresh === 'true' }) }),
});

export const agentRoutes: Route[] = [analyze, decompose, estimate, models];
