// Cascades: look, list, follow, cancel.
import { z } from 'zod';
import { type Cascade, isActive } from '../../processors/cascade/index.js';
import {
  cascadeAnswerSchema,
  cascadeCancelSchema,
  cascadeListQuerySchema,
  cascadeListSchema,
  cascadeViewSchema,
  newId,
} from '../../schemas/index.js';
import { cascadeAnswer, cascadeOf, cascadeShown, inHistory, KNOWLEDGE_PROBLEMS, type Running, streamAbout } from '../cascade/index.js';
import { ANONYMOUS } from '../commands.js';
import { toHome } from '../link/index.js';
import { STATUS } from '../problem.js';
import { FLAG, lastEventId, RESUME, STREAM_FORMAT } from '../record-stream.js';
import { saidEvent } from '../said.js';
import { json, route } from '../table.js';
import { CASCADE_EXAMPLES } from './cascade-examples.js';
import { BODY_PROBLEMS } from './taint.js';
import { requesterOf } from './tasks.js';

const params = z.strictObject({ cascade_id: z.string().min(1).max(64) });

const list = route({
  method: 'GET',
  path: '/api/v1/cascades',
  operationId: 'listCascades',
  patient: true,
  tag: 'cascades',
  summary: 'Cascades, newest first',
  query: cascadeListQuerySchema,
  success: [{ status: STATUS.ok, description: 'The list.', schema: cascadeListSchema, example: { cascades: [CASCADE_EXAMPLES.cascade] } }],
  problems: ['invalid_parameter', ...KNOWLEDGE_PROBLEMS],
  handle: async ({ query }, services) => {
    const { knowledge } = services;
    const { project_id, state, limit } = query;
    const cascades = await inHistory(services, async () => {
      const projects = project_id === undefined ? await knowledge.all() : [(await knowledge.project(project_id)) ?? []].flat();
      return projects
        .flatMap((project) => [...project.cascades.values()])
        .filter((cascade) => state === undefined || cascade.state === state)
        .sort((a, b) => b.requestedMs - a.requestedMs || b.firstOffset - a.firstOffset)
        .slice(0, limit)
        .map(cascadeShown);
    });
    return json(STATUS.ok, { cascades });
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/cascades/{cascade_id}',
  operationId: 'getCascade',
  patient: true,
  tag: 'cascades',
  summary: 'How far a cascade is, and what it marked',
  description: 'One that begins by policy (an alert, a rejection, a late use) is there as soon as it has begun.',
  params,
  success: [{ status: STATUS.ok, description: 'The cascade.', schema: cascadeAnswerSchema, example: CASCADE_EXAMPLES.cascadeAnswer }],
  problems: ['invalid_parameter', 'cascade_not_found', ...KNOWLEDGE_PROBLEMS],
  handle: async (call, services) => {
    const answer = await inHistory(services, async () => {
      const { project, cascade } = await cascadeOf(services, call.params.cascade_id);
      return cascadeAnswer(project, cascade);
    });
    return json(STATUS.ok, answer);
  },
});

const runningOf = (cascade: Cascade): Running => ({
  field: 'cascade_id',
  id: cascade.id,
  project: cascade.project,
  firstOffset: cascade.firstOffset,
  lastOffset: cascade.lastOffset,
  isOver: !isActive(cascade),
});

const events = route({
  method: 'GET',
  path: '/api/v1/cascades/{cascade_id}/events',
  operationId: 'streamCascadeEvents',
  patient: true,
  tag: 'cascades',
  summary: "A cascade's events, from the first, then live",
  description: `Ends after \`dats.cascade.completed\` unless \`follow=true\`. ${STREAM_FORMAT}`,
  params,
  query: z.strictObject({ lastEventId, follow: FLAG.meta({ description: 'Go on after the end of the cascade.' }) }),
  headers: RESUME,
  success: [
    { status: STATUS.ok, description: 'The stream.', contentType: 'text/event-stream' },
    { status: STATUS.noContent, description: 'The cascade is over and the client has all its events: stop reconnecting.' },
  ],
  problems: ['invalid_parameter', 'cascade_not_found', ...KNOWLEDGE_PROBLEMS],
  handle: (call, services) =>
    inHistory(services, async () => streamAbout(call, services, runningOf((await cascadeOf(services, call.params.cascade_id)).cascade))),
});

const cancel = route({
  method: 'POST',
  path: '/api/v1/cascades/{cascade_id}/cancel',
  operationId: 'cancelCascade',
  traced: true,
  patient: true,
  tag: 'cascades',
  summary: 'Stop a cascade',
  description: 'What it has marked stays marked; a rollback of it takes that back.',
  params,
  body: { schema: cascadeCancelSchema, example: { reason: 'named the wrong artifact', by: 'alice' }, optional: true },
  success: [
    {
      status: STATUS.accepted,
      description: 'The request is on disk; it marks nothing more.',
      schema: cascadeViewSchema,
      example: { ...CASCADE_EXAMPLES.cascade, state: 'cancelling', completed_at: null },
    },
    { status: STATUS.ok, description: 'It is over already.', schema: cascadeViewSchema, example: CASCADE_EXAMPLES.cascade },
  ],
  problems: [...BODY_PROBLEMS, 'cascade_not_found', ...KNOWLEDGE_PROBLEMS, 'disk_full'],
  handle: (call, services) =>
    inHistory(services, async () => {
      const { cascade_id } = call.params;
      const { cascade } = await cascadeOf(services, cascade_id);
      if (!isActive(cascade)) return json(STATUS.ok, cascadeShown(cascade));
      if (cascade.state === 'cancelling') return json(STATUS.accepted, cascadeShown(cascade));
      const { reason, by = ANONYMOUS } = call.body;
      const saying = { projectId: cascade.project, by, eventId: newId(), requester: requesterOf(call) };
      const event = saidEvent(services, 'dats.cascade.cancel.requested', cascade_id, { cascade_id, reason, by }, saying);
      await services.deps.log.append([await toHome(services.deps, event)]);
      return json(STATUS.accepted, cascadeShown((await cascadeOf(services, cascade_id)).cascade));
    }),
});

export const cascadeRoutes = [list, get, events, cancel];
