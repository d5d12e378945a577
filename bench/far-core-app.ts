// A core on another machine, as far as an edge node's own machine feels it: it takes everything, at once, and does nothing with it. Forked by far-core.ts.
//
// Messages in: {line: 'cut' | 'mended'}. Messages out: {port} when it listens, {line} when that is so. It ends with whoever forked it.
import { once } from 'node:events';
import { createServer, type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';

const JOINED = {
  core: 'core',
  core_store: 'store-of-the-far-core',
  core_epoch: 1,
  outbox: { partition: 0, end: 0 },
  epoch: 1,
  missing: [],
};
const cursors: Record<string, number> = {};

const said = (response: Http2ServerResponse, body: object): void =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));

const bodyOf = async (request: Http2ServerRequest): Promise<string> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
};

const answer = async (request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> => {
  const { pathname, searchParams } = new URL(request.url!, 'http://core');
  if (request.method === 'GET') {
    const timer = setTimeout(() => response.writeHead(204).end(), Number(searchParams.get('wait_ms')));
    response.once('close', () => clearTimeout(timer));
    return;
  }
  const body = await bodyOf(request);
  switch (pathname) {
    case '/api/v1/link/join':
      return said(response, { ...JOINED, cursors });
    case '/api/v1/link/batches': {
      const { topic, partition, next } = JSON.parse(body) as { topic: string; partition: number; next: number };
      cursors[`${topic}/${partition}`] = next;
      return said(response, { next });
    }
    case '/api/v1/link/contents/missing':
      return said(response, { missing: [] });
    default:
      response.writeHead(204).end();
  }
};

const sessions = new Set<ServerHttp2Session>();
/** Another server each time: one that was closed does not listen again. */
const listening = async (port: number) => {
  const server = createServer((request, response) => void answer(request, response).catch(() => request.stream.destroy()));
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return server;
};

let server = await listening(0);
const { port } = server.address() as AddressInfo;
const lines = {
  cut: async () => {
    const closed = once(server, 'close');
    server.close();
    for (const session of sessions) session.destroy();
    await closed;
  },
  mended: async () => {
    server = await listening(port);
  },
};
process.on('message', ({ line }: { line: keyof typeof lines }) => void lines[line]().then(() => process.send!({ line })));
process.once('disconnect', () => process.exit(0));
process.send!({ port });
