// GET /v1/models: what a client may name.
import { z } from 'zod';
import type { Servers } from '../../schemas/index.js';
import { STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { checkedName, modelIds, NAMES } from './model-names.js';
import { surfaceWith } from './surface.js';

/** Who owns the names that are no model. */
const OWNER = 'dats';

const modelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  /** Seconds since the epoch; 0, as nobody knows it. */
  created: z.int(),
  owned_by: z.string(),
});

const modelOf = (id: string, models: Servers['models']): z.infer<typeof modelSchema> => {
  const config = Object.hasOwn(NAMES, id) ? undefined : models.find((model) => model.id === id);
  return { id, object: 'model', created: 0, owned_by: config === undefined ? OWNER : (config.provider ?? config.runner) };
};

const list = route({
  method: 'GET',
  path: '/v1/models',
  operationId: 'listOpenAiModels',
  tag: 'openai',
  summary: 'OpenAI: what can be named as a model',
  description:
    '`auto` (and `auto:cheap`, `auto:best`), the tiers, and every model of servers.yaml. How each is, is said by GET /api/v1/models.',
  success: [
    { status: STATUS.ok, description: 'All of them.', schema: z.object({ object: z.literal('list'), data: z.array(modelSchema) }) },
  ],
  surface: surfaceWith([]),
  problems: [],
  handle: ({ correlationId }, { deps }) => {
    const { models } = deps.config;
    const answer = json(STATUS.ok, { object: 'list', data: modelIds(models).map((id) => modelOf(id, models)) });
    answer.headers['x-request-id'] = correlationId;
    return answer;
  },
});

const get = route({
  method: 'GET',
  path: '/v1/models/{model}',
  operationId: 'getOpenAiModel',
  tag: 'openai',
  summary: 'OpenAI: one of them',
  params: z.strictObject({ model: z.string().min(1).max(256) }),
  success: [{ status: STATUS.ok, description: 'It is there.', schema: modelSchema }],
  surface: surfaceWith(['invalid_parameter', 'model_not_found']),
  problems: [],
  handle: ({ params, correlationId }, { deps }) => {
    const { models } = deps.config;
    checkedName(params.model, models);
    const answer = json(STATUS.ok, modelOf(params.model, models));
    answer.headers['x-request-id'] = correlationId;
    return answer;
  },
});

export const modelRoutes = [list, get];
