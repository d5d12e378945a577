// From error to answer on the OpenAI-compatible surface: `{error: {message, type, param, code}}`. Its HTTP status numbers are here and nowhere else.
//
// E1. Every error of this surface has this shape, whatever threw it. E2. Bad input is never a 5xx. E3. No prompt, answer or key is in a message: messages name
// parameters and models, and what nobody classified says nothing of its cause.
import { z } from 'zod';
import { Fault, toFault } from '../../schemas/index.js';
import { fromZod } from '../problem.js';
import type { Answer, DocumentedAnswer } from '../table.js';
import { misfitOf } from './misfit.js';

interface ErrorKind {
  readonly status: number;
  readonly type: string;
  /** What clients tell errors apart by. */
  readonly code: string;
  readonly param?: string;
  /** What it means, for the OpenAPI document. */
  readonly explain: string;
  /** Seconds for Retry-After where the fault names none. */
  readonly retryAfterS?: number;
}

const BAD = 'invalid_request_error';
const SERVER = 'server_error';

/** Fault code -> error. */
export const ERRORS = {
  malformed_json: { status: 400, type: BAD, code: 'malformed_json', explain: 'The body is not JSON in UTF-8.' },
  validation_failed: { status: 400, type: BAD, code: 'invalid_value', explain: 'A parameter does not fit; `param` names it.' },
  invalid_parameter: { status: 400, type: BAD, code: 'invalid_value', explain: 'A header or a part of the address does not fit.' },
  model_context: {
    status: 400,
    type: BAD,
    code: 'context_length_exceeded',
    param: 'messages',
    explain: 'The prompt does not fit into the context of any model that could answer.',
  },
  model_refused: {
    status: 400,
    type: BAD,
    code: 'content_filter',
    explain: 'The model declined to answer: its content filter, or a refusal.',
  },
  model_rejected: { status: 400, type: BAD, code: 'model_rejected', explain: 'The model server refused the request as such.' },
  model_not_allowed: {
    status: 403,
    type: 'permission_error',
    code: 'model_not_allowed',
    explain: 'The access list, a strict rule, or that the request is confidential leaves no model.',
  },
  endpoint_off: { status: 404, type: BAD, code: 'endpoint_off', explain: 'flags.openai_endpoint is false: this API is turned off.' },
  not_found: { status: 404, type: BAD, code: 'unknown_url', explain: 'There is nothing at this address.' },
  model_not_found: {
    status: 404,
    type: BAD,
    code: 'model_not_found',
    param: 'model',
    explain: 'No model has this name; the message lists those there are.',
  },
  model_missing: { status: 404, type: BAD, code: 'model_not_found', param: 'model', explain: 'The model server does not have this model.' },
  method_not_allowed: { status: 405, type: BAD, code: 'method_not_allowed', explain: 'The address exists but not for this method.' },
  body_too_large: { status: 413, type: BAD, code: 'body_too_large', explain: 'The body is above gateway.body_limit_bytes.' },
  unsupported_media_type: { status: 415, type: BAD, code: 'unsupported_media_type', explain: 'The body must be application/json.' },
  model_overloaded: {
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    explain: 'The models that could answer are busy.',
    retryAfterS: 5,
  },
  insufficient_quota: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    explain: 'A budget of the project, the user or the endpoint is used up.',
  },
  budget_exceeded: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota', explain: 'More than was set aside.' },
  call_limit: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota', explain: 'As many calls as one request may make.' },
  client_gone: { status: 499, type: BAD, code: 'client_gone', explain: 'The connection ended before the answer was ready.' },
  internal: { status: 500, type: SERVER, code: 'internal_error', explain: 'A fault of this server.' },
  model_unreachable: { status: 502, type: SERVER, code: 'model_unreachable', explain: 'The model server does not answer.', retryAfterS: 5 },
  model_error: { status: 502, type: SERVER, code: 'model_error', explain: 'The model server failed.', retryAfterS: 2 },
  model_garbage: { status: 502, type: SERVER, code: 'model_garbage', explain: 'The model server broke its protocol.', retryAfterS: 2 },
  no_model: { status: 503, type: SERVER, code: 'no_model', explain: 'No model that fits can answer now.', retryAfterS: 5 },
  client_too_slow: {
    status: 503,
    type: SERVER,
    code: 'client_too_slow',
    explain: 'Only in a stream: the client took too little of it for too long, and the model was stopped.',
  },
  unavailable: { status: 503, type: SERVER, code: 'unavailable', explain: 'Something the request needs does not answer.', retryAfterS: 5 },
  model_timeout: { status: 504, type: SERVER, code: 'model_timeout', explain: 'The model did not answer in time.', retryAfterS: 5 },
} as const satisfies Record<string, ErrorKind>;
export type OpenAiErrorCode = keyof typeof ERRORS;

