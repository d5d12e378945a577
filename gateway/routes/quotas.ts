// Budgets: how they stand, and beginning anew.
import { z } from 'zod';
import { QUOTA_SUBJECTS, quotaAccountSchema, quotaPageSchema, resetAnswerSchema, resetQuotaSchema } from '../../schemas/index.js';
import { decodeCursor, encodeCursor, nextLink, PAGE_LIMIT } from '../paging.js';
import { STATUS } from '../problem.js';
import { listQuotas, quotaNow, resetQuota } from '../quotas.js';
import { json, route } from '../table.js';
import { BODY_PROBLEMS } from './taint.js';
import { requesterOf } from './tasks.js';

const LOG_PROBLEMS = ['log_unavailable', 'unavailable'] as const;
const params = z.strictObject({ kind: z.enum(QUOTA_SUBJECTS), id: z.string().min(1).max(128) });

const account = {
  kind: 'project',
  id: 'demo',
  limits: { tokens_per_day: 200_000, concurrency: 4 },
  used: {
    day: { tokens: 41_310, cost_usd: 0.0124 },
    month: { tokens: 903_551, cost_usd: 0.2711 },
    total: { tokens: 2_201_877, cost_usd: 0.6606 },
  },
  reserved: { tokens: 32_000, cost_usd: 0 },
  running: 2,
  requests_last_minute: 7,
  day_ends: '2026-11-28T00:00:00.000Z',
  month_ends: '2026-12-01T00:00:00.000Z',
};

const list = route({
  method: 'GET',
  path: '/api/v1/quotas',
  operationId: 'listQuotas',
  tag: 'budgets',
  summary: 'What projects, users and agents may use, have used, and have set aside',
  description:
    'Whoever has a quota of its own, and whoever used something where one applied. The first question after a start reads the ledger from its first record on.',
  query: z.strictObject({
    kind: z.enum(QUOTA_SUBJECTS).optional(),
    limit: z.coerce.number().int().min(1).max(PAGE_LIMIT).default(50),
    cursor: z.string().min(1).max(1_024).optional(),
  }),
  success: [
    {
      status: STATUS.ok,
      description: 'A page, by kind and id.',
      schema: quotaPageSchema,
      example: { quotas: [account], next_cursor: null },
      headers: { Link: '`rel="next"` where there is a next page.' },
    },
  ],
  problems: ['invalid_parameter', ...LOG_PROBLEMS],
  handle: async (call, services) => {
    const { kind, limit, cursor } = call.query;
    const after = cursor === undefined ? undefined : decodeCursor(cursor).after;
    const { quotas, next } = await listQuotas(services, { kind, after, limit });
    const next_cursor = next === undefined ? null : encodeCursor(next, 0);
    const answer = json(STATUS.ok, { quotas, next_cursor });
    if (next_cursor !== null) answer.headers.link = nextLink(call.target, next_cursor);
    return answer;
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/quotas/{kind}/{id}',
  operationId: 'getQuota',
  tag: 'budgets',
  summary: 'What one of them may use, has used, and has set aside',
  description: 'Who never used anything has used nothing: there is no "not found".',
  params,
  success: [{ status: STATUS.ok, description: 'As of now.', schema: quotaAccountSchema, example: account }],
  problems: ['invalid_parameter', ...LOG_PROBLEMS],
  handle: async (call, services) => json(STATUS.ok, await quotaNow(services, call.params)),
});

const reset = route({
  method: 'POST',
  path: '/api/v1/quotas/{kind}/{id}/reset',
  operationId: 'resetQuota',
  tag: 'budgets',
  summary: 'Begin anew: nothing used, in any window',
  description:
    'What is set aside for running attempts stays. The answer waits up to two seconds until it is done. Twice is as good as once.',
  params,
  body: { schema: resetQuotaSchema, example: { reason: 'the budget of the month was raised', by: 'grace' }, optional: true },
  success: [
    {
      status: STATUS.ok,
      description: 'It is on disk; `done` says whether it is done.',
      schema: resetAnswerSchema,
      example: {
        done: true,
        quota: {
          ...account,
          used: { day: { tokens: 0, cost_usd: 0 }, month: { tokens: 0, cost_usd: 0 }, total: { tokens: 0, cost_usd: 0 } },
        },
      },
    },
  ],
  problems: [...BODY_PROBLEMS, 'disk_full', ...LOG_PROBLEMS],
  handle: async (call, services) => json(STATUS.ok, await resetQuota(services, call.params, call.body, requesterOf(call))),
});

export const quotaRoutes = [list, get, reset];
