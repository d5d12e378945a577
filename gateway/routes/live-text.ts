// The text of a task while a model says it.
import { z } from 'zod';
import { LIFECYCLE, partitionOf } from '../../schemas/index.js';
import { FINAL_ID, liveFrames, parsePlace, type TextPlace } from '../live-stream.js';
import { READ_PROBLEMS, refuse, STATUS } from '../problem.js';
import { taskNow } from '../reads.js';
import { eventStream, SSE_HEADERS } from '../sse.js';
import { type Call, route } from '../table.js';
import { taskParams } from './tasks.js';

const EVENTS =
  '`text` (data: `{attempt, seq, text}`): a piece of what the model says, right after the one before. `end` (`{attempt, seq}`): this text is over; text after it, of the same ' +
  'attempt or of a later one, begins anew. `gap` (`{attempt, seq, missed}`): so many pieces before this place are lost, or not kept any more. `final` (`{state}`): the task is ' +
  'over and the stream ends; a browser should close its EventSource then.';

const lastIdOf = (call: Call<unknown, { lastEventId?: string | undefined }>): string | undefined => {
  const given = call.header('last-event-id') ?? call.query.lastEventId;
  return given === undefined || given === null || given === '' ? undefined : given;
};

const placeOf = (lastId: string | undefined): TextPlace | undefined => {
  if (lastId === undefined) return undefined;
  const place = parsePlace(lastId);
  if (place === undefined)
    throw refuse(
      'invalid_parameter',
      `Last-Event-ID "${lastId.slice(0, 64)}" is not a place in this stream; places look like 1-1048576 (attempt and seq)`,
    );
  return place;
};

const stream = route({
  method: 'GET',
  path: '/api/v1/tasks/{task_id}/stream',
  operationId: 'streamTaskText',
  tag: 'tasks',
  summary: 'What the model says about a task, while it says it',
  description:
    `Begins with what was said in the last minutes, as far as it is kept (64 KiB), and ends when the task is final. Live text is a convenience: it may have gaps, and what counts are the ` +
    `artifacts. Analysis and splitting of a task are not shown; the text of a task that was split is that of its \`children\`. ${EVENTS} A comment line every 15 s. \`id\` is \`<attempt>-<seq>\`, which only rises: with Last-Event-ID the stream goes on after it.`,
  params: taskParams,
  query: z.strictObject({
    lastEventId: z
      .string()
      .max(64)
      .optional()
      .meta({ description: 'Id of the last event that was received, for clients that cannot set Last-Event-ID.' }),
  }),
  headers: { 'Last-Event-ID': 'Id of the last event that was received: only what is after it is sent.' },
  success: [
    { status: STATUS.ok, description: 'The stream.', contentType: 'text/event-stream' },
    { status: STATUS.noContent, description: 'The client has everything, `final` included: stop reconnecting.' },
  ],
  problems: ['invalid_parameter', 'task_not_found', ...READ_PROBLEMS],
  handle: async (call, services) => {
    const { deps, tail, closing, streams, liveQuietMs } = services;
    const lastId = lastIdOf(call);
    const after = lastId === FINAL_ID ? undefined : placeOf(lastId);
    const view = await taskNow(deps, call.params.task_id);
    if (lastId === FINAL_ID) return { status: STATUS.noContent, headers: {}, body: null };
    const partition = partitionOf(view.project_id, deps.log.partitions(LIFECYCLE));
    const source = { live: deps.live, tail, view, partition, after, quietMs: liveQuietMs };
    return {
      status: STATUS.ok,
      headers: { ...SSE_HEADERS },
      body: eventStream((signal) => liveFrames(source, signal), { ...streams, closing, disconnect: () => call.disconnect() }),
    };
  },
});

export const liveTextRoutes = [stream];
