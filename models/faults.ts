// What can go wrong with a model, as Faults: one place for their kinds and for the words. By status and code, never by message text.
// No prompt, answer, key or server text is taken over, and no foreign error is a cause (M3).
import { Fault } from '../schemas/index.js';
import type { ModelFaultCode } from './runner.js';

/** A server that asks for more than this is taken at this word, in milliseconds. */
export const LONGEST_RETRY_AFTER_MS = 10 * 60_000;

const TERMINAL: ReadonlySet<ModelFaultCode> = new Set([
  'model_rejected',
  'model_missing',
  'model_not_allowed',
  'call_limit',
  'budget_exceeded',
]);

const WORDS: Readonly<Record<ModelFaultCode, string>> = {
  model_unreachable: 'no connection, or it was lost; check that the server runs and that base_url in servers.yaml is right',
  model_timeout: 'it took too long; it will be tried again, or raise idle_timeout_ms and timeout_ms in servers.yaml',
  model_overloaded: 'it asks to wait; the call is made again later',
  model_error: "the server failed; see the model server's own log",
  model_garbage: 'its stream is not what the protocol says; check that the runner kind in servers.yaml fits the server',
  model_refused: 'it refused to answer (content filter or refusal); another model or another wording may do',
  model_context: 'the prompt does not fit into its context; a model with a longer one may do, or raise context_tokens in servers.yaml',
  model_rejected: 'the server did not accept the request; check the API key, the model name and the length of the prompt',
  model_missing: 'the server does not have it; pull it or correct `model` and base_url in servers.yaml',
  no_model: 'no model can answer now',
  model_not_allowed: 'it may not be used for this; see `access` and the strict rules of `routing` (dats config get)',
  call_limit: 'all the calls that this work may make were made; see `quotas.task.calls`',
  budget_exceeded: 'the next call would use more than was set aside; see `quotas`',
};

export interface ModelFaultDetail {
  /** Short and safe: a status, a code, a duration. */
  readonly detail?: string;
  readonly retryAfterMs?: number;
}

export const modelFault = (model: string, code: ModelFaultCode, { detail, retryAfterMs }: ModelFaultDetail = {}): Fault =>
  new Fault(
    TERMINAL.has(code) ? 'terminal' : 'retryable',
    code,
    `model ${model}: ${detail === undefined ? '' : `${detail}: `}${WORDS[code]}`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );

/** Codes that servers give in an error body, where the status alone says too little. */
const BY_ERROR_CODE: Readonly<Record<string, ModelFaultCode>> = {
  content_filter: 'model_refused',
  content_policy_violation: 'model_refused',
  context_length_exceeded: 'model_context',
  exceed_context_size_error: 'model_context', // llama.cpp
  model_not_found: 'model_missing',
  rate_limit_exceeded: 'model_overloaded',
  insufficient_quota: 'model_overloaded',
  overloaded_error: 'model_overloaded',
  server_error: 'model_error',
};

/** 402: the account is empty, which is mended as a quota is. 407 and 511: a proxy on the way. 529 is Anthropic's "overloaded". */
const BY_STATUS: Readonly<Record<number, ModelFaultCode>> = {
  402: 'model_overloaded',
  404: 'model_missing',
  407: 'model_unreachable',
  408: 'model_timeout',
  413: 'model_context',
  429: 'model_overloaded',
  503: 'model_overloaded',
  511: 'model_unreachable',
  529: 'model_overloaded',
};

/** `error.code` or `error.type` of an error body in OpenAI's form, where older vLLM has them at the top; anything else has none. */
export const errorCodeOf = (body: unknown): string | undefined => {
  const { error = body } = typeof body === 'object' && body !== null ? (body as { error?: unknown }) : {};
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, type } = error as { code?: unknown; type?: unknown };
  return typeof code === 'string' ? code : typeof type === 'string' ? type : undefined;
};

const isRedirect = (status: number): boolean => status >= 300 && status < 400;

export const codeOfStatus = (status: number, errorCode?: string): ModelFaultCode =>
  (errorCode === undefined ? undefined : BY_ERROR_CODE[errorCode]) ??
  BY_STATUS[status] ??
  (status >= 500 ? 'model_error' : isRedirect(status) ? 'model_unreachable' : 'model_rejected');

const KEY_REFUSED = 'the key was refused; check the variable that api_key_env names';
const PROXY = 'a proxy on the way wants a login; sign in there, or go around it';
const ON_STATUS: Readonly<Record<number, string>> = {
  401: KEY_REFUSED,
  402: 'the account has nothing left',
  403: KEY_REFUSED,
  407: PROXY,
  413: 'the request is too large',
  511: PROXY,
};

/** What a status says, where there is more to it than its number. A redirect is not followed: it may lead a key and a prompt to somebody else. */
export const detailOfStatus = (status: number): string => {
  const words = isRedirect(status) ? 'it leads elsewhere; write the address where it leads in base_url' : ON_STATUS[status];
  return words === undefined ? `HTTP ${status}` : `HTTP ${status}: ${words}`;
};

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `Retry-After` (seconds or an HTTP date) or `retry-after-ms`, as milliseconds from `nowMs` (epoch); undefined where neither is legible. */
export const retryAfterMsOf = (headers: Headers, nowMs: number): number | undefined => {
  const limit = (ms: number): number | undefined =>
    Number.isFinite(ms) ? Math.min(Math.max(0, Math.ceil(ms)), LONGEST_RETRY_AFTER_MS) : undefined;
  const textOf = (name: string): string => String(headers[name] ?? '').trim();
  const ms = textOf('retry-after-ms');
  if (/^\d+(\.\d+)?$/.test(ms)) return limit(Number(ms));
  const after = textOf('retry-after');
  if (after === '') return undefined;
  return /^\d+(\.\d+)?$/.test(after) ? limit(Number(after) * 1000) : limit(Date.parse(after) - nowMs);
};