export const openAiErrorSchema = z.object({
  error: z.object({
    /** What happened, why, and what to do. */
    message: z.string(),
    type: z.string(),
    /** The parameter it is about, such as `messages[0].content`. */
    param: z.string().nullable(),
    code: z.string(),
  }),
});
export type OpenAiError = z.infer<typeof openAiErrorSchema>;

export const refuseWith = (code: OpenAiErrorCode, message: string, retryAfterMs?: number): Fault =>
  new Fault('retryAfterS' in ERRORS[code] ? 'retryable' : 'terminal', code, message, retryAfterMs === undefined ? {} : { retryAfterMs });

const kindOf = ({ code, kind }: Fault): ErrorKind => {
  if (Object.hasOwn(ERRORS, code)) return ERRORS[code as OpenAiErrorCode];
  return code !== 'unexpected' && (kind === 'retryable' || kind === 'fenced') ? ERRORS.unavailable : ERRORS.internal;
};

export interface Told {
  readonly status: number;
  readonly body: OpenAiError;
  /** Retry-After, seconds. */
  readonly retryAfterS: number | undefined;
}

/** Any thrown thing as an error of this surface. */
export const errorOf = (error: unknown, correlationId: string): Told => {
  const fault = error instanceof z.ZodError ? fromZod(error) : toFault(error);
  const kind = kindOf(fault);
  const misfit = fault.cause instanceof z.ZodError ? misfitOf(fault.cause) : undefined;
  const message =
    kind === ERRORS.internal
      ? `the server failed while answering; its log holds the cause under correlation id ${correlationId}`
      : (misfit?.message ?? fault.message);
  return {
    status: kind.status,
    body: { error: { message, type: kind.type, param: misfit?.param ?? kind.param ?? null, code: misfit?.code ?? kind.code } },
    retryAfterS: fault.retryAfterMs === undefined ? kind.retryAfterS : Math.max(1, Math.ceil(fault.retryAfterMs / 1000)),
  };
};

export const refusal = (error: unknown, correlationId: string): Answer => {
  const { status, body, retryAfterS } = errorOf(error, correlationId);
  const headers: Record<string, string> = { 'content-type': 'application/json', 'x-request-id': correlationId };
  if (retryAfterS !== undefined) headers['retry-after'] = String(retryAfterS);
  return { status, headers, body: JSON.stringify(body) };
};

const documented = (codes: readonly OpenAiErrorCode[]): DocumentedAnswer => {
  const kinds = codes.map((code): readonly [string, ErrorKind] => [code, ERRORS[code]]);
  return {
    description: kinds.map(([, { explain }]) => explain).join(' '),
    schema: openAiErrorSchema,
    headers: {
      'X-Request-Id': 'The id of this request.',
      ...(kinds.some(([, { retryAfterS }]) => retryAfterS !== undefined) ? { 'Retry-After': 'Seconds to wait.' } : {}),
    },
    examples: Object.fromEntries(
      kinds.map(([code, { explain, type, param, code: said }]) => [
        code,
        { value: { error: { message: explain, type, param: param ?? null, code: said } } },
      ]),
    ),
  };
};

/** The error answers of a route for the OpenAPI document, by status. */
export const documentedErrors = (codes: readonly OpenAiErrorCode[]): Readonly<Record<string, DocumentedAnswer>> => {
  const byStatus = new Map<number, OpenAiErrorCode[]>();
  for (const code of [...codes, 'endpoint_off', 'internal'] as const)
    byStatus.set(ERRORS[code].status, [...(byStatus.get(ERRORS[code].status) ?? []), code]);
  return Object.fromEntries([...byStatus].map(([status, those]) => [String(status), documented(those)]));
};
