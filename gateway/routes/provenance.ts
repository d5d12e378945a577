// Provenance: what made which artifacts from what, with which model and prompt, and what became of it. Asked of history.

import { z } from 'zod';
import { lineageQuerySchema, lineageSchema, provenancePageSchema, provenanceQuerySchema, provenanceSchema } from '../../schemas/index.js';
import { analyticsOf, HISTORY_PROBLEMS, inTime, lineageOf, listExecutions, provenanceOf } from '../analytics/index.js';
import { nextLink } from '../paging.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { HISTORY_EXAMPLES } from './history-examples.js';

const params = z.strictObject({ id: z.string().min(1).max(128).meta({ description: 'Of an execution, an artifact or a task.' }) });
const UNKNOWN = ['invalid_parameter', 'provenance_not_found', 'provenance_pending'] as const;

const get = route({
  method: 'GET',
  path: '/api/v1/provenance/{id}',
  operationId: 'getProvenance',
  tag: 'history',
  summary: 'How something came to be',
  description:
    'The record of an execution (an attempt of a task), by its own id, by that of an artifact it made, or by that of its task: then the accepted one, else the newest. ' +
    'An execution is recorded when it has ended; until then, and while history is behind the log, the answer is 404 `provenance-pending` with `Retry-After`.',
  params,
  patient: true,
  success: [{ status: STATUS.ok, description: 'The record.', schema: provenanceSchema, example: HISTORY_EXAMPLES.provenance }],
  problems: [...UNKNOWN, ...HISTORY_PROBLEMS, ...READ_PROBLEMS],
  handle: async (call, { deps }) => json(STATUS.ok, await inTime(provenanceOf(analyticsOf(deps), deps, call.params.id))),
});

const lineage = route({
  method: 'GET',
  path: '/api/v1/provenance/{id}/lineage',
  operationId: 'getLineage',
  tag: 'history',
  summary: 'What artifacts were made from, or what was made from them',
  description: 'Breadth first, each artifact once. At most 10,000 artifacts: then `truncated` is true.',
  params,
  query: lineageQuerySchema,
  patient: true,
  success: [{ status: STATUS.ok, description: 'Artifacts and edges.', schema: lineageSchema, example: HISTORY_EXAMPLES.lineage }],
  problems: [...UNKNOWN, ...HISTORY_PROBLEMS, ...READ_PROBLEMS],
  handle: async (call, { deps }) => json(STATUS.ok, await inTime(lineageOf(analyticsOf(deps), deps, call.params.id, call.query))),
});

const list = route({
  method: 'GET',
  path: '/api/v1/provenance',
  operationId: 'listProvenance',
  tag: 'history',
  summary: 'Executions, newest first',
  query: provenanceQuerySchema,
  patient: true,
  success: [
    {
      status: STATUS.ok,
      description: 'A page.',
      schema: provenancePageSchema,
      example: { executions: [HISTORY_EXAMPLES.execution], next_cursor: null },
      headers: { Link: '`rel="next"` where there is a next page.' },
    },
  ],
  problems: ['invalid_parameter', ...HISTORY_PROBLEMS],
  handle: async (call, { deps }) => {
    const page = await inTime(listExecutions(analyticsOf(deps), call.query));
    const answer = json(STATUS.ok, { executions: page.executions, next_cursor: page.next });
    if (page.next !== null) answer.headers.link = nextLink(call.target, page.next);
    return answer;
  },
});

export const provenanceRoutes = [list, get, lineage];
