// The questions that come with the product: deploy/clickhouse/stats.

import { z } from 'zod';
import { statsAnswerSchema, statsListSchema, statsNameSchema, statsQuerySchema } from '../../schemas/index.js';
import { analyticsOf, askLimitsOf, HISTORY_PROBLEMS, inTime, patienceFor, statsOf } from '../analytics/index.js';
import { STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { HISTORY_EXAMPLES } from './history-examples.js';

const list = route({
  method: 'GET',
  path: '/api/v1/stats',
  operationId: 'listStats',
  tag: 'history',
  summary: 'The questions that are answered ready-made',
  success: [{ status: STATUS.ok, description: 'Their names, and what each answers.', schema: statsListSchema }],
  problems: [],
  handle: (_call, { deps }) => json(STATUS.ok, { stats: (deps.stats ?? []).map(({ name, question }) => ({ name, question })) }),
});

const get = route({
  method: 'GET',
  path: '/api/v1/stats/{name}',
  operationId: 'getStats',
  tag: 'history',
  summary: 'The answer to one of them',
  description: 'Models, agents, nodes, costs, failures, first-pass yield, prompts and more, as `GET /api/v1/stats` lists them.',
  params: z.strictObject({ name: statsNameSchema }),
  query: statsQuerySchema,
  patient: true,
  success: [{ status: STATUS.ok, description: 'The answer.', schema: statsAnswerSchema, example: HISTORY_EXAMPLES.stats }],
  problems: ['invalid_parameter', 'stats_not_found', 'query_limit', ...HISTORY_PROBLEMS],
  handle: async (call, { deps }) => {
    const limits = askLimitsOf(deps);
    const answer = statsOf(analyticsOf(deps), deps.stats ?? [], call.params.name, call.query, limits);
    return json(STATUS.ok, await inTime(answer, patienceFor(limits)));
  },
});

export const statsRoutes = [list, get];
