// A core on another machine, as far as an edge node's own machine feels it: it takes everything, at once, and does nothing with it. Forked by far-core.ts.
//
// Messages out: {port}. It ends with whoever forked it.
import { createServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
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

const server = createServer((request, response) => void answer(request, response).catch(() => request.stream.destroy()));
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit(0));
