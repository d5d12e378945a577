// Follows a server-sent event stream to its end, through cuts and restarts of the server.
//
// C1. Every event is given once and in order: after a cut the stream is resumed by Last-Event-ID, and what is at or before it is dropped.
// C2. The first connection must succeed; a later one is tried again with backoff until `RECONNECT_FOR_MS` have passed without any contact.
// C3. A silent connection (not even a heartbeat for `SILENCE_MS`) counts as cut. C4. An error that no retry mends (4xx) ends it at once.
import { createParser } from 'eventsource-parser';
import { Fault, isFault, parsePosition } from '../../schemas/index.js';
import { type Sleep, sleep } from './wait.js';

/** Longest time without contact before following is given up, in milliseconds. */
export const RECONNECT_FOR_MS = 60_000;
/** First and longest pause before a reconnect, in milliseconds. */
const BACKOFF_BASE_MS = 100;
const BACKOFF_MAX_MS = 3_000;
/** The server sends a heartbeat every 15 s. */
const SILENCE_MS = 45_000;

export interface StreamEvent {
  /** `p<partition>-<offset>`; empty where the stream has none. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Resume after this event id. */
  readonly lastEventId?: string;
  /** Told when the connection was lost and when it is back. */
  readonly onConnection?: (state: 'lost' | 'back') => void;
  readonly reconnectForMs?: number;
  /** Asked after the server ended the stream in order but before its last event: true ends it, such as when there was nothing after `lastEventId`. */
  readonly isOver?: (signal: AbortSignal | undefined) => Promise<boolean>;
  readonly sleep?: Sleep;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Opens the stream from after `lastEventId`. @throws Fault: retryable when another try may do better. */
export type Open = (lastEventId: string | undefined, signal: AbortSignal) => Promise<Response>;

const after = (id: string, last: string | undefined): boolean => {
  const a = parsePosition(id);
  const b = last === undefined ? undefined : parsePosition(last);
  return a === undefined || b === undefined || a.partition !== b.partition || a.offset > b.offset;
};

/** The events of one connection; returns at its end, throws when it is cut. `onBytes` is called for anything that arrives. */
async function* eventsOf(response: Response, onBytes: () => void, onRetry: (ms: number) => void): AsyncGenerator<StreamEvent> {
  if (response.body === null) return;
  const ready: StreamEvent[] = [];
  const parser = createParser({
    onEvent: (event) => ready.push({ id: event.id ?? '', event: event.event ?? 'message', data: event.data }),
    onRetry,
  });
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    onBytes();
    parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
    yield* ready.splice(0);
  }
}

/** @param isLast after this event the stream is over and is not opened again. */
export async function* follow(
  open: Open,
  isLast: (event: StreamEvent) => boolean,
  options: FollowOptions = {},
): AsyncGenerator<StreamEvent> {
  const { now = Date.now, random = Math.random, sleep: pause = sleep, reconnectForMs = RECONNECT_FOR_MS } = options;
  let last = options.lastEventId;
  let connected = false;
  let lost = false;
  let failures = 0;
  let base = BACKOFF_BASE_MS;
  let contact = now();

  for (;;) {
    options.signal?.throwIfAborted();
    const silence = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const heard = (): void => {
      contact = now();
      clearTimeout(timer);
      timer = setTimeout(
        () => silence.abort(new Fault('retryable', 'stream_silent', `the stream was silent for ${SILENCE_MS} ms`)),
        SILENCE_MS,
      );
    };
    try {
      const signal = options.signal === undefined ? silence.signal : AbortSignal.any([options.signal, silence.signal]);
      const response = await open(last, signal);
      if (response.status === 204) return;
      connected = true;
      if (lost) options.onConnection?.('back');
      lost = false;
      heard();
      for await (const event of eventsOf(response, heard, (ms) => (base = ms))) {
        failures = 0;
        if (event.id !== '' && !after(event.id, last)) continue;
        if (event.id !== '') last = event.id;
        yield event;
        if (isLast(event)) return;
      }
      if (await options.isOver?.(options.signal)) return;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!connected) throw error;
      if (isFault(error) && error.kind !== 'retryable') throw error;
      if (now() - contact > reconnectForMs)
        throw new Fault(
          'retryable',
          'server_unreachable',
          `the connection to the server was lost and did not come back within ${reconnectForMs} ms; start it with "npm start" and watch again`,
          {
            cause: error,
          },
        );
    } finally {
      clearTimeout(timer);
      // Frees the connection also when whoever reads stops in the middle.
      silence.abort();
    }
    if (!lost) options.onConnection?.('lost');
    lost = true;
    const wait = Math.min(BACKOFF_MAX_MS, base * 2 ** failures) * (0.5 + random() / 2);
    failures = Math.min(failures + 1, 10);
    await pause(wait, options.signal);
  }
}
