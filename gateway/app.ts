// The gateway as a function from request to response. Opens nothing: no port, no file, no reader before somebody asks for one.
import { setMaxListeners } from 'node:events';
import { Hono } from 'hono';
import { createBacklog } from './backlog.js';
import { CANCEL_WAIT_MS } from './cancel.js';
import { createKnowledge, createTurns, HISTORY_MS } from './cascade/index.js';
import { createDeadLetters } from './dead-letters.js';
import { ANSWER_MS } from './deadline.js';
import type { GatewayDeps } from './deps.js';
import { handlerOf, problemAnswer, respond } from './dispatch.js';
import { LIVE_QUIET_MS } from './live-stream.js';
import { correlationIdOf } from './middleware/correlation.js';
import { OPENAI_PREFIX, openAiRefusal } from './openai/index.js';
import { type OpenApi, openApiOf } from './openapi.js';
import { refuse } from './problem.js';
import { createRateGate } from './rate-limit.js';
import type { ReadLimits } from './reads.js';
import { ROUTES } from './routes/index.js';
import type { Services } from './services.js';
import { STREAM_LIMITS, type StreamLimits } from './sse.js';
import { createSubmissions } from './submissions.js';
import type { Answer, Route } from './table.js';
import { createTail } from './tail.js';

export interface GatewayApp {
  readonly fetch: (request: Request, env?: unknown) => Response | Promise<Response>;
  /** For tests and in-process callers: a path or a Request. */
  readonly request: (input: string | Request, init?: RequestInit) => Response | Promise<Response>;
  readonly openapi: () => OpenApi;
  /** Ends every stream and stops the readers behind them. Log and views stay open: they belong to whoever opened them. */
  close(): void;
}

export interface GatewayOptions {
  readonly streams?: Partial<StreamLimits>;
  /** How long a cancel request waits for the task to end, milliseconds. */
  readonly cancelWaitMs?: number;
  /** How long a request waits for the log and the views, milliseconds. */
  readonly answerMs?: number;
  /** How long a request waits for what it asks of history in the log, milliseconds. */
  readonly historyMs?: number;
  /** How far and how long a read goes after what the views do not have yet. */
  readonly reads?: Partial<ReadLimits>;
  /** How long the text of a task that is over may be silent before its stream ends, milliseconds. */
  readonly liveQuietMs?: number;
}

/** `/a/{b}` as the router writes it. */
const pattern = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1');
const matcher = (path: string): RegExp => new RegExp(`^${path.replace(/[.:]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}$`);

/** Methods of the address; empty when there is none. */
const methodsAt = (routes: readonly { readonly route: Route; readonly at: RegExp }[], path: string): string[] => {
  const methods = routes.filter(({ at }) => at.test(path)).map(({ route }) => route.method as string);
  return methods.includes('GET') ? [...methods, 'HEAD'] : methods;
};

/** An error outside of every route. */
const refused = (error: unknown, correlationId: string, path: string): Answer =>
  path.startsWith(OPENAI_PREFIX) ? openAiRefusal(error, correlationId) : problemAnswer(error, correlationId, path);

export const createApp = (given: GatewayDeps, options: GatewayOptions = {}): GatewayApp => {
  const deps = { ...given, ...(options.reads === undefined ? {} : { limits: options.reads }) };
  const closing = new AbortController();
  // One listener an open stream, each removed with its stream.
  setMaxListeners(0, closing.signal);
  const tail = createTail(deps.log);
  const backlog = createBacklog(deps);
  const rate = createRateGate(deps);
  let document: OpenApi | undefined;
  const openapi = () => {
    document ??= openApiOf(ROUTES, deps.version);
    return document;
  };
  const services: Services = {
    deps,
    tail,
    backlog,
    rate,
    submissions: createSubmissions(deps, backlog, rate),
    deadLetters: createDeadLetters(deps.log, deps.now),
    knowledge: createKnowledge(deps, closing.signal),
    inTurn: createTurns(),
    streams: { ...STREAM_LIMITS, ...options.streams },
    cancelWaitMs: options.cancelWaitMs ?? CANCEL_WAIT_MS,
    answerMs: options.answerMs ?? ANSWER_MS,
    historyMs: options.historyMs ?? HISTORY_MS,
    liveQuietMs: options.liveQuietMs ?? LIVE_QUIET_MS,
    closing: closing.signal,
    openapi,
  };

  const hono = new Hono();
  const matchers = ROUTES.map((route) => ({ route, at: matcher(route.path) }));
  for (const route of ROUTES) hono.on(route.method, pattern(route.path), handlerOf(route, services));
  hono.notFound((c) => {
    const correlationId = correlationIdOf(c.req.raw.headers.get('x-correlation-id'));
    const methods = methodsAt(matchers, c.req.path);
    const fault =
      methods.length === 0
        ? refuse('not_found', `there is nothing at ${c.req.path.slice(0, 200)}; /openapi.json lists every route`)
        : refuse('method_not_allowed', `${c.req.method} is not among the methods of ${c.req.path.slice(0, 200)}: ${methods.join(', ')}`);
    const answer = refused(fault, correlationId, c.req.path);
    if (methods.length > 0) answer.headers.allow = methods.join(', ');
    return respond(answer, correlationId);
  });
  hono.onError((error, c) => {
    const correlationId = correlationIdOf(c.req.raw.headers.get('x-correlation-id'));
    deps.logger.error({ err: error, path: c.req.path, correlation_id: correlationId }, 'request failed outside its route');
    return respond(refused(error, correlationId, c.req.path), correlationId);
  });

  return {
    fetch: (request, env) => hono.fetch(request, env as never),
    request: (input, init) => hono.request(input, init),
    openapi,
    close: () => {
      closing.abort();
      tail.close();
    },
  };
};
