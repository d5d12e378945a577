// From error to answer: the only file with HTTP status numbers.
//
// P1. Every error leaves as RFC 9457 problem+json whose `type` is `/problems/<slug>`; GET on it explains the problem. P2. Bad input is never a 5xx.
// P3. An error that nobody classified is a 500 that says nothing about its cause; the cause goes to the log under the correlation id.

import { z } from 'zod';
import { Fault, type Problem, toFault } from '../schemas/index.js';

/** Success statuses, so that no route names a number. */
export const STATUS = { ok: 200, accepted: 202, noContent: 204, found: 302, notModified: 304, unavailable: 503 } as const;
export type SuccessStatus = (typeof STATUS)[keyof typeof STATUS];

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** What it means and what to do, for GET /problems/<slug>. */
  readonly explain: string;
  /** Seconds for Retry-After where the fault names none. */
  readonly retryAfterS?: number;
}

/** Fault code -> problem. The slug is the code with "-" for "_". */
export const PROBLEMS = {
  malformed_json: {
    status: 400,
    title: 'Malformed JSON',
    explain: 'The body is not JSON in UTF-8. The detail says where parsing stopped.',
  },
  invalid_parameter: {
    status: 400,
    title: 'Invalid parameter',
    explain: 'A path, query or header parameter does not fit its schema. `errors` names each.',
  },
  malformed_request: {
    status: 400,
    title: 'Malformed request',
    explain: 'The request is not valid HTTP, or its target or Host header is not valid.',
  },
  not_found: { status: 404, title: 'Not found', explain: 'There is nothing at this address. /openapi.json lists every route.' },
  task_not_found: { status: 404, title: 'Task not found', explain: 'No task has this id. Ids come from the answer to POST /api/v1/tasks.' },
  project_not_found: {
    status: 404,
    title: 'Project not found',
    explain: 'The project has no task yet. A project begins with its first task.',
  },
  artifact_not_found: {
    status: 404,
    title: 'Artifact not found',
    explain: 'No artifact has this id. Ids are listed in `artifacts` of GET /api/v1/tasks/{task_id}.',
  },
  dead_letter_not_found: {
    status: 404,
    title: 'Dead letter not found',
    explain: 'No dead letter has this id. GET /api/v1/dlq lists them.',
  },
  provenance_not_found: {
    status: 404,
    title: 'Provenance not found',
    explain: 'History has no execution, artifact or task with this id. GET /api/v1/provenance lists executions.',
  },
  provenance_pending: {
    status: 404,
    title: 'Provenance not recorded yet',
    explain:
      'The task or artifact is known, but no execution of it is recorded: an attempt is recorded when it has ended, and history is up to some seconds behind the log. Try again after Retry-After.',
    retryAfterS: 1,
  },
  stats_not_found: { status: 404, title: 'Question not found', explain: 'There is no such statistic. GET /api/v1/stats lists them.' },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    explain: 'The address exists but not for this method. The Allow header lists those it has.',
  },
  dead_letter_resolved: {
    status: 409,
    title: 'Dead letter already resolved',
    explain: 'It was retried or discarded before; each can be done once.',
  },
  migration_changed: {
    status: 409,
    title: 'Migration changed',
    explain:
      'A file of deploy/clickhouse was applied in another form before. Put the change into a new file, or make all tables anew: POST /api/v1/views/rebuild.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    explain: 'The body is above gateway.body_limit_bytes of servers.yaml. Send fewer or smaller `files`.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    explain: 'Bodies are application/json; a batch may also be application/x-ndjson.',
  },
  validation_failed: {
    status: 422,
    title: 'Validation failed',
    explain: 'The body is JSON but does not fit. `errors` names each place by JSON Pointer and says what is expected.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency key reused',
    explain:
      'The same Idempotency-Key was used before, by the same submitter in the same project, with another body. Use a new key for a new task.',
  },
  query_refused: {
    status: 422,
    title: 'Query refused',
    explain:
      'Not a statement that is run here: one statement that only reads, in the SQL of ClickHouse. The detail says what is wrong with it.',
  },
  query_limit: {
    status: 422,
    title: 'Query above its limits',
    explain:
      'It took more time, memory or rows than analytics.query of servers.yaml allows. Ask for less: a LIMIT, a shorter span of time, one project; or aggregate.',
  },
  too_many_open_tasks: {
    status: 429,
    title: 'Too many open tasks',
    explain:
      'The project has as many open tasks as gateway.max_open_tasks_per_project allows. Wait for some to finish; Retry-After says how long.',
    retryAfterS: 10,
  },
  rate_limited: {
    status: 429,
    title: 'Too many submissions',
    explain:
      'The project submits faster than gateway.rate_limit allows. Retry-After says when the same request can be taken; nothing of it was taken now. Repeating a submission that was taken, under its Idempotency-Key, is not counted.',
    retryAfterS: 1,
  },
  client_gone: { status: 499, title: 'Client closed the request', explain: 'The connection ended before the answer was ready.' },
  internal: { status: 500, title: 'Internal error', explain: 'A fault of this server. The log holds the cause under the correlation id.' },
  event_missing: {
    status: 500,
    title: 'Event missing',
    explain: 'A view points at an event that the log does not hold: drop the views, they rebuild from the log.',
  },
  content_missing: {
    status: 500,
    title: 'Content missing',
    explain: 'The content-addressed store does not hold the bytes that an event refers to. Restore the artifacts folder.',
  },
  content_corrupt: {
    status: 500,
    title: 'Content corrupt',
    explain: 'Stored bytes do not have the digest they are stored under. Restore the artifacts folder.',
  },
  analytics_off: {
    status: 501,
    title: 'No history here',
    explain:
      'This installation keeps no history to ask: analytics.kind of servers.yaml is none, or is auto where the log is not on this disk. Set it to embedded, or to server with analytics.url, and start again; all of it is brought from the log.',
  },
  no_engine: {
    status: 501,
    title: 'No history engine',
    explain:
      'The embedded ClickHouse engine has no build for this machine. Name a server: analytics.kind: server and analytics.url of servers.yaml.',
  },
  model_error: {
    status: 502,
    title: 'Model error',
    explain: 'The model server failed. Try again, or name another model in options.model.',
    retryAfterS: 2,
  },
  model_garbage: {
    status: 502,
    title: 'Model answered garbage',
    explain: 'The model server broke its protocol. Try again, or name another model.',
    retryAfterS: 2,
  },
  model_refused: {
    status: 502,
    title: 'Model refused',
    explain: 'The model declined to answer. Name another model in options.model.',
    retryAfterS: 2,
  },
  model_rejected: {
    status: 502,
    title: 'Model rejected the request',
    explain: 'The model server refused the request as such: key, context length or parameters.',
  },
  model_missing: {
    status: 502,
    title: 'Model missing',
    explain: 'The model server does not have this model. GET /api/v1/models says how each is.',
  },
  model_unreachable: {
    status: 503,
    title: 'Model unreachable',
    explain: 'The model server does not answer. GET /api/v1/models says how each is.',
    retryAfterS: 5,
  },
  model_overloaded: {
    status: 503,
    title: 'Model overloaded',
    explain: 'The model server is busy. Try again after Retry-After.',
    retryAfterS: 5,
  },
  no_model: {
    status: 503,
    title: 'No model',
    explain: 'No configured model that fits is healthy. GET /api/v1/models says how each is.',
    retryAfterS: 5,
  },
  not_ready: {
    status: 503,
    title: 'Not ready',
    explain: 'A dependency that is required to take tasks is down; `errors` names it.',
    retryAfterS: 5,
  },
  unavailable: {
    status: 503,
    title: 'Unavailable',
    explain:
      'Something the request needs does not work or does not answer in time. Try again; the detail says whether it may be done already, and an Idempotency-Key makes a repeated submission safe.',
    retryAfterS: 5,
  },
  log_unavailable: {
    status: 503,
    title: 'Log unavailable',
    explain:
      'The server that holds the log does not answer. A submission may be written all the same: repeat it with the same Idempotency-Key, and it is taken once.',
    retryAfterS: 5,
  },
  views_unavailable: {
    status: 503,
    title: 'Views unavailable',
    explain:
      'The server that holds states and lists does not answer. Tasks are still taken and done, and event streams go on; what needs a look at a state has to wait.',
    retryAfterS: 2,
  },
  views_behind: {
    status: 503,
    title: 'Views behind',
    explain:
      'States and lists are being rebuilt from the log, or are too far behind it to tell yet. Nothing is lost; try again after Retry-After.',
    retryAfterS: 5,
  },
  analytics_unavailable: {
    status: 503,
    title: 'History unavailable',
    explain: 'The ClickHouse that holds history does not answer, or is too busy. Tasks go on without it; try again after Retry-After.',
    retryAfterS: 2,
  },
  analytics_missing: {
    status: 503,
    title: 'History not set up',
    explain:
      'The tables of history are not all there: they are being made, or rebuilt. If this lasts: dats migrate, or POST /api/v1/views/migrate.',
    retryAfterS: 5,
  },
  log_closed: {
    status: 503,
    title: 'Shutting down',
    explain: 'The log is closed: this process is ending. Try again at once, another one takes over.',
    retryAfterS: 1,
  },
  model_timeout: {
    status: 504,
    title: 'Model timeout',
    explain: 'The model did not answer in time. Try again, or name a faster model.',
    retryAfterS: 5,
  },
  disk_full: {
    status: 507,
    title: 'Disk full',
    explain: 'The log or the artifact store has no room. Nothing was taken; free space and try again.',
    retryAfterS: 30,
  },
} as const satisfies Record<string, ProblemKind>;
export type ProblemCode = keyof typeof PROBLEMS;

