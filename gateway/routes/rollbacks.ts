// Rollbacks: plan, begin, look, list, follow.
import { z } from 'zod';
import type { Rollback } from '../../processors/cascade/index.js';
import {
  rollbackAnswerSchema,
  rollbackListQuerySchema,
  rollbackListSchema,
  rollbackSchema,
  rollbackViewSchema,
} from '../../schemas/index.js';
import {
  inHistory,
  KEY_HEADER,
  KNOWLEDGE_PROBLEMS,
  type Running,
  rollBack,
  rollbackOf,
  rollbackShown,
  streamAbout,
} from '../cascade/index.js';
import { keyOf } from '../idempotency-key.js';
import { STATUS } from '../problem.js';
import { FLAG, lastEventId, RESUME, STREAM_FORMAT } from '../record-stream.js';
import { json, route } from '../table.js';
import { CASCADE_EXAMPLES } from './cascade-examples.js';
import { BODY_PROBLEMS, REPLAYED } from './taint.js';
import { requesterOf } from './tasks.js';

const params = z.strictObject({ rollback_id: z.string().min(1).max(64) });

const post = route({
  method: 'POST',
  path: '/api/v1/rollback',
  operationId: 'rollBack',
  traced: true,
  patient: true,
  tag: 'cascades',
  summary: 'Take back what a cascade tainted, what a task made, or all that came after a place in the history',
  description:
    'Files go back to versions that were good, as new events: nothing is deleted, and a rollback can be rolled back. `to` is an instant (files stand again as they stood at it), a position such as ' +
    '`p0-17` or the id of an event (as they stood before it). With `dry_run` it answers with the plan, and nothing is done.',
  headers: KEY_HEADER,
  body: { schema: rollbackSchema, example: CASCADE_EXAMPLES.rollback },
  success: [
    {
      status: STATUS.accepted,
      description: 'The request is on disk.',
      schema: rollbackAnswerSchema,
      example: CASCADE_EXAMPLES.rollbackAnswer,
      headers: { Location: 'Where the rollback is.', ...REPLAYED },
    },
    { status: STATUS.ok, description: 'A dry run: nothing was done.', schema: rollbackAnswerSchema, example: CASCADE_EXAMPLES.planOnly },
  ],
  problems: [
    ...BODY_PROBLEMS,
    'project_not_found',
    'task_not_found',
    'cascade_not_found',
    'rollback_not_found',
    'event_not_found',
    'rollback_not_over',
    'idempotency_key_reused',
    ...KNOWLEDGE_PROBLEMS,
    'disk_full',
  ],
  handle: async (call, services) => {
    const key = keyOf(call);
    const { answer, replayed } = await inHistory(services, (signal) => rollBack(services, call.body, requesterOf(call), key, signal));
    const response = json(answer.dry_run ? STATUS.ok : STATUS.accepted, answer);
    if (answer.rollback_id !== null) response.headers.location = `/api/v1/rollbacks/${answer.rollback_id}`;
    if (replayed) response.headers['idempotent-replayed'] = 'true';
    return response;
  },
});

const list = route({
  method: 'GET',
  path: '/api/v1/rollbacks',
  operationId: 'listRollbacks',
  patient: true,
  tag: 'cascades',
  summary: 'Rollbacks, newest first',
  query: rollbackListQuerySchema,
  success: [
    { status: STATUS.ok, description: 'The list.', schema: rollbackListSchema, example: { rollbacks: [CASCADE_EXAMPLES.rollbackView] } },
  ],
  problems: ['invalid_parameter', ...KNOWLEDGE_PROBLEMS],
  handle: async ({ query }, services) => {
    const { knowledge } = services;
    const { project_id, limit } = query;
    const rollbacks = await inHistory(services, async () => {
      const projects = project_id === undefined ? await knowledge.all() : [(await knowledge.project(project_id)) ?? []].flat();
      return projects
        .flatMap((project) => [...project.rollbacks.values()])
        .sort((a, b) => b.requestedMs - a.requestedMs || b.firstOffset - a.firstOffset)
        .slice(0, limit)
        .map(rollbackShown);
    });
    return json(STATUS.ok, { rollbacks });
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/rollbacks/{rollback_id}',
  operationId: 'getRollback',
  patient: true,
  tag: 'cascades',
  summary: 'How far a rollback is',
  params,
  success: [{ status: STATUS.ok, description: 'The rollback.', schema: rollbackViewSchema, example: CASCADE_EXAMPLES.rollbackView }],
  problems: ['invalid_parameter', 'rollback_not_found', ...KNOWLEDGE_PROBLEMS],
  handle: async (call, services) =>
    json(STATUS.ok, await inHistory(services, async () => rollbackShown((await rollbackOf(services, call.params.rollback_id)).rollback))),
});

const runningOf = (rollback: Rollback): Running => ({
  field: 'rollback_id',
  id: rollback.id,
  project: rollback.project,
  firstOffset: rollback.firstOffset,
  lastOffset: rollback.lastOffset,
  isOver: rollback.completedMs !== undefined,
});

const events = route({
  method: 'GET',
  path: '/api/v1/rollbacks/{rollback_id}/events',
  operationId: 'streamRollbackEvents',
  patient: true,
  tag: 'cascades',
  summary: "A rollback's events, from the first, then live",
  description: `Ends after \`dats.rollback.completed\` unless \`follow=true\`. ${STREAM_FORMAT}`,
  params,
  query: z.strictObject({ lastEventId, follow: FLAG.meta({ description: 'Go on after the end of the rollback.' }) }),
  headers: RESUME,
  success: [
    { status: STATUS.ok, description: 'The stream.', contentType: 'text/event-stream' },
    { status: STATUS.noContent, description: 'The rollback is over and the client has all its events: stop reconnecting.' },
  ],
  problems: ['invalid_parameter', 'rollback_not_found', ...KNOWLEDGE_PROBLEMS],
  handle: (call, services) =>
    inHistory(services, async () => streamAbout(call, services, runningOf((await rollbackOf(services, call.params.rollback_id)).rollback))),
});

export const rollbackRoutes = [post, list, get, events];
