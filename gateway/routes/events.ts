// Event streams: a task's events from its first, a project's from now or from its beginning. Exact resume by Last-Event-ID.

import { z } from 'zod';
import { EVENTS, isTerminal, LIFECYCLE, parsePosition, partitionOf, type TaskView } from '../../schemas/index.js';
import { READ_PROBLEMS, refuse, STATUS } from '../problem.js';
import { isFinal, taskNow } from '../reads.js';
import type { Services } from '../services.js';
import { eventStream, frameOf, resetFrame, SSE_HEADERS } from '../sse.js';
import { type Answer, type Call, route } from '../table.js';
import type { Follow } from '../tail.js';
import { taskParams } from './tasks.js';

const lastEventId = z
  .string()
  .max(64)
  .optional()
  .meta({ description: 'Position of the last event that was received, for clients that cannot set Last-Event-ID.' });
const FLAG = z.enum(['true', 'false']).default('false');
const RESUME = {
  'Last-Event-ID': 'Position `p<partition>-<offset>` of the last event that was received: the stream goes on right after it.',
};
const FORMAT =
  'Each event: `id` = position, `event` = its type, `data` = the CloudEvent in structured JSON. A comment line every 15 s. `event: reset` says that the stream could not go on ' +
  'from where the client was, or is cut off because the client is too slow; reconnect with the last id.';

/** The offset after the last event the client has; undefined when it names none. */
const resumeFrom = (call: Call<unknown, { lastEventId?: string | undefined }>, partition: number): number | undefined => {
  const given = call.header('last-event-id') ?? call.query.lastEventId;
  if (given === undefined || given === null || given === '') return undefined;
  const position = parsePosition(given);
  if (position?.partition !== partition)
    throw refuse(
      'invalid_parameter',
      `Last-Event-ID "${given.slice(0, 64)}" is not a position in this stream; positions look like p${partition}-123`,
    );
  return position.offset + 1;
};

interface Streaming {
  readonly follow: Omit<Follow, 'from'>;
  readonly from: number;
  /** What the log held when the request came: asked before the headers of the answer are sent, so that a log that is away is a 503. */
  readonly range: { readonly first: number; readonly end: number };
  /** Offset to end before, for what is over already. */
  readonly until?: number;
  readonly wanted?: ReadonlySet<string>;
  readonly endAtTerminal: boolean;
}

async function* framesOf({ tail }: Services, streaming: Streaming, signal: AbortSignal): AsyncGenerator<readonly Uint8Array[], void> {
  const { follow, range, until, wanted, endAtTerminal } = streaming;
  let from = streaming.from;
  if (from < range.first || from > range.end) {
    yield [
      resetFrame(
        `offset ${from} is not in the log, which holds ${range.first} to ${range.end}`,
        'what follows begins at the nearest offset there is',
      ),
    ];
    from = Math.min(Math.max(from, range.first), range.end);
  }
  for await (const batch of tail.follow({ ...follow, from }, signal)) {
    const frames: Uint8Array[] = [];
    for (const record of batch) {
      if (until !== undefined && record.offset >= until) return yield frames;
      if (wanted === undefined || wanted.has(record.type)) frames.push(frameOf(record));
      if (endAtTerminal && isTerminal(record.type)) return yield frames;
    }
    yield frames;
    if (until !== undefined && batch.at(-1)!.offset + 1 >= until) return;
  }
}

const stream = (call: Call, services: Services, streaming: Streaming): Answer => ({
  status: STATUS.ok,
  headers: { ...SSE_HEADERS },
  body: eventStream((signal) => framesOf(services, streaming, signal), {
    ...services.streams,
    closing: services.closing,
    disconnect: () => call.disconnect(),
  }),
});

const NOTHING_MORE: Readonly<Answer> = { status: STATUS.noContent, headers: {}, body: null };

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
  description: `Ends after the terminal event unless \`follow=true\`. ${FORMAT}`,
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
    if (endAtTerminal && resume !== undefined && (await hasAll(services, view, partition, resume))) return { ...NOTHING_MORE, headers: {} };
    return stream(call, services, {
      follow: { partition, project: view.project_id, task: view.task_id },
      range: await services.deps.log.range(LIFECYCLE, partition),
      from: resume ?? view.first_offset,
      endAtTerminal,
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
  description: `Never ends by itself. ${FORMAT}`,
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
    return stream(call, services, {
      follow: { partition, project: call.params.project_id },
      range,
      from: resumeFrom(call, partition) ?? (call.query.from === 'beginning' ? range.first : range.end),
      endAtTerminal: false,
      ...(call.query.types === undefined ? {} : { wanted: new Set(call.query.types) }),
    });
  },
});

export const eventRoutes = [taskEvents, projectEvents];