/** What a route that asks the log and the views can answer besides its own problems. */
export const READ_PROBLEMS = [
  'log_unavailable',
  'views_unavailable',
  'views_behind',
  'unavailable',
] as const satisfies readonly ProblemCode[];

export const slugOf = (code: string): string => code.replaceAll('_', '-');
export const problemBySlug = (slug: string): (ProblemKind & { readonly code: string }) | undefined => {
  const code = slug.replaceAll('-', '_');
  return Object.hasOwn(PROBLEMS, code) ? { ...PROBLEMS[code as ProblemCode], code } : undefined;
};

/** A fault of this table: retryable where its status says that waiting helps. */
export const refuse = (code: ProblemCode, message: string, cause?: unknown): Fault =>
  new Fault('retryAfterS' in PROBLEMS[code] ? 'retryable' : 'terminal', code, message, { cause });

export interface Misfit {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A body that does not fit, with each place. */
export const invalid = (misfits: readonly Misfit[]): Fault =>
  fromZod(new z.ZodError(misfits.map(({ path, message }) => ({ code: 'custom', path: [...path], message, input: undefined }))));

/** Longest list of `errors` in a problem. */
const ERRORS_LIMIT = 50;

const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

const errorsOf = (error: z.ZodError): { pointer: string; detail: string }[] => {
  const errors: { pointer: string; detail: string }[] = [];
  for (const issue of error.issues) {
    if (errors.length >= ERRORS_LIMIT) break;
    if (issue.code === 'unrecognized_keys')
      for (const key of issue.keys.slice(0, ERRORS_LIMIT))
        errors.push({ pointer: pointerOf([...issue.path, key]), detail: 'unknown field' });
    else errors.push({ pointer: pointerOf(issue.path), detail: issue.message });
  }
  return errors;
};

/** @param code `validation_failed` for bodies, `invalid_parameter` for everything in the address and the headers. */
export const fromZod = (error: z.ZodError, code: 'validation_failed' | 'invalid_parameter' = 'validation_failed'): Fault => {
  const [first] = errorsOf(error);
  const more = error.issues.length - 1;
  const detail = first === undefined ? 'the input does not fit' : `${first.pointer || '(root)'}: ${first.detail}`;
  return new Fault('terminal', code, `${detail}${more > 0 ? ` (and ${more} more, see errors)` : ''}`, { cause: error });
};

const codeFor = (fault: Fault): ProblemCode => {
  if (Object.hasOwn(PROBLEMS, fault.code)) return fault.code as ProblemCode;
  if (fault.code === 'unexpected') return 'internal';
  return fault.kind === 'retryable' || fault.kind === 'fenced' ? 'unavailable' : 'internal';
};

export interface ProblemAnswer {
  readonly problem: Problem;
  /** Retry-After, seconds. */
  readonly retryAfterS: number | undefined;
}

/** Any thrown thing as a problem. */
export const problemOf = (error: unknown, correlationId: string, instance?: string): ProblemAnswer => {
  const fault = error instanceof z.ZodError ? fromZod(error) : toFault(error);
  const code = codeFor(fault);
  const kind: ProblemKind = PROBLEMS[code];
  const problem: Problem = {
    type: `/problems/${slugOf(code)}`,
    title: kind.title,
    status: kind.status,
    detail:
      code === 'internal'
        ? `the server failed while answering; its log holds the cause under correlation id ${correlationId}`
        : fault.message,
    correlation_id: correlationId,
    retryable: fault.kind === 'retryable' && code !== 'internal',
  };
  if (instance !== undefined) problem.instance = instance;
  if (fault.cause instanceof z.ZodError) problem.errors = errorsOf(fault.cause);
  const retryAfterS = fault.retryAfterMs === undefined ? kind.retryAfterS : Math.max(1, Math.ceil(fault.retryAfterMs / 1000));
  return { problem, retryAfterS };
};

/** Would trying the same again soon help, with nothing wrong about the request? True for what is answered 503. */
export const isOutage = (error: unknown): boolean => PROBLEMS[codeFor(toFault(error))].status === PROBLEMS.unavailable.status;

/** Our failure. What an installation is not set up for is none. */
export const isServerError = (status: number): boolean => status >= 500 && status !== PROBLEMS.analytics_off.status;
