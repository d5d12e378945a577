// A small real HTTP server that answers as a model server would, and misbehaves to order. The wire itself is given by the two that use it.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server does with the next generation. */
export const BEHAVIOURS = [
  'answer',
  'length', // ends because the token limit was reached
  'unmetered', // does not tell the usage
  'slow', // the first chunk, then nothing until `release`
  'hang', // headers never come
  'loading', // nothing until `release`, then a good answer
  'garbage', // bytes that are not the protocol
  'truncated', // a clean end without the end marker
  'die_mid_stream', // the socket is destroyed after the first chunk
  'refuse',
  'stream_error', // an error event inside the stream
  'overloaded', // 429 with Retry-After in seconds
  'overloaded_until', // 503 with Retry-After as a date
  'error', // 500
  'reject', // 401
  'missing', // 404
  'tool_calls', // says a word, then calls `add` and `sub`
  'repeated', // a good answer in which everything comes twice that may
  'after_end', // goes on after its end
  'empty', // ends with "stop", and nothing before it
  'wrong_type', // 200 and a page of HTML, as from a proxy
  'overloaded_silent', // 429 without Retry-After
  'too_long', // the prompt does not fit
  'bad_request', // 400 without a code that says why
  'redirect', // 307 to somewhere else
  'proxy', // 407
] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

export interface Wire {
  readonly start: Readonly<Record<string, string>>;
  chunk(text: string): string;
  /** A call of `add` with {"a":1} and one of `sub` without arguments. */
  toolCalls(): string;
  /** A good answer of these pieces in which everything comes twice that may. */
  repeated(pieces: readonly string[]): string;
  refusal(): string;
  streamError(): string;
  /** What ends the stream; `metered` with the usage. */
  end(finish: 'stop' | 'length', metered: boolean): string;
  errorBody(code: string): string;
  /** How a prompt that does not fit is refused. */
  readonly tooLong: { readonly status: number; readonly code: string };
  /** The answer to a request that is not streamed; absent where all are. */
  whole?(): string;
  /** Answers anything that is not a generation; false when the path is not known. */
  other(path: string, body: unknown, server: WireServer): unknown;
  isGenerate(path: string): boolean;
}

export interface WireServer {
  readonly url: string;
  behaviour: Behaviour;
  /** Text pieces of a good answer. */
  pieces: readonly string[];
  /** Names that the server says it has. */
  models: readonly string[];
  /** What `overloaded` asks for, in seconds. */
  retryAfterSeconds: number;
  /** Bodies of the generations that came. */
  readonly requests: readonly unknown[];
  /** Bodies of everything else, by path. */
  readonly others: readonly { readonly path: string; readonly body: unknown; readonly headers: IncomingHttpHeaders }[];
  /** Names of the models that are in memory. */
  loaded: readonly string[];
  readonly authorizations: readonly (string | undefined)[];
  readonly traceparents: readonly unknown[];
  /** Generations that are being answered, and how many clients left before their end. */
  running(): number;
  left(): number;
  sockets(): Promise<number>;
  /** Resolves when the condition holds, looked at whenever something happens at the server. */
  until(condition: () => boolean): Promise<void>;
  /** Lets `slow` and `loading` answers go on to their end. */
  release(): void;
  close(): Promise<void>;
}

export const SERVER_SECRET = 'words of the server that quote the prompt';

const readJson = async (request: IncomingMessage): Promise<unknown> => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return pieces.length === 0 ? undefined : JSON.parse(Buffer.concat(pieces).toString('utf8'));
};

const STATUS: Readonly<Partial<Record<Behaviour, { status: number; code: string }>>> = {
  overloaded: { status: 429, code: 'rate_limit_exceeded' },
  overloaded_until: { status: 503, code: 'overloaded' },
  error: { status: 500, code: 'server_error' },
  reject: { status: 401, code: 'invalid_api_key' },
  missing: { status: 404, code: 'model_not_found' },
  overloaded_silent: { status: 429, code: 'rate_limit_exceeded' },
  bad_request: { status: 400, code: 'BadRequestError' },
  redirect: { status: 307, code: 'moved' },
  proxy: { status: 407, code: 'proxy' },
};

const listen = (server: Server, port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });

