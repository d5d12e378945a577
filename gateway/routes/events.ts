// Event streams: a task's events from its first, a project's from now or from its beginning. Exact resume by Last-Event-ID.

import { z } from 'zod';
import { EVENTS, isTerminal, LIFECYCLE, partitionOf, type TaskView } from '../../schemas/index.js';
import { READ_PROBLEMS, STATUS } from '../problem.js';
import { isFinal, taskNow } from '../reads.js';
import { FLAG, lastEventId, nothingMore, RESUME, resumeFrom, STREAM_FORMAT, streamRecords } from '../record-stream.js';
import type { Services } from '../services.js';
import { route } from '../table.js';
import { taskParams } from './tasks.js';

/** Does the client have the terminal event already? Then 204 tells it to stop reconnecting. */
const hasAll = async ({ deps }: Services, view: TaskView, partition: number, from: number): Promise<boolean> => {
  if (isFinal(view) && from > view.last_offset) return true;
  const last = await deps.log.get({ topic: LIFECYCLE, partition, offset: from - 1 });
  return last !== undefined && isTerminal(last.type) && last.headers.subject === view.task_id;
};

const taskEvents = route({
  method: 'GET',
  path: '/api/v1/tasks/{task_id}/events',
  operationId: 'streamTaskEvents',
  tag: 'tasks',
  summary: "A task's events, from the first, then live",
  description: `Ends after the terminal event unless \`follow=true\`. ${STREAM_FORMAT}`,
  params: taskParams,
  query: z.strictObject({ lastEventId, follow: FLAG.meta({ description: 'Go on after the terminal event.' }) }),
  headers: RESUME,
  success: [
    { status: STATUS.ok, description: 'The stream.', contentType: 'text/event-stream' },
    { status: STATUS.noContent, description: 'The task is over and the client has all its events: stop reconnecting.' },
  ],
  problems: ['invalid_parameter', 'task_not_found', ...READ_PROBLEMS],
  handle: async (call, services) => {
    const view = await taskNow(services.deps, call.params.task_id);
    const partition = partitionOf(view.project_id, services.deps.log.partitions(LIFECYCLE));
    const resume = resumeFrom(call, partition);
    const endAtTerminal = call.query.follow !== 'true';
    if (endAtTerminal && resume !== undefined && (await hasAll(services, view, partition, resume))) return nothingMore();
    return streamRecords(call, services, {
      follow: { partition, project: view.project_id, task: view.task_id },
      range: await services.deps.log.range(LIFECYCLE, partition),
      from: resume ?? view.first_offset,
      ...(endAtTerminal ? { isLast: ({ type }) => isTerminal(type) } : {}),
      ...(endAtTerminal && isFinal(view) ? { until: view.last_offset + 1 } : {}),
    });
  },
});

const typesSchema = z
  .string()
  .max(1_000)
  .transform((text) => text.split(',').map((type) => type.trim()))
  .refine((types) => types.every((type) => type in EVENTS), `must be event types, separated by commas: ${Object.keys(EVENTS).join(', ')}`);

const projectEvents = route({
  method: 'GET',
  path: '/api/v1/projects/{project_id}/events',
  operationId: 'streamProjectEvents',
  tag: 'projects',
  summary: 'All events of a project',
  description: `Never ends by itself. ${STREAM_FORMAT}`,
  params: z.strictObject({ project_id: z.string().min(1).max(128) }),
  query: z.strictObject({
    lastEventId,
    types: typesSchema.optional().meta({
      description: 'Only these event types, separated by commas.',
      type: 'string',
      example: 'dats.task.completed,dats.task.failed',
    }),
    from: z.enum(['beginning', 'now']).default('now').meta({ description: 'Where to begin without a Last-Event-ID.' }),
  }),
  headers: RESUME,
  success: [{ status: STATUS.ok, description: 'The stream.', contentType: 'text/event-stream' }],
  problems: ['invalid_parameter', 'log_unavailable', 'unavailable'],
  handle: async (call, services) => {
    const { log } = services.deps;
    const partition = partitionOf(call.params.project_id, log.partitions(LIFECYCLE));
    const range = await log.range(LIFECYCLE, partition);
    const types = call.query.types === undefined ? undefined : new Set(call.query.types);
    return streamRecords(call, services, {
      follow: { partition, project: call.params.project_id },
      range,
      from: resumeFrom(call, partition) ?? (call.query.from === 'beginning' ? range.first : range.end),
      ...(types === undefined ? {} : { wanted: ({ type }) => types.has(type) }),
    });
  },
});

export const eventRoutes = [taskEvents, projectEvents];
