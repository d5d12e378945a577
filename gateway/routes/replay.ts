// Counterfactual replays: ask for one, look at one, list those of a project.
import { z } from 'zod';
import {
  projectIdSchema,
  type ReplayAccepted,
  replayAcceptedSchema,
  replayBodySchema,
  replayListSchema,
  replayViewSchema,
} from '../../schemas/index.js';
import { keyOf } from '../idempotency-key.js';
import { PAGE_LIMIT } from '../paging.js';
import { STATUS } from '../problem.js';
import { askReplay, lookAtReplay, replaysOf } from '../replay/index.js';
import { json, route } from '../table.js';
import { requesterOf } from './tasks.js';

const LOG_PROBLEMS = ['log_unavailable', 'unavailable'] as const;

const BODY: z.input<typeof replayBodySchema> = {
  project_id: 'calculator',
  slice: { from: '2026-11-01T00:00:00Z' },
  changes: { routing: [{ when: { domain: 'docs', tier: 'large' }, tier: 'small' }], max_running: 20 },
  reason: 'do documents need the large tier?',
};
const ACCEPTED: ReplayAccepted = {
  replay_id: '01936b2e-7c19-7000-8000-000000000001',
  project_id: 'calculator',
  state: 'requested',
  grade: 'policy',
  slice: { from: 4_211 },
};

const addressOf = ({ replay_id, project_id }: ReplayAccepted): string =>
  `/api/v1/replay/${encodeURIComponent(replay_id)}?project_id=${encodeURIComponent(project_id)}`;

const ask = route({
  method: 'POST',
  path: '/api/v1/replay',
  operationId: 'replay',
  tag: 'history',
  summary: 'Decide a part of a project again, with something changed',
  description:
    'Three lanes are compared: what was observed, a baseline (decided again under the configuration in force, with recorded answers), and a candidate (with the changes). ' +
    'Grade `policy` calls no model: outcomes that are not on record are estimated. Grade `generation` asks models up to `max_calls`, and no more than the budgets of the project, of `by` and of the agent `replay` allow. ' +
    'Nothing of it touches the project: its tasks, artifacts and lists stay as they are. Places of the slice are offsets or instants. With `Idempotency-Key` a repeated request gives the same replay.',
  headers: { 'Idempotency-Key': '1 to 255 printable ASCII characters, quoted or not. Scope: project and `by`.' },
  body: { schema: replayBodySchema, example: BODY },
  success: [
    {
      status: STATUS.accepted,
      description: 'It will be done; look at `Location`.',
      schema: replayAcceptedSchema,
      example: ACCEPTED,
      headers: { Location: 'Where the replay is.', 'Idempotent-Replayed': '`true` when the key was used before.' },
    },
  ],
  problems: [
    'malformed_json',
    'invalid_parameter',
    'body_too_large',
    'unsupported_media_type',
    'validation_failed',
    'idempotency_key_reused',
    'decided_elsewhere',
    'disk_full',
    ...LOG_PROBLEMS,
  ],
  handle: async (call, { deps }) => {
    const { accepted, replayed } = await askReplay(deps, call.body, requesterOf(call), keyOf(call));
    const answer = json(STATUS.accepted, accepted);
    answer.headers.location = addressOf(accepted);
    if (replayed) answer.headers['idempotent-replayed'] = 'true';
    return answer;
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/replay/{replay_id}',
  operationId: 'getReplay',
  tag: 'history',
  summary: 'How a replay stands, and its report when it is completed',
  params: z.strictObject({ replay_id: z.string().min(1).max(64) }),
  query: z.strictObject({ project_id: projectIdSchema.meta({ description: 'The project it was asked for.' }) }),
  success: [{ status: STATUS.ok, description: 'The replay.', schema: replayViewSchema }],
  problems: ['invalid_parameter', 'not_found', 'event_missing', 'content_missing', 'content_corrupt', ...LOG_PROBLEMS],
  handle: async (call, { deps }) => json(STATUS.ok, await lookAtReplay(deps, call.query.project_id, call.params.replay_id)),
});

const list = route({
  method: 'GET',
  path: '/api/v1/replays',
  operationId: 'listReplays',
  tag: 'history',
  summary: 'The replays of a project, newest first',
  query: z.strictObject({
    project_id: projectIdSchema,
    limit: z.coerce.number().int().min(1).max(PAGE_LIMIT).default(50),
  }),
  success: [{ status: STATUS.ok, description: 'The newest.', schema: replayListSchema }],
  problems: ['invalid_parameter', ...LOG_PROBLEMS],
  handle: async (call, { deps }) => {
    const { project_id, limit } = call.query;
    return json(STATUS.ok, { replays: [...(await replaysOf(deps.log).list(project_id, limit))] });
  },
});

export const replayRoutes = [ask, get, list];
