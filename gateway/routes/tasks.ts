// Tasks: submit, look, list, cancel.

import { z } from 'zod';
import { acceptedSchema, cancelSchema, STATES, STATUSES, submitTaskSchema, taskViewSchema } from '../../schemas/index.js';
import { cancelTask } from '../cancel.js';
import type { Requester } from '../commands.js';
import { keyOf } from '../idempotency-key.js';
import { formatTraceparent } from '../middleware/trace.js';
import { listTasks, nextLink, taskQuerySchema } from '../paging.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import { caughtUp, taskNow } from '../reads.js';
import { BEHIND_HEADER, BEHIND_SAYS, type Call, json, route, sayBehind } from '../table.js';
import { EXAMPLES } from './examples.js';

export const taskParams = z.strictObject({ task_id: z.string().min(1).max(64) });

export const requesterOf = ({ correlationId, trace, header }: Call): Requester => ({
  correlationId,
  traceparent: trace === undefined ? header('traceparent') : formatTraceparent(trace),
});

export const cancelAnswerSchema = z.object({
  task_id: z.string(),
  outcome: z.enum(['cancelled', 'already_final', 'requested']),
  state: z.enum(STATES),
  status: z.enum(STATUSES),
  detail: z.string(),
});

export const taskPageSchema = z.object({ tasks: z.array(taskViewSchema), next_cursor: z.string().nullable() });

const submit = route({
  method: 'POST',
  path: '/api/v1/tasks',
  operationId: 'submitTask',
  traced: true,
  tag: 'tasks',
  summary: 'Submit a task',
  description:
    'Answered when the task is on disk. With `Idempotency-Key` (profile of draft-ietf-httpapi-idempotency-key-header-07; a key never expires) a repeated request gives the same task and ' +
    '`Idempotent-Replayed: true`. Descriptions are limited to 1 MiB; longer material goes into `files`. `ref` has a meaning in batches only. ' +
    'A project that submits faster than `gateway.rate_limit` allows is answered 429 with `Retry-After`; a repeated request under its key is not counted.',
  headers: {
    'Idempotency-Key': '1 to 255 printable ASCII characters, quoted or not. Scope: project and submitter.',
    traceparent: 'W3C trace context to join.',
  },
  body: { schema: submitTaskSchema, example: EXAMPLES.submit },
  success: [
    {
      status: STATUS.accepted,
      description: 'Taken. Follow it at `Location` or at `/events` below it.',
      schema: acceptedSchema,
      example: EXAMPLES.accepted,
      headers: { Location: 'Where the task is.', 'Idempotent-Replayed': '`true` when the key was used before.' },
    },
  ],
  problems: [
    'malformed_json',
    'invalid_parameter',
    'body_too_large',
    'unsupported_media_type',
    'validation_failed',
    'idempotency_key_reused',
    'too_many_open_tasks',
    'rate_limited',
    'node_cordoned',
    ...READ_PROBLEMS,
    'disk_full',
  ],
  handle: async (call, { submissions }) => {
    const key = keyOf(call);
    if (key === undefined) {
      const accepted = await submissions.submit(call.body, requesterOf(call));
      const answer = json(STATUS.accepted, accepted);
      answer.headers.location = `/api/v1/tasks/${accepted.task_id}`;
      return answer;
    }
    const { accepted, replayed } = await submissions.submitOnce(call.body, requesterOf(call), key);
    const answer = json(STATUS.accepted, accepted);
    answer.headers.location = `/api/v1/tasks/${accepted.task_id}`;
    if (replayed) answer.headers['idempotent-replayed'] = 'true';
    return answer;
  },
});

const get = route({
  method: 'GET',
  path: '/api/v1/tasks/{task_id}',
  operationId: 'getTask',
  tag: 'tasks',
  summary: 'The state of a task',
  params: taskParams,
  success: [{ status: STATUS.ok, description: 'The task.', schema: taskViewSchema, example: EXAMPLES.task }],
  problems: ['invalid_parameter', 'task_not_found', ...READ_PROBLEMS],
  handle: async (call, services) => json(STATUS.ok, await taskNow(services.deps, call.params.task_id)),
});

const list = route({
  method: 'GET',
  path: '/api/v1/tasks',
  operationId: 'listTasks',
  tag: 'tasks',
  summary: 'Tasks, newest first',
  description: 'A request looks at 2,000 tasks at most: with a filter that matches few, a page may be short and still have a next one.',
  query: taskQuerySchema,
  success: [
    {
      status: STATUS.ok,
      description: 'A page.',
      schema: taskPageSchema,
      example: { tasks: [EXAMPLES.task], next_cursor: null },
      headers: { Link: '`rel="next"` where there is a next page.', [BEHIND_HEADER]: BEHIND_SAYS },
    },
  ],
  problems: ['invalid_parameter', ...READ_PROBLEMS],
  handle: async (call, { deps }) => {
    const behind = await caughtUp(deps, call.query.project_id);
    const page = await listTasks(deps.views, call.query);
    const answer = json(STATUS.ok, { tasks: page.tasks, next_cursor: page.next });
    if (page.next !== null) answer.headers.link = nextLink(call.target, page.next);
    sayBehind(answer, behind);
    return answer;
  },
});

const cancel = route({
  method: 'POST',
  path: '/api/v1/tasks/{task_id}/cancel',
  operationId: 'cancelTask',
  traced: true,
  tag: 'tasks',
  summary: 'Cancel a task',
  description:
    'Works in every state that is not final and says what it did. Waits up to two seconds for the task to end; `requested` means that the request is recorded and the end has not come yet.',
  params: taskParams,
  body: { schema: cancelSchema, example: { reason: 'not needed any more', by: 'alice' }, optional: true },
  success: [
    {
      status: STATUS.ok,
      description: 'What came of it.',
      schema: cancelAnswerSchema,
      example: {
        task_id: EXAMPLES.accepted.task_id,
        outcome: 'cancelled',
        state: 'cancelled',
        status: 'cancelled',
        detail: 'the task was cancelled; nothing more will be done for it',
      },
    },
  ],
  problems: [
    'malformed_json',
    'invalid_parameter',
    'task_not_found',
    'body_too_large',
    'unsupported_media_type',
    'validation_failed',
    ...READ_PROBLEMS,
    'disk_full',
  ],
  handle: async (call, services) => json(STATUS.ok, await cancelTask(services, call.params.task_id, call.body, requesterOf(call))),
});

export const taskRoutes = [submit, get, list, cancel];
