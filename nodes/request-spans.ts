// Requests as spans, on their way to the collector. Unlike everything else of a trace they are in no log: they wait in this process.
//
// R1. Bounded: beyond WAITING_LIMIT the oldest are dropped, and that is told once. R2. They survive an outage of the collector, not a death of the process:
// then the root of a task names a parent that no collector has. R3. `close` gives what waits CLOSE_MS, and never throws.
import type { TracedRequest } from '../gateway/index.js';
import { DATS, type Delivery, ERROR_TYPE, type Span } from '../processors/traces/index.js';
import { Fault } from '../schemas/index.js';
import { pause } from '../streams/index.js';

/** Spans that wait at most. */
export const WAITING_LIMIT = 20_000;
/** Spans of one delivery. */
const BATCH = 512;
/** They wait for so long to share a request, in milliseconds. */
const GATHER_MS = 200;
/** What waits when the node stops may take so long, in milliseconds. */
const CLOSE_MS = 2_000;
const SERVER_ERROR = 500;

export interface RequestSpans {
  readonly take: (request: TracedRequest) => void;
  close(): Promise<void>;
}

/** OpenTelemetry's conventions for HTTP servers: only what is the server's failure is an error. */
export const requestSpan = (request: TracedRequest): Span => {
  const { method, route, status } = request;
  const error = status >= SERVER_ERROR ? String(status) : undefined;
  return {
    traceId: request.traceId,
    spanId: request.spanId,
    ...(request.parentSpanId === undefined ? {} : { parentSpanId: request.parentSpanId }),
    name: `${method} ${route}`,
    kind: 'server',
    startMs: request.startMs,
    endMs: Math.max(request.startMs, request.endMs),
    attributes: {
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': status,
      [DATS.correlation]: request.correlationId,
      ...(error === undefined ? {} : { [ERROR_TYPE]: error }),
    },
    events: [],
    ...(error === undefined ? {} : { error }),
  };
};

/** @param closeMs how long `close` lets what waits take, in milliseconds */
export const openRequestSpans = (delivery: Delivery, onProblem: (fault: Fault) => void, closeMs: number = CLOSE_MS): RequestSpans => {
  const waiting: Span[] = [];
  const closing = new AbortController();
  const late = new AbortController();
  let sending: Promise<void> | undefined;
  let dropping = false;

  const send = async (): Promise<void> => {
    await pause(GATHER_MS, closing.signal);
    while (waiting.length > 0) {
      // Taken out before they are sent: what comes meanwhile may push out the oldest.
      if (!(await delivery.deliver(waiting.splice(0, BATCH), late.signal))) return;
      dropping = false;
    }
    sending = undefined;
  };

  return {
    take(request) {
      if (!request.sampled || closing.signal.aborted) return;
      waiting.push(requestSpan(request));
      if (waiting.length > WAITING_LIMIT) {
        waiting.shift();
        if (!dropping)
          onProblem(
            new Fault(
              'retryable',
              'request_spans_dropped',
              `more than ${WAITING_LIMIT} spans of requests wait for the collector: the oldest are left out`,
            ),
          );
        dropping = true;
      }
      sending ??= send();
    },
    async close() {
      closing.abort();
      const timer = setTimeout(() => late.abort(), closeMs);
      await sending;
      clearTimeout(timer);
    },
  };
};
