// SQL over history: one statement that only reads, within the limits of servers.yaml.

import { queryAnswerSchema, queryBodySchema } from '../../schemas/index.js';
import { analyticsOf, askLimitsOf, HISTORY_PROBLEMS, inTime, patienceFor } from '../analytics/index.js';
import { STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { HISTORY_EXAMPLES } from './history-examples.js';

const query = route({
  method: 'POST',
  path: '/api/v1/query',
  operationId: 'query',
  tag: 'history',
  summary: 'Ask history in SQL',
  description:
    'One statement of ClickHouse that only reads (SELECT, WITH, SHOW, DESCRIBE, EXPLAIN, EXISTS), over the tables of the database `dats`: `SHOW TABLES FROM dats`. ' +
    'Time, memory and rows are limited by `analytics.query` of servers.yaml; what is above is refused, never cut. Values for `{name:Type}` go into `parameters`. ' +
    'Whole numbers above 2^53 come as strings of digits, times as RFC 3339.',
  body: { schema: queryBodySchema, example: HISTORY_EXAMPLES.query },
  patient: true,
  success: [{ status: STATUS.ok, description: 'The answer.', schema: queryAnswerSchema, example: HISTORY_EXAMPLES.answer }],
  problems: [
    'malformed_json',
    'body_too_large',
    'unsupported_media_type',
    'validation_failed',
    'client_gone',
    'query_refused',
    'query_limit',
    ...HISTORY_PROBLEMS,
  ],
  handle: async (call, { deps }) => {
    const { sql, parameters } = call.body;
    const limits = askLimitsOf(deps);
    const { columns, rows, elapsedMs, rowsRead } = await inTime(analyticsOf(deps).ask(sql, limits, parameters), patienceFor(limits));
    return json(STATUS.ok, { columns, rows, row_count: rows.length, elapsed_ms: elapsedMs, rows_read: rowsRead });
  },
});

export const queryRoutes = [query];
