// Dead letters: look, retry, discard.
import { z } from 'zod';
import { ANONYMOUS } from '../commands.js';
import type { Resolution } from '../dead-letters.js';
import { decodeCursor, encodeCursor, nextLink, PAGE_LIMIT } from '../paging.js';
import { STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { type Answer, json, route } from '../table.js';

const LOG_PROBLEMS = ['log_unavailable', 'unavailable'] as const;

const params = z.strictObject({ id: z.string().min(1).max(64) });

export const deadLetterSchema = z.object({
  id: z.string(),
  state: z.enum(['open', 'retried', 'discarded']),
  topic: z.string(),
  partition: z.int(),
  offset: z.int(),
  group: z.string(),
  type: z.string(),
  subject: z.string().nullable(),
  project_id: z.string().nullable(),
  code: z.string(),
  message: z.string(),
  attempts: z.int(),
  retryable: z.boolean(),
  first_failed_at: z.string(),
  failed_at: z.string(),
  resolved_at: z.string().nullable(),
  resolved_by: z.string().nullable(),
});

export const deadLetterContentSchema = deadLetterSchema.extend({
  headers: z.record(z.string(), z.string()),
  value: z.string(),
  encoding: z.enum(['utf8', 'base64']),
});

const list = route({
  method: 'GET',
  path: '/api/v1/dlq',
  operationId: 'listDeadLetters',
  tag: 'dead letters',
  summary: 'What could not be processed, newest first',
  query: z.strictObject({
    state: z.enum(['open', 'retried', 'discarded']).optional(),
    limit: z.coerce.number().int().min(1).max(PAGE_LIMIT).default(50),
    cursor: z.string().min(1).max(1_024).optional(),
  }),
  success: [
    {
      status: STATUS.ok,
      description: 'A page.',
      schema: z.object({ dead_letters: z.array(deadLetterSchema), next_cursor: z.string().nullable() }),
      headers: { Link: '`rel="next"` where there is a next page.' },
    },
  ],
  problems: ['invalid_parameter', ...LOG_PROBLEMS],
  handle: async (call, { deadLetters }) => {
    const { state, limit, cursor } = call.query;
    const after = cursor === undefined ? undefined : decodeCursor(cursor).after;
    const { letters, more } = await deadLetters.list({ state }, { after, limit });
    const next = more ? encodeCursor(letters.at(-1)!.id, 0) : null;
    const answer = json(STATUS.ok, { dead_letters: letters, next_cursor: next });
    if (next !== null) answer.headers.link = nextLink(call.target, next);
    return answer;
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/dlq/{id}',
  operationId: 'getDeadLetter',
  tag: 'dead letters',
  summary: 'A dead letter with the original record',
  params,
  success: [{ status: STATUS.ok, description: 'The letter.', schema: deadLetterContentSchema }],
  problems: ['invalid_parameter', 'dead_letter_not_found', 'event_missing', ...LOG_PROBLEMS],
  handle: async (call, { deadLetters }) => json(STATUS.ok, await deadLetters.get(call.params.id)),
});

const bodySchema = z.strictObject({ by: z.string().min(1).max(128).default(ANONYMOUS) });

const resolve = async ({ deadLetters }: Services, id: string, resolution: Resolution, by: string): Promise<Answer> =>
  json(STATUS.ok, await deadLetters.resolve(id, resolution, by));

const PROBLEMS = [
  'malformed_json',
  'invalid_parameter',
  'dead_letter_not_found',
  'dead_letter_resolved',
  'body_too_large',
  'unsupported_media_type',
  'validation_failed',
  'disk_full',
  ...LOG_PROBLEMS,
] as const;

const retry = route({
  method: 'POST',
  path: '/api/v1/dlq/{id}/retry',
  operationId: 'retryDeadLetter',
  tag: 'dead letters',
  summary: 'Append the original record to its topic once more',
  params,
  body: { schema: bodySchema, example: { by: 'alice' }, optional: true },
  success: [{ status: STATUS.ok, description: 'The letter, now `retried`.', schema: deadLetterSchema }],
  problems: [...PROBLEMS],
  handle: (call, services) => resolve(services, call.params.id, 'retried', call.body.by),
});

const discard = route({
  method: 'POST',
  path: '/api/v1/dlq/{id}/discard',
  operationId: 'discardDeadLetter',
  tag: 'dead letters',
  summary: 'Mark it as not to be retried; it stays in the log',
  params,
  body: { schema: bodySchema, example: { by: 'alice' }, optional: true },
  success: [{ status: STATUS.ok, description: 'The letter, now `discarded`.', schema: deadLetterSchema }],
  problems: [...PROBLEMS],
  handle: (call, services) => resolve(services, call.params.id, 'discarded', call.body.by),
});

export const dlqRoutes = [list, get, retry, discard];
