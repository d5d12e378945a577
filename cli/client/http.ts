// One HTTP call: addresses, headers, time limit, errors. Knows nothing of tasks.
import { newId, timeoutSignal } from '../../schemas/index.js';
import { faultOfAnswer, unreachable } from './problem.js';

/** For one call without a body that streams, in milliseconds. */
export const CALL_TIMEOUT_MS = 30_000;

export interface HttpOptions {
  /** Root of the server, such as `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  readonly fetch?: typeof fetch;
  readonly timeoutMs?: number;
  /** Sent as X-Correlation-Id; default: a new one for each call. */
  readonly correlationId?: string;
}

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT';
  /** Below the root, with a leading slash. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly json?: unknown;
  /** A body as it is, with its content type. */
  readonly body?: { readonly type: string; readonly text: string };
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** The answer is a stream: no time limit. */
  readonly stream?: boolean;
  /** Instead of that of all calls, milliseconds. */
  readonly timeoutMs?: number;
}

export interface Http {
  readonly baseUrl: string;
  /** @throws Fault `server_unreachable`, or one made of the problem that the server answered; the signal's reason when aborted. */
  send(call: Call): Promise<Response>;
  json<T>(call: Call): Promise<T>;
}

const addressOf = (baseUrl: string, call: Call): string => {
  const url = new URL(call.path, baseUrl);
  for (const [name, value] of Object.entries(call.query ?? {})) if (value !== undefined) url.searchParams.set(name, String(value));
  return url.href;
};

export const openHttp = (options: HttpOptions): Http => {
  const { fetch: send = fetch, timeoutMs = CALL_TIMEOUT_MS } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const call = async (call: Call): Promise<Response> => {
    const limits = [...(call.signal ? [call.signal] : []), ...(call.stream ? [] : [timeoutSignal(call.timeoutMs ?? timeoutMs)])];
    const body = call.body?.text ?? (call.json === undefined ? undefined : JSON.stringify(call.json));
    let response: Response;
    try {
      response = await send(addressOf(baseUrl, call), {
        method: call.method ?? 'GET',
        headers: {
          accept: call.stream ? 'text/event-stream' : 'application/json',
          'x-correlation-id': options.correlationId ?? newId(),
          ...(body === undefined ? {} : { 'content-type': call.body?.type ?? 'application/json' }),
          ...call.headers,
        },
        ...(body === undefined ? {} : { body }),
        ...(limits.length > 0 ? { signal: AbortSignal.any(limits) } : {}),
      });
    } catch (error) {
      call.signal?.throwIfAborted();
      throw unreachable(baseUrl, error);
    }
    if (!response.ok) throw await faultOfAnswer(response);
    return response;
  };
  return {
    baseUrl,
    send: call,
    json: async <T>(request: Call): Promise<T> => {
      const response = await call(request);
      try {
        return (await response.json()) as T;
      } catch (error) {
        request.signal?.throwIfAborted();
        throw unreachable(baseUrl, error);
      }
    },
  };
};
