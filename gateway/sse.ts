// Server-sent events over the log. The id of an event is its position, so that `Last-Event-ID` resumes exactly.
//
// E1. Nothing is read ahead of the client: the stream asks its source only when the client took what was there. E2. A comment every heartbeat keeps proxies
// from closing a quiet stream. E3. A client that takes nothing for `stallMs` gets `event: reset` and the end, and after `graceMs` the connection is cut.
import { formatPosition } from '../schemas/index.js';
import type { Recorded } from '../streams/index.js';

export interface StreamLimits {
  /** Comment line this often, milliseconds. */
  readonly heartbeatMs: number;
  /** A client that took nothing for this long, although something waits, is cut off. */
  readonly stallMs: number;
  /** From the end of a stalled stream to the end of its connection. */
  readonly graceMs: number;
}
export const STREAM_LIMITS: StreamLimits = { heartbeatMs: 15_000, stallMs: 30_000, graceMs: 10_000 };

/** Bytes in one chunk, at most, unless one event is larger. */
const CHUNK_BYTES = 64 * 1024;
/** How long a browser waits before it reconnects, milliseconds. */
const RECONNECT_MS = 1_000;

export const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
} as const;

const encoder = new TextEncoder();
export const HEARTBEAT = encoder.encode(': keep-alive\n\n');

const textOf = (value: Uint8Array | string): string =>
  typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');

const frames = new WeakMap<Recorded, Uint8Array>();

/** The event of a record in structured CloudEvents JSON. Built once, however many clients get it. */
export const frameOf = (record: Recorded): Uint8Array => {
  const known = frames.get(record);
  if (known !== undefined) return known;
  const attributes = JSON.stringify(record.headers);
  const data = textOf(record.value).replace(/\r\n|\r|\n/g, ' ');
  const comma = attributes === '{}' ? '' : ',';
  const type = record.type.replace(/[\r\n]/g, ' ');
  const frame = encoder.encode(
    `id: ${formatPosition(record)}\nevent: ${type}\ndata: ${attributes.slice(0, -1)}${comma}"data":${data}}\n\n`,
  );
  frames.set(record, frame);
  return frame;
};

/** An event with JSON data; without an id it is no place to resume from. */
export const sseFrame = (event: string, data: unknown, id?: string): Uint8Array =>
  encoder.encode(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);

/** `reset`: the stream did not go on from where the client was, or ends before its time; `resume` says what to do. */
export const resetFrame = (reason: string, resume: string): Uint8Array => sseFrame('reset', { reason, resume });

const joined = (parts: readonly Uint8Array[]): Uint8Array[] => {
  const chunks: Uint8Array[] = [];
  let group: Uint8Array[] = [];
  let bytes = 0;
  for (const part of parts) {
    if (bytes > 0 && bytes + part.byteLength > CHUNK_BYTES) {
      chunks.push(Buffer.concat(group));
      group = [];
      bytes = 0;
    }
    group.push(part);
    bytes += part.byteLength;
  }
  if (group.length > 0) chunks.push(group.length === 1 ? group[0]! : Buffer.concat(group));
  return chunks;
};

export interface StreamOptions extends StreamLimits {
  /** Sent first: headers of the answer reach the client at once. */
  readonly opening?: Uint8Array;
  /** Sent last to a client that is too slow; default: `event: reset`. */
  readonly tooSlow?: () => Uint8Array;
  /** Ends the stream in order; absent: it is said to its end. */
  readonly closing?: AbortSignal;
  /** Cuts the connection. */
  readonly disconnect: () => void;
}

/** One for all streams: making an error takes longer than writing a frame. */
const OVER = new Error('the stream is over');

/** A body that sends what `source` yields. `source` gets a signal that aborts when the client is gone or the gateway closes. */
export const eventStream = (
  source: (signal: AbortSignal) => AsyncGenerator<readonly Uint8Array[], void>,
  options: StreamOptions,
): ReadableStream<Uint8Array> => {
  const stop = new AbortController();
  const end = () => stop.abort(OVER);
  let over = false;
  let heartbeat: NodeJS.Timeout | undefined;
  let waiting: Uint8Array[] = [];
  let stalledSince: number | undefined;
  const finish = () => {
    over = true;
    clearInterval(heartbeat);
    options.closing?.removeEventListener('abort', end);
    end();
  };
  const iterator = source(stop.signal);

  const beat = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    if (over) return;
    if ((controller.desiredSize ?? 0) > 0) {
      stalledSince = undefined;
      controller.enqueue(HEARTBEAT);
      return;
    }
    stalledSince ??= performance.now();
    if (performance.now() - stalledSince < options.stallMs) return;
    finish();
    controller.enqueue(options.tooSlow?.() ?? resetFrame('too_slow', 'reconnect with Last-Event-ID set to the last id you have'));
    controller.close();
    setTimeout(options.disconnect, options.graceMs).unref();
  };

  return new ReadableStream<Uint8Array>({
    start: (controller) => {
      options.closing?.addEventListener('abort', end);
      if (options.closing?.aborted) end();
      controller.enqueue(options.opening ?? encoder.encode(`retry: ${RECONNECT_MS}\n\n`));
      heartbeat = setInterval(() => beat(controller), options.heartbeatMs);
      heartbeat.unref();
    },
    pull: async (controller) => {
      stalledSince = undefined;
      if (waiting.length === 0) {
        const { done, frames: next } = await nextOf(iterator);
        if (over) return;
        if (done) {
          finish();
          if (next.length > 0) controller.enqueue(next[0]!);
          controller.close();
          return;
        }
        waiting = joined(next);
      }
      controller.enqueue(waiting.shift()!);
    },
    cancel: async () => {
      finish();
      // The writer only stops writing when a client is gone; without this its half-open connection would stay until it times out.
      options.disconnect();
      await iterator.return();
    },
  });
};

/** A source that fails ends with a `reset` that says so: the headers are long gone. */
const nextOf = async (
  iterator: AsyncGenerator<readonly Uint8Array[], void>,
): Promise<{ readonly done: boolean; readonly frames: readonly Uint8Array[] }> => {
  try {
    for (;;) {
      const step = await iterator.next();
      if (step.done) return { done: true, frames: [] };
      if (step.value.length > 0) return { done: false, frames: step.value };
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'the source of the stream failed';
    return { done: true, frames: [resetFrame(reason, 'reconnect with Last-Event-ID set to the last id you have')] };
  }
};
