// One HTTP call to a model server: a `fetch` for a client package that belongs to this call alone.
//
// H1. Every byte that comes resets the idle time; the whole answer has a limit in bytes.
// H2. A status that is not 2xx becomes its Fault here, before the package sees (and might print) the body.
// H3. The first failure is kept: whatever a package makes of it, `explain` says what really happened.
// H4. `close` ends the connection if the answer was not read to its end.
import { Fault } from '../schemas/index.js';
import type { Clock } from './clock.js';
import { type Limits, openDeadline } from './deadline.js';
import { codeOfStatus, modelFault, retryAfterMsOf } from './faults.js';

/** More than this in one answer is no answer. */
export const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024;
/** So much of an error body is read, to find its code. */
const ERROR_BODY_BYTES = 64 * 1024;

export interface HttpCall {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
  /** The caller's reason, or the Fault, behind anything thrown during this call. */
  explain(error: unknown): unknown;
  close(): void;
}

export interface HttpCallOptions {
  /** Id in servers.yaml, for messages. */
  readonly model: string;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  /** Sent as a header. */
  readonly traceparent?: string;
  /** Looks at every piece of the body, and may replace it; throws a Fault when it is not what the protocol says. */
  readonly inspect?: (piece: Uint8Array | undefined) => Uint8Array | undefined;
}

const UNDICI_TIMEOUTS: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT']);

/** The code of a network error, wherever fetch hid it. */
const networkCode = (error: unknown): string | undefined => {
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 4; e = e.cause, depth++) {
    const code = (e as { code?: unknown }).code;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code)) return code;
  }
  return undefined;
};

/** An error without a network code is no cause: it is about the request itself, and its message may quote the address with a password. */
const networkFault = (model: string, error: unknown): Fault => {
  const code = networkCode(error);
  if (code === undefined) return modelFault(model, 'model_unreachable', { detail: 'connection failed' });
  return modelFault(model, UNDICI_TIMEOUTS.has(code) ? 'model_timeout' : 'model_unreachable', { detail: code, cause: error });
};

const readUpTo = async (body: ReadableStream<Uint8Array> | null, limit: number): Promise<string> => {
  if (body === null) return '';
  const reader = body.getReader();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    bytes += value.byteLength;
  }
  await reader.cancel();
  return Buffer.concat(pieces).toString('utf8');
};

/** `error.code` or `error.type` of an error body in OpenAI's form; anything else has none. */
export const errorCodeOf = (body: unknown): string | undefined => {
  const error = typeof body === 'object' && body !== null ? (body as { error?: unknown }).error : undefined;
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, type } = error as { code?: unknown; type?: unknown };
  return typeof code === 'string' ? code : typeof type === 'string' ? type : undefined;
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

export const openHttpCall = (options: HttpCallOptions, caller: AbortSignal): HttpCall => {
  const { model, clock } = options;
  const deadline = openDeadline(model, caller, options.limits, clock);
  let failure: unknown;
  let finished = false;

  // What the network did has passed through `failed`; anything else a package throws is about a body it could not make sense of. That
  // error is no cause: its message may quote the body (M3).
  const explain = (error: unknown): unknown =>
    deadline.cause() ?? failure ?? (error instanceof Fault ? error : modelFault(model, 'model_garbage', { detail: 'illegible answer' }));

  const failed = (error: unknown): unknown => {
    failure ??= deadline.cause() ?? (error instanceof Fault ? error : networkFault(model, error));
    return failure;
  };

  const traced = (init: RequestInit | undefined): Pick<RequestInit, 'headers'> => {
    if (options.traceparent === undefined) return {};
    const headers = new Headers(init?.headers);
    headers.set('traceparent', options.traceparent);
    return { headers };
  };

  const refuse = async (response: Response): Promise<never> => {
    const body = parsed(await readUpTo(response.body, ERROR_BODY_BYTES).catch(() => ''));
    const retryAfterMs = retryAfterMsOf(response.headers, Date.now());
    throw modelFault(model, codeOfStatus(response.status, errorCodeOf(body)), {
      detail: `HTTP ${response.status}`,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  };

  const watched = (body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> => {
    const reader = body.getReader();
    let bytes = 0;
    const step = async (): Promise<Uint8Array | undefined> => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          finished = true;
          return options.inspect?.(undefined);
        }
        deadline.touch();
        bytes += value.byteLength;
        if (bytes > LARGEST_ANSWER_BYTES)
          throw modelFault(model, 'model_garbage', { detail: `an answer above ${LARGEST_ANSWER_BYTES} bytes` });
        const piece = options.inspect === undefined ? value : options.inspect(value);
        if (piece !== undefined && piece.byteLength > 0) return piece;
      }
    };
    return new ReadableStream<Uint8Array>(
      {
        pull: async (out) => {
          try {
            const piece = await step();
            if (piece !== undefined && piece.byteLength > 0) out.enqueue(piece);
            if (finished) out.close();
          } catch (error) {
            out.error(failed(error));
          }
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  };

  return {
    signal: deadline.signal,
    explain,
    fetch: async (input, init) => {
      try {
        const response = await options.fetch(input, { ...init, ...traced(init), signal: deadline.signal });
        deadline.touch();
        if (!response.ok) return await refuse(response);
        if (response.body === null) {
          finished = true;
          return response;
        }
        return new Response(watched(response.body), { status: response.status, headers: response.headers });
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => {
      if (finished) deadline.close();
      else deadline.end(new Fault('retryable', 'model_call_closed', `model ${model}: the reader left before the end of the answer`));
    },
  };
};
