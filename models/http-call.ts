// One HTTP call to a model server, with its limits; and a `fetch` for a client package that belongs to this call alone.
//
// H1. Every byte that comes resets the idle time; the whole answer has a limit in bytes.
// H2. A status that is not 2xx becomes its Fault here, before a package sees (and might print) the body.
// H3. The first failure is kept: whatever a package makes of it, `explain` says what really happened.
// H4. `close` ends the connection if the answer was not read to its end.
// H5. An answer of a type that the protocol does not have (a proxy's page, say) is garbage, named by its type.
import { Fault } from '../schemas/index.js';
import type { Clock } from './clock.js';
import { type Limits, openDeadline } from './deadline.js';
import { codeOfStatus, detailOfStatus, errorCodeOf, modelFault, retryAfterMsOf } from './faults.js';
import { networkFault } from './network.js';
import { addressOf, type Exchange, type HttpAnswer, type HttpRequest, type Transport } from './transport.js';

/** More than this in one answer is no answer. */
export const LARGEST_ANSWER_BYTES = 64 * 1024 * 1024;
/** So much of an error body is read, to find its code. */
const ERROR_BODY_BYTES = 64 * 1024;

export type Body = Pick<HttpAnswer, 'read'>;

export interface HttpCall {
  /** The body of a good answer. One request at a time. @throws Fault, or the caller's reason */
  send(request: HttpRequest): Promise<Body>;
  /** For answers that are read whole. */
  readonly fetch: typeof fetch;
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
  readonly transport: Transport;
  /** Sent as a header. */
  readonly traceparent?: string;
  /** Content types of a good answer. */
  readonly accepts: readonly string[];
}

const wholeOf = async ({ read }: Body, limit = Number.POSITIVE_INFINITY): Promise<Buffer> => {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < limit) {
    const piece = await read();
    if (piece === undefined) break;
    pieces.push(piece);
    bytes += piece.byteLength;
  }
  return Buffer.concat(pieces);
};

/** Said where nobody thought about it: it may be anything. */
const TYPES_OF_ANYTHING = ['text/plain', 'application/octet-stream'];

/** The type that is not one of `accepts`, safe to be shown; undefined where the answer may be what it should. */
const wrongType = ({ headers }: HttpAnswer, accepts: readonly string[]): string | undefined => {
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (!type || accepts.includes(type) || TYPES_OF_ANYTHING.includes(type)) return undefined;
  return /^[\w.+-]{1,40}\/[\w.+-]{1,40}$/.test(type) ? type : 'an illegible type';
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

export const openHttpCall = (options: HttpCallOptions, caller: AbortSignal): HttpCall => {
  const { model, clock, accepts } = options;
  let exchange: Exchange | undefined;
  const deadline = openDeadline(model, caller, options.limits, clock, () => exchange?.cancel());
  let failure: unknown;
  let refused: number | undefined;

  // What the network did has passed through `failed`; anything else a package throws is about a body it could not make sense of. That
  // error is no cause: its message may quote the body (M3).
  const explain = (error: unknown): unknown =>
    deadline.cause() ?? failure ?? (error instanceof Fault ? error : modelFault(model, 'model_garbage', { detail: 'illegible answer' }));

  const failed = (error: unknown): unknown => {
    failure ??= deadline.cause() ?? (error instanceof Fault ? error : networkFault(model, error));
    return failure;
  };

  const refuse = async (answer: HttpAnswer): Promise<never> => {
    refused = answer.status;
    const body = parsed(await wholeOf(answer, ERROR_BODY_BYTES).then(String, () => ''));
    const retryAfterMs = retryAfterMsOf(answer.headers, Date.now());
    throw modelFault(model, codeOfStatus(refused, errorCodeOf(body)), {
      detail: detailOfStatus(refused),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  };

  const watched = (answer: HttpAnswer): Body['read'] => {
    let bytes = 0;
    return async () => {
      try {
        const piece = await answer.read();
        if (deadline.ended) throw deadline.cause();
        deadline.touch();
        bytes += piece?.byteLength ?? 0;
        if (bytes > LARGEST_ANSWER_BYTES)
          throw modelFault(model, 'model_garbage', { detail: `an answer above ${LARGEST_ANSWER_BYTES} bytes` });
        return piece;
      } catch (error) {
        throw failed(error);
      }
    };
  };

  const send = async (request: HttpRequest): Promise<Body> => {
    const { traceparent } = options;
    if (deadline.ended) throw failed(undefined);
    try {
      exchange = options.transport(traceparent === undefined ? request : { ...request, headers: { ...request.headers, traceparent } });
      const answer = await exchange.answer;
      deadline.touch();
      if (answer.status < 200 || answer.status > 299) return await refuse(answer);
      const wrong = wrongType(answer, accepts);
      if (wrong !== undefined) throw modelFault(model, 'model_garbage', { detail: `answered with ${wrong}, not ${accepts[0]}` });
      return { read: watched(answer) };
    } catch (error) {
      throw failed(error);
    }
  };

  return {
    send,
    get refused() {
      return refused;
    },
    explain,
    fetch: async (input, init) => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      const to = addressOf(input instanceof Request ? input.url : input);
      const { method = 'GET', body } = init ?? {};
      const whole = await wholeOf(await send({ to, method, headers, ...(typeof body === 'string' ? { body } : {}) }));
      return new Response(whole, { headers: { 'content-type': 'application/json' } });
    },
    close: () => {
      deadline.close();
      exchange?.cancel();
    },
  };
};
