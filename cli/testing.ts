// For tests: a small real HTTP server, and an `Io` that keeps what was printed.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type DatsEvent, dataschemaOf, type EventOf, type EventType } from '../schemas/index.js';
import type { Io } from './io.js';

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

export interface TestServer {
  readonly url: string;
  readonly requests: {
    readonly method: string;
    readonly url: string;
    readonly lastEventId: string | undefined;
    readonly idempotencyKey: string | undefined;
    readonly body: string;
  }[];
  close(): Promise<void>;
}

export const openTestServer = async (handler: Handler): Promise<TestServer> => {
  const requests: TestServer['requests'] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    requests.push({
      method: request.method ?? '',
      url: request.url ?? '',
      lastEventId: request.headers['last-event-id'] as string | undefined,
      idempotencyKey: request.headers['idempotency-key'] as string | undefined,
      body,
    });
    handler(request, response, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
};

export const answerJson = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  const type = status >= 400 ? 'application/problem+json' : 'application/json';
  response.writeHead(status, { 'content-type': type, ...headers }).end(JSON.stringify(body));
};

export const anEvent = <T extends EventType>(
  type: T,
  subject: string,
  data: EventOf<T>['data'],
  time = '2026-11-21T10:00:00.000Z',
): DatsEvent =>
  ({
    specversion: '1.0',
    id: `${subject}-${type}`,
    source: '/test',
    type,
    time,
    subject,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf(type),
    projectid: 'p',
    correlationid: 'c',
    actor: 'test',
    configversion: 'v',
    data,
  }) as unknown as DatsEvent;

export const sseOf = (offset: number, event: DatsEvent): string =>
  `id: p0-${offset}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

export interface KeptIo extends Io {
  readonly printed: { out: string; err: string };
}

export const keepIo = (options: Partial<Io> = {}): KeptIo => {
  const printed = { out: '', err: '' };
  return {
    printed,
    out: (text) => {
      printed.out += text;
    },
    err: (text) => {
      printed.err += text;
    },
    tty: false,
    columns: 100,
    env: {},
    cwd: process.cwd(),
    stdin: async () => '',
    signal: new AbortController().signal,
    now: () => 0,
    ...options,
  };
};