/** @param port of a server that comes back; default: one that is free */
export const openWireServer = async (wire: Wire, port = 0): Promise<WireServer> => {
  let running = 0;
  let left = 0;
  let waiters: { condition: () => boolean; resolve: () => void }[] = [];
  const releases = new Map<ServerResponse, () => void>();
  const requests: unknown[] = [];
  const others: { path: string; body: unknown; headers: IncomingHttpHeaders }[] = [];
  const authorizations: (string | undefined)[] = [];
  const traceparents: unknown[] = [];
  const happened = (): void => {
    waiters = waiters.filter(({ condition, resolve }) => {
      if (!condition()) return true;
      resolve();
      return false;
    });
  };

  const stream = (response: ServerResponse, behaviour: Behaviour): void => {
    if (behaviour === 'loading') return void releases.set(response, () => stream(response, 'answer'));
    response.writeHead(200, wire.start);
    const [first = '', ...others] = fake.pieces;
    const finish = (): void => {
      for (const piece of others) response.write(wire.chunk(piece));
      if (behaviour === 'truncated') return void response.end();
      response.end(wire.end(behaviour === 'length' ? 'length' : 'stop', behaviour !== 'unmetered'));
    };
    if (behaviour === 'repeated') return void response.end(wire.repeated(fake.pieces));
    if (behaviour === 'empty') return void response.end(wire.end('stop', true));
    if (behaviour === 'garbage') return void response.end(`<html>${SERVER_SECRET}</html>\ndata: {"cho\n\n`);
    response.write(wire.chunk(first));
    if (behaviour === 'slow') return void releases.set(response, finish);
    // Written and flushed before the socket goes, so that the client has read a chunk.
    if (behaviour === 'die_mid_stream') return void response.write(wire.chunk('x'), () => setImmediate(() => response.socket?.destroy()));
    if (behaviour === 'tool_calls') return void response.end(wire.toolCalls() + wire.end('stop', true));
    if (behaviour === 'after_end') return void response.end(wire.end('stop', true).replace('data: [DONE]\n\n', '') + wire.chunk(first));
    if (behaviour === 'refuse') return void response.end(wire.refusal());
    if (behaviour === 'stream_error') return void response.end(wire.streamError());
    finish();
  };

  const failed = (response: ServerResponse, behaviour: Behaviour, { status, code }: { status: number; code: string }): void => {
    const retryAfter = behaviour === 'overloaded' ? String(fake.retryAfterSeconds) : new Date(Date.now() + 30_000).toUTCString();
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(behaviour === 'overloaded' || behaviour === 'overloaded_until' ? { 'retry-after': retryAfter } : {}),
      ...(behaviour === 'redirect' ? { location: 'http://127.0.0.1:9/elsewhere' } : {}),
    });
    response.end(wire.errorBody(code));
  };

  const generate = (response: ServerResponse, body: { readonly stream?: unknown } | undefined): void => {
    const { behaviour } = fake;
    running += 1;
    response.on('close', () => {
      running -= 1;
      releases.delete(response);
      if (!response.writableFinished) left += 1;
      happened();
    });
    happened();
    if (behaviour === 'hang') return;
    if (behaviour === 'wrong_type') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(`<html>${SERVER_SECRET}</html>`);
      return;
    }
    if (behaviour === 'too_long' && wire.whole !== undefined && body?.stream !== true) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(wire.whole());
      return;
    }
    const failure = behaviour === 'too_long' ? wire.tooLong : STATUS[behaviour];
    if (failure === undefined) stream(response, behaviour);
    else failed(response, behaviour, failure);
  };

  const server = createServer(async (request, response) => {
    const path = request.url ?? '/';
    const body = await readJson(request);
    if (wire.isGenerate(path)) {
      requests.push(body);
      authorizations.push(request.headers.authorization);
      traceparents.push(request.headers.traceparent);
      generate(response, body as { readonly stream?: unknown } | undefined);
      return;
    }
    others.push({ path, body, headers: request.headers });
    const answer = wire.other(path, body, fake);
    response.writeHead(answer === false ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
  const url = await listen(server, port);

  const fake: WireServer = {
    url,
    behaviour: 'answer',
    pieces: ['Hello', ', ', 'world'],
    models: ['test-model'],
    retryAfterSeconds: 7,
    requests,
    others,
    loaded: [],
    authorizations,
    traceparents,
    running: () => running,
    left: () => left,
    sockets: () => new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count)))),
    until: (condition) => new Promise((resolve) => (condition() ? resolve() : void waiters.push({ condition, resolve }))),
    release: () => {
      const all = [...releases.values()];
      releases.clear();
      for (const release of all) release();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
};
