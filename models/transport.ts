// One HTTP request and its answer, over Node's own client on connections that are kept. Knows no model. `fetch` costs three times as much: streams, requests
// and responses of the web are objects with a life of their own, for every call and every piece.
//
// X1. A connection whose answer was read to its end is used again, for KEPT_MS at most.
// X2. A kept connection that is lost before a byte of the answer came was closed by its server just as it was used: the request is sent once more, on a new
//     connection. Nothing else is sent again.
// X3. No redirect is followed, nothing is decoded, and credentials of the address are not sent.
import { type ClientRequest, Agent as HttpAgent, type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { urlToHttpOptions } from 'node:url';

/** Servers close idle connections after 5 s and more. */
const KEPT_MS = 4_000;
/** A connection that takes longer to be made will not be. */
const CONNECT_MS = 10_000;
/** So much of a body waits for its reader; then the server does. */
const WAITING_BYTES = 1024 * 1024;

export interface Address {
  readonly secure: boolean;
  readonly hostname: string;
  readonly port: number | undefined;
  readonly path: string;
  /** As a header. */
  readonly host: string;
}

/** @param path goes behind what the URL has already */
export const addressOf = (url: string | URL, path = ''): Address => {
  const parsed = new URL(path === '' ? url : `${String(url).replace(/\/+$/, '')}${path}`);
  const { hostname, port, path: whole } = urlToHttpOptions(parsed);
  return {
    secure: parsed.protocol === 'https:',
    hostname: String(hostname),
    port: port === undefined || port === '' ? undefined : Number(port),
    path: String(whole),
    host: parsed.host,
  };
};

export interface HttpRequest {
  readonly to: Address;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The next piece of the body; undefined after the last one. For one reader. @throws the network's error */
  read(): Promise<Uint8Array | undefined>;
}

export interface Exchange {
  /** @throws the network's error */
  readonly answer: Promise<HttpAnswer>;
  /** Ends the connection, and whatever waits for it, unless the answer has ended. */
  cancel(): void;
}

export type Transport = (request: HttpRequest) => Exchange;

const AGENTS = {
  plain: new HttpAgent({ keepAlive: true, timeout: KEPT_MS }),
  secure: new HttpsAgent({ keepAlive: true, timeout: KEPT_MS }),
} as const;

const errorOf = (code: string): Error => Object.assign(new Error(code), { code });

interface Reader extends Pick<HttpAnswer, 'read'> {
  /** The body ends with this error, unless it has ended. */
  fail(error: unknown): void;
}

const readerOf = (response: IncomingMessage): Reader => {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake = (): void => {};
  const finish = (how: { readonly error?: unknown }): void => {
    end ??= how;
    wake();
  };
  const fail = (error: unknown): void => finish({ error });
  response.on('data', (piece: Uint8Array) => {
    pieces.push(piece);
    bytes += piece.byteLength;
    if (bytes > WAITING_BYTES) response.pause();
    wake();
  });
  response.on('end', () => finish({}));
  response.on('error', fail);
  const read = async (): Promise<Uint8Array | undefined> => {
    while (pieces.length === 0) {
      if (end !== undefined) {
        if ('error' in end) throw end.error;
        return undefined;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const piece = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    pieces = [];
    bytes = 0;
    if (response.isPaused()) response.resume();
    return piece;
  };
  return { read, fail };
};

/** Flat, as they are sent: an object would be checked and copied header by header. */
const headersOf = ({ to, headers, body, method }: HttpRequest): string[] => {
  const flat = ['host', to.host];
  // Some proxies refuse who has no name.
  if (headers['user-agent'] === undefined) flat.push('user-agent', 'dats');
  for (const name in headers) flat.push(name, headers[name]!);
  if (body !== undefined || method === 'POST') flat.push('content-length', String(Buffer.byteLength(body ?? '')));
  return flat;
};

const open = (request: HttpRequest, fresh: boolean): ClientRequest => {
  const { secure, hostname, port, path } = request.to;
  const agent = fresh ? false : secure ? AGENTS.secure : AGENTS.plain;
  return (secure ? requestHttps : requestHttp)({ hostname, port, path, method: request.method, headers: headersOf(request), agent });
};

/** Ends a connection that is not made in time. */
const limitConnect = (socket: Socket, secure: boolean): void => {
  if (!socket.connecting) return;
  const timer = setTimeout(() => socket.destroy(errorOf('CONNECT_TIMEOUT')), CONNECT_MS);
  socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
};

export const nodeTransport: Transport = (request) => {
  let sent: ClientRequest | undefined;
  let fail: (error: unknown) => void;
  let cancelled = false;
  const attempt = (fresh: boolean, answered: (answer: HttpAnswer) => void): void => {
    let before = 0;
    let begun = false;
    const attempted = open(request, fresh);
    sent = attempted;
    attempted.once('socket', (socket) => {
      before = socket.bytesRead;
      limitConnect(socket, request.to.secure);
    });
    attempted.once('response', (response) => {
      begun = true;
      const reader = readerOf(response);
      fail = reader.fail;
      answered({ status: response.statusCode!, headers: response.headers, read: reader.read });
    });
    // What a parser says of a body is told here too.
    attempted.on('error', (error) => {
      const untouched = !begun && attempted.reusedSocket && attempted.socket?.bytesRead === before;
      if (untouched && !cancelled) attempt(true, answered);
      else fail(error);
    });
    attempted.end(request.body);
  };
  const answer = new Promise<HttpAnswer>((resolve, reject) => {
    fail = reject;
    attempt(false, resolve);
  });
  return {
    answer,
    cancel: () => {
      cancelled = true;
      if (sent === undefined || sent.destroyed) return;
      sent.destroy();
      fail(errorOf('CANCELLED'));
    },
  };
};
