// The analytics tables as a whole: made anew from the log, brought up to date.

import { migratedSchema, rebuildAnswerSchema, rebuildBodySchema } from '../../schemas/index.js';
import { adminOf, HISTORY_PROBLEMS, inTime } from '../analytics/index.js';
import { STATUS } from '../problem.js';
import { json, route } from '../table.js';
import { HISTORY_EXAMPLES } from './history-examples.js';

const PROBLEMS = [
  'malformed_json',
  'body_too_large',
  'unsupported_media_type',
  'validation_failed',
  'client_gone',
  'migration_changed',
  ...HISTORY_PROBLEMS,
] as const;

const rebuild = route({
  method: 'POST',
  path: '/api/v1/views/rebuild',
  operationId: 'rebuildViews',
  tag: 'history',
  summary: 'Drop the analytics tables and bring all of it again from the log',
  description:
    'Nothing is lost: history is a fold of the log. Answered when it has begun; the dependency `analytics` of GET /health says how far it is.',
  body: { schema: rebuildBodySchema, example: { views: ['analytics'] }, optional: true },
  patient: true,
  success: [{ status: STATUS.accepted, description: 'It has begun.', schema: rebuildAnswerSchema, example: HISTORY_EXAMPLES.rebuild }],
  problems: [...PROBLEMS],
  handle: async (call, { deps }) => {
    await inTime(adminOf(deps).rebuild());
    return json(STATUS.accepted, {
      views: call.body.views,
      detail: 'the tables are empty and are filled from the log again; GET /health says under "analytics" how far that is',
    });
  },
});

const migrate = route({
  method: 'POST',
  path: '/api/v1/views/migrate',
  operationId: 'migrateViews',
  tag: 'history',
  summary: 'Bring the analytics tables up to date with deploy/clickhouse',
  patient: true,
  success: [{ status: STATUS.ok, description: 'What was applied.', schema: migratedSchema, example: HISTORY_EXAMPLES.migrated }],
  problems: ['migration_changed', ...HISTORY_PROBLEMS],
  handle: async (_call, { deps }) => {
    const { applied, generation } = await inTime(adminOf(deps).migrate());
    return json(STATUS.ok, { applied: [...applied], generation });
  },
});

export const viewRoutes = [rebuild, migrate];
