// One HTTP call to a model server: a `fetch` for a client package that belongs to this call alone.
//
// H1. Every byte that comes resets the idle time; the whole answer has a limit in bytes.
// H2. A status that is not 2xx becomes its Fault here, before the package sees (and might print) the body.
// H3. The first failure is kept: whatever a package makes of it, `explain` says what really happened.
// H4. `close` ends the connection if the answer was not read to its end.
// H5. An answer of a type that the protocol does not have (a proxy's page, say) is garbage, named by its type.
import { Fault } from '../schemas/index.js';
import type { Clock } from './clock.js';
import { type Limits, openDeadline } from './deadline.js';
import { codeOfStatus, detailOfStatus, modelFault, retryAfterMsOf } from './faults.js';
import { networkFault } from './network.js';

/** More than this in one answer is no answer. */
export const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024;
/** So much of an error body is read, to find its code. */
const ERROR_BODY_BYTES = 64 * 1024;

export interface HttpCall {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
  /** The status of an answer that was refused. */
  readonly refused: number | undefined;
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
  /** Content types of a good answer. */
  readonly accepts: readonly string[];
  /** Looks at every piece of the body, and may replace it; throws a Fault when it is not what the protocol says. */
  readonly inspect?: (piece: Uint8Array | undefined) => Uint8Array | undefined;
}

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

/** Said where nobody thought about it: it may be anything. */
const TYPES_OF_ANYTHING = ['text/plain', 'application/octet-stream'];

/** The type that is not one of `accepts`, safe to be shown; undefined where the answer may be what it should. */
const wrongType = (response: Response, accepts: readonly string[]): string | undefined => {
  const type = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (!type || accepts.includes(type) || TYPES_OF_ANYTHING.includes(type)) return undefined;
  return /^[\w.+-]{1,40}\/[\w.+-]{1,40}$/.test(type) ? type : 'an illegible type';
};

/** `error.code` or `error.type` of an error body in OpenAI's form, where older vLLM has them at the top; anything else has none. */
export const errorCodeOf = (body: unknown): string | undefined => {
  const { error = body } = typeof body === 'object' && body !== null ? (body as { error?: unknown }) : {};
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
  let refused: number | undefined;

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
    refused = response.status;
    const body = parsed(await readUpTo(response.body, ERROR_BODY_BYTES).catch(() => ''));
    const retryAfterMs = retryAfterMsOf(response.headers, Date.now());
    throw modelFault(model, codeOfStatus(response.status, errorCodeOf(body)), {
      detail: detailOfStatus(response.status),
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
    get refused() {
      return refused;
    },
    explain,
    fetch: async (input, init) => {
      try {
        const response = await options.fetch(input, { ...init, ...traced(init), signal: deadline.signal, redirect: 'manual' });
        deadline.touch();
        if (!response.ok) return await refuse(response);
        const wrong = wrongType(response, options.accepts);
        if (wrong !== undefined) throw modelFault(model, 'model_garbage', { detail: `answered with ${wrong}, not ${options.accepts[0]}` });
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
