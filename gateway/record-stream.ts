// A stretch of the log as server-sent events: what is wanted of a project's or a task's records, from where the client was, to the last one or for ever.
//
// R1. A stream resumes right after the position that the client names (E of sse.ts). R2. Where that position is not in the log, `reset` says so first.
import { z } from 'zod';
import { parsePosition } from '../schemas/index.js';
import type { Recorded } from '../streams/index.js';
import { refuse, STATUS } from './problem.js';
import type { Services } from './services.js';
import { eventStream, frameOf, resetFrame, SSE_HEADERS } from './sse.js';
import type { Answer, Call } from './table.js';
import type { Follow } from './tail.js';

export const lastEventId = z
  .string()
  .max(64)
  .optional()
  .meta({ description: 'Position of the last event that was received, for clients that cannot set Last-Event-ID.' });
export const FLAG = z.enum(['true', 'false']).default('false');
export const RESUME = {
  'Last-Event-ID': 'Position `p<partition>-<offset>` of the last event that was received: the stream goes on right after it.',
};
export const STREAM_FORMAT =
  'Each event: `id` = position, `event` = its type, `data` = the CloudEvent in structured JSON. A comment line every 15 s. `event: reset` says that the stream could not go on ' +
  'from where the client was, or is cut off because the client is too slow; reconnect with the last id.';

/** The offset after the last event the client has; undefined when it names none. @throws Fault `invalid_parameter` */
export const resumeFrom = (call: Call<unknown, { lastEventId?: string | undefined }>, partition: number): number | undefined => {
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

export interface Streaming {
  readonly follow: Omit<Follow, 'from'>;
  readonly from: number;
  /** What the log held when the request came: asked before the headers of the answer are sent, so that a log that is away is a 503. */
  readonly range: { readonly first: number; readonly end: number };
  /** Offset to end before, for what is over already. */
  readonly until?: number;
  /** Default: every one. */
  readonly wanted?: (record: Recorded) => boolean;
  /** The stream ends after it; default: it does not end. */
  readonly isLast?: (record: Recorded) => boolean;
}

async function* framesOf({ tail }: Services, streaming: Streaming, signal: AbortSignal): AsyncGenerator<readonly Uint8Array[], void> {
  const { follow, range, until, wanted, isLast } = streaming;
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
      if (wanted === undefined || wanted(record)) frames.push(frameOf(record));
      if (isLast?.(record)) return yield frames;
    }
    yield frames;
    if (until !== undefined && batch.at(-1)!.offset + 1 >= until) return;
  }
}

export const streamRecords = (call: Call, services: Services, streaming: Streaming): Answer => ({
  status: STATUS.ok,
  headers: { ...SSE_HEADERS },
  body: eventStream((signal) => framesOf(services, streaming, signal), {
    ...services.streams,
    closing: services.closing,
    disconnect: () => call.disconnect(),
  }),
});

/** Tells a client that has everything to stop reconnecting. */
export const nothingMore = (): Answer => ({ status: STATUS.noContent, headers: {}, body: null });
