// The gateway on a port.
//
// S1. Everything that is not HTTP leaves as problem+json too. S2. `close` is orderly: no new requests, streams end, running requests are answered,
// idle connections are closed at once, and what is left after CLOSE_WAIT_MS is cut. Twice is fine.
import { createServer, type Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Logger } from 'pino';
import { Fault, newId } from '../schemas/index.js';
import type { GatewayApp } from './app.js';
import { problemAnswer, respond } from './dispatch.js';
import { alsoSpeaks } from './http-versions.js';
import { refuse } from './problem.js';

/** How long running requests may take after `close`, milliseconds. */
const CLOSE_WAIT_MS = 5_000;
/** Connections that became idle since are closed this often while closing, milliseconds. */
const CLOSE_SWEEP_MS = 20;
/** Idle keep-alive connections are kept this long, milliseconds: longer than load balancers keep theirs. */
const KEEP_ALIVE_MS = 65_000;
/** From the first byte of a request to its last, milliseconds. */
const REQUEST_MS = 120_000;
/** A connection that has not begun a request is kept this long, milliseconds: Node's own limit for headers. */
const SILENT_MS = 60_000;

export interface ServeOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly logger?: Logger;
  /** Where host and port are set, for whoever cannot have them. */
  readonly settings?: string;
}

const SETTINGS = 'gateway.port and gateway.host of servers.yaml, --port and --host';

export interface ServedGateway {
  /** `http://host:port` */
  readonly url: string;
  close(): Promise<void>;
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

const CANNOT_LISTEN: Readonly<Record<string, readonly [code: string, why: string]>> = {
  EADDRINUSE: ['port_taken', 'is taken by another process; end that one, or choose another port'],
  EACCES: ['port_denied', 'may not be used by this user; choose a port above 1023, or another user'],
  EADDRNOTAVAIL: ['host_unknown', 'cannot be used, because this machine does not have the address; choose another host'],
};

const listenFault = (error: NodeJS.ErrnoException, { host, port, settings = SETTINGS }: ServeOptions): unknown => {
  const known = CANNOT_LISTEN[error.code ?? ''];
  return known === undefined ? error : new Fault('fatal', known[0], `port ${port} of ${host} ${known[1]} (${settings})`, { cause: error });
};

const listen = (server: Server, options: ServeOptions): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    const refuse = (error: Error) => reject(listenFault(error, options));
    server.once('error', refuse);
    server.listen(options.port, options.host, () => {
      server.off('error', refuse);
      resolve(server.address() as AddressInfo);
    });
  });

/** What cannot be parsed as HTTP gets an answer by hand. */
const refuseGarbage = (_error: Error, socket: Socket) => {
  if (!socket.writable) return;
  const id = newId();
  const { body, status } = problemAnswer(refuse('malformed_request', 'the request is not valid HTTP'), id, '/');
  socket.end(
    `HTTP/1.1 ${status} Bad Request\r\nContent-Type: application/problem+json\r\nX-Correlation-Id: ${id}\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(String(body))}\r\n\r\n${body}`,
  );
};

/** @throws Fault fatal `port_taken`, `port_denied`, `host_unknown`; any other listen error as Node gives it. */
export const serveGateway = async (app: Pick<GatewayApp, 'fetch' | 'close'>, options: ServeOptions): Promise<ServedGateway> => {
  const { host, logger } = options;
  const listener = getRequestListener((request, env) => app.fetch(request, env), {
    errorHandler: () => {
      const id = newId();
      return respond(problemAnswer(refuse('malformed_request', 'the request target or the Host header is not valid'), id, '/'), id);
    },
  });
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_MS }, listener);
  server.on('clientError', refuseGarbage);
  // Connections that were opened ahead and never used: Node does not count them as idle, so closing would wait for them.
  const unused = new Set<Socket>();
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', (request) => unused.delete(request.socket));
  const http2 = alsoSpeaks(server, createHttp2Server({}, listener), {
    silentMs: SILENT_MS,
    idleMs: KEEP_ALIVE_MS,
    onConnection: (socket) => unused.delete(socket),
  });
  const address = await listen(server, options);
  if (!isLoopback(host))
    logger?.warn({ host }, 'listening beyond loopback without authentication: whoever reaches this port can submit and read tasks');
  let closed: Promise<void> | undefined;
  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    close: () => {
      closed ??= new Promise((resolve) => {
        const cut = setTimeout(() => {
          server.closeAllConnections();
          http2.destroy();
        }, CLOSE_WAIT_MS);
        const sweep = setInterval(() => {
          server.closeIdleConnections();
          for (const socket of unused) socket.destroy();
        }, CLOSE_SWEEP_MS);
        server.close(() => {
          clearTimeout(cut);
          clearInterval(sweep);
          resolve();
        });
        app.close();
        http2.close();
        server.closeIdleConnections();
      });
      return closed;
    },
  };
};
