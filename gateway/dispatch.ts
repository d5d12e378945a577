// From an HTTP request to a route and back: correlation id, validation, the handler, problems, the request log. One function a request, no middleware chain:
// headers are set once, on a plain object.
//
// H1. Every answer carries X-Correlation-Id. H2. A handler sees only what passed its schemas. H3. Whatever is thrown leaves as problem+json, or as the
// route's surface says it. H4. No request
// hangs: one that is read is answered within `answerMs` (deadline.ts).
import type { Context, Handler } from 'hono';
import type { z } from 'zod';
import { within } from './deadline.js';
import type { TracedRequest } from './deps.js';
import { mediaOf, parseJson, readText } from './middleware/body.js';
import { correlationIdOf } from './middleware/correlation.js';
import { logRequest } from './middleware/request-log.js';
import { isSampledBy, openRequestTrace, type RequestTrace, traceContextOf } from './middleware/trace.js';
import { fromZod, problemOf, refuse } from './problem.js';
import type { Services } from './services.js';
import type { Answer, Call, Route } from './table.js';

const PROBLEM_TYPE = 'application/problem+json';

interface NodeBindings {
  readonly outgoing?: { destroy(): unknown; cork(): void; uncork(): void };
}

const checked = (schema: z.ZodType | undefined, value: unknown, code: 'validation_failed' | 'invalid_parameter'): unknown => {
  if (schema === undefined) return undefined;
  const result = schema.safeParse(value);
  if (!result.success) throw fromZod(result.error, code);
  return result.data;
};

const bodyOf = async (route: Route, request: Request, limit: number): Promise<unknown> => {
  const { body } = route;
  if (body === undefined) return undefined;
  const media = mediaOf(request.headers.get('content-type'));
  if (media === undefined || (media === 'ndjson' && body.ndjson !== true)) {
    if (body.optional !== true || request.headers.get('content-type') !== null)
      throw refuse(
        'unsupported_media_type',
        `the body must be application/json${body.ndjson === true ? ' or application/x-ndjson' : ''} (Content-Type)`,
      );
  }
  const text = await readText(request, limit);
  if (text === '' && body.optional === true) return checked(body.schema, {}, 'validation_failed');
  if (media === undefined) throw refuse('unsupported_media_type', 'the body needs Content-Type: application/json');
  const value = media === 'ndjson' ? ndjson(text) : parseJson(text);
  return checked(body.schema, value, 'validation_failed');
};

const ndjson = (text: string): unknown[] => {
  const values: unknown[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      values.push(parseJson(line));
    } catch (error) {
      throw refuse('malformed_json', `line ${i + 1}: ${error instanceof Error ? error.message : 'not JSON'}`, error);
    }
  }
  return values;
};

const callOf = async (route: Route, c: Context, { correlationId, trace }: Arrived, limit: number): Promise<Call> => {
  const request = c.req.raw;
  const params = route.params === undefined ? undefined : checked(route.params, c.req.param(), 'invalid_parameter');
  const query = route.query === undefined ? undefined : checked(route.query, c.req.query(), 'invalid_parameter');
  const body = route.body === undefined ? undefined : await bodyOf(route, request, limit);
  return {
    params,
    query,
    body,
    correlationId,
    trace,
    get target() {
      return targetOf(request.url);
    },
    header: (name) => request.headers.get(name),
    signal: () => request.signal,
    disconnect: () => {
      if (request.method !== 'HEAD') (c.env as NodeBindings | undefined)?.outgoing?.destroy();
    },
  };
};

/** What a stream can say at once goes out with its headers, in one packet. */
const holdHeaders = ({ outgoing }: NodeBindings): void => {
  if (outgoing === undefined) return;
  outgoing.cork();
  process.nextTick(() => outgoing.uncork());
};

/** What a request is known by. */
interface Arrived {
  readonly correlationId: string;
  readonly trace: RequestTrace | undefined;
}

const targetOf = (url: string): string => {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  return start < 0 ? '/' : url.slice(start);
};

/** An error as an answer. */
export const problemAnswer = (error: unknown, correlationId: string, target: string): Answer => {
  const { problem, retryAfterS } = problemOf(error, correlationId, target.split('?', 1)[0]!.slice(0, 500));
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE };
  if (retryAfterS !== undefined) headers['retry-after'] = String(retryAfterS);
  return { status: problem.status, headers, body: JSON.stringify(problem) };
};

export const respond = (answer: Answer, correlationId: string): Response => {
  answer.headers['x-correlation-id'] = correlationId;
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
};

const tracedRequest = (
  { traceId, spanId, parentSpanId, flags }: RequestTrace,
  request: Omit<TracedRequest, 'traceId' | 'spanId' | 'parentSpanId' | 'sampled'>,
): TracedRequest => ({
  ...request,
  traceId,
  spanId,
  ...(parentSpanId === undefined ? {} : { parentSpanId }),
  sampled: isSampledBy(flags),
});

/** The handler of a route for the router. */
export const handlerOf = (route: Route, services: Services): Handler => {
  const { config, logger, now } = services.deps;
  const limit = config.gateway.body_limit_bytes;
  const onRequest = route.traced === true ? services.deps.onRequest : undefined;
  const timed = services.deps.requests?.(route.method, route.path);
  return async (c) => {
    const started = now();
    const began = performance.now();
    const correlationId = correlationIdOf(c.req.raw.headers.get('x-correlation-id'));
    const traceparent = c.req.raw.headers.get('traceparent');
    const trace = onRequest === undefined ? undefined : openRequestTrace(traceparent);
    let answer: Answer;
    let error: unknown;
    try {
      route.surface?.admit(services);
      const call = await callOf(route, c, { correlationId, trace }, limit);
      answer = await (route.patient === true ? route.handle(call, services) : within(route.handle(call, services), services.answerMs));
      if (c.req.raw.method === 'HEAD' && answer.body instanceof ReadableStream) void answer.body.cancel();
    } catch (thrown) {
      error = thrown;
      answer = route.surface?.refusal(thrown, correlationId) ?? problemAnswer(thrown, correlationId, targetOf(c.req.raw.url));
    }
    const { method, path } = route;
    const traceId = (trace ?? traceContextOf(traceparent))?.traceId;
    logRequest(logger, now, { method, path, status: answer.status, started, correlationId, traceId, error });
    if (trace !== undefined)
      onRequest?.(tracedRequest(trace, { method, route: path, status: answer.status, correlationId, startMs: started, endMs: now() }));
    timed?.(answer.status, performance.now() - began);
    if (answer.body instanceof ReadableStream) holdHeaders((c.env as NodeBindings | undefined) ?? {});
    return respond(answer, correlationId);
  };
};
