// Provenance: what made which artifacts from what, with which model and prompt, and what became of it. Asked of history; as PROV and as attestations, of the log.

import { z } from 'zod';
import {
  BUNDLE_TYPE,
  lineageQuerySchema,
  lineageSchema,
  provenanceAnswerSchema,
  provenanceFormatQuerySchema,
  provenancePageSchema,
  provenanceQuerySchema,
} from '../../schemas/index.js';
import { analyticsOf, HISTORY_PROBLEMS, inTime, lineageOf, listExecutions, provenanceOf } from '../analytics/index.js';
import { attest, provOf } from '../attestation/index.js';
import { nextLink } from '../paging.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { HISTORY_EXAMPLES } from './history-examples.js';

const params = z.strictObject({ id: z.string().min(1).max(128).meta({ description: 'Of an execution, an artifact or a task.' }) });
const UNKNOWN = ['invalid_parameter', 'provenance_not_found', 'provenance_pending'] as const;
const ATTESTATION_PROBLEMS = ['artifact_not_found', 'artifact_not_accepted', 'artifact_tainted', 'signing_off', 'event_missing'] as const;

const get = route({
  method: 'GET',
  path: '/api/v1/provenance/{id}',
  operationId: 'getProvenance',
  tag: 'history',
  summary: 'How something came to be',
  description:
    'The record of an execution (an attempt of a task), by its own id, by that of an artifact it made, or by that of its task: then the accepted one, else the newest. ' +
    'An execution is recorded when it has ended; until then, and while history is behind the log, the answer is 404 `provenance-pending` with `Retry-After`. ' +
    'With `format` prov or intoto it is made from the log, without history, of an artifact or the artifacts of a task. ' +
    `intoto: signed attestations of one accepted artifact, one DSSE envelope a line (\`${BUNDLE_TYPE}\`); the same artifact, the same bytes, while it stands as it does.`,
  params,
  query: provenanceFormatQuerySchema,
  patient: true,
  success: [
    {
      status: STATUS.ok,
      description: 'The record, or the PROV-JSON document; attestations are lines of JSON.',
      schema: provenanceAnswerSchema,
      example: HISTORY_EXAMPLES.provenance,
    },
  ],
  problems: [...UNKNOWN, ...ATTESTATION_PROBLEMS, ...HISTORY_PROBLEMS, ...READ_PROBLEMS],
  handle: async (call, { deps }) => {
    const { id } = call.params;
    const { format, depth, tainted } = call.query;
    if (format === 'prov') return json(STATUS.ok, await provOf(deps, id, { depth }));
    if (format === 'json') return json(STATUS.ok, await inTime(provenanceOf(analyticsOf(deps), deps, id)));
    const body = await attest(deps, id, { tainted: tainted === 'true' });
    return { status: STATUS.ok, headers: { 'content-type': BUNDLE_TYPE, 'cache-control': 'no-store' }, body };
  },
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
