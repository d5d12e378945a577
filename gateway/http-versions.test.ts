// One port for HTTP/1.1 and HTTP/2: each client is answered in what it speaks, and closing leaves nobody behind.
import { createServer } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createConnection, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alsoSpeaks } from './http-versions.js';
import { type ServedGateway, serveGateway } from './server.js';
import { openWorld, type World } from './testing/world.js';

let world: World;
let server: ServedGateway;
beforeEach(async () => {
  world = await openWorld();
  server = await serveGateway(world.app, { host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  await server.close();
  await world.close();
});

const opened = (): Socket => createConnection(Number(new URL(server.url).port), '127.0.0.1');

/** Says it piece by piece, and gives what is answered until the other side ends. */
const said = async (pieces: readonly string[]): Promise<string> => {
  const socket = opened();
  socket.setNoDelay(true);
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return text(socket);
};

const asked = async (session: ReturnType<typeof connectHttp2>, path: string, body?: string) => {
  const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST', 'content-type': 'application/json' });
  const headers = new Promise<{ readonly ':status'?: number; readonly 'content-type'?: string }>((resolve) =>
    stream.once('response', resolve),
  );
  stream.end(body);
  return { status: (await headers)[':status'], type: (await headers)['content-type'], body: await text(stream) };
};

describe('one port', () => {
  it('answers many calls on one connection to whoever speaks HTTP/2', async () => {
    const session = connectHttp2(server.url);
    const answers = await Promise.all([
      asked(session, '/health/live'),
      asked(session, '/api/v1/tasks', '{"description":"x"}'),
      asked(session, '/api/v1/nothing'),
      asked(session, '/api/v1/tasks', '{'),
    ]);
    session.destroy();
    expect(answers.map(({ status }) => status)).toEqual([200, 202, 404, 400]);
    expect(answers[2]).toMatchObject({ type: 'application/problem+json' });
  });

  it('refuses a body that is too large there too, with its length said before or not', async () => {
    const session = connectHttp2(server.url);
    const large = JSON.stringify({ description: 'x', files: [{ path: 'a', content: 'x'.repeat(17 * 1024 * 1024) }] });
    expect((await asked(session, '/api/v1/tasks', large)).status).toBe(413);
    expect((await asked(session, '/health/live')).status).toBe(200);
    session.destroy();
  });

  it('answers HTTP/1.1 however it is cut into pieces, also where it begins like the other', async () => {
    const rest = 'RI/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    expect(await said(['G', 'ET /health/live HTTP/1.1\r\nHo', 'st: a\r\nConnection: close\r\n\r\n'])).toMatch(/^HTTP\/1.1 200/);
    expect(await said(['P', rest])).toMatch(/^HTTP\/1.1 400[\s\S]*application\/problem\+json/);
    const put = 'UT /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
    expect(await said(['P', put])).toMatch(/^HTTP\/1.1 405/);
  });

  it('ends streams, and connections with nothing on them, when it closes', async () => {
    const [silent, session] = [opened(), connectHttp2(server.url)];
    await new Promise((resolve) => silent.once('connect', resolve));
    const stream = session.request({ ':path': '/api/v1/projects/p/events' });
    await new Promise((resolve) => stream.once('response', resolve));
    const ended = [silent, session].map((one) => new Promise((resolve) => one.once('close', resolve)));
    stream.resume();
    silent.resume();
    await server.close();
    await Promise.all(ended);
  });

  it('knows at once that a client is gone, whatever that waits for', async () => {
    const http1 = createServer();
    const gone = new Promise((resolve) => {
      const http2 = createHttp2Server((request) => request.once('aborted', resolve));
      alsoSpeaks(http1, http2, { silentMs: 5_000, idleMs: 60_000 });
    });
    await new Promise<void>((resolve) => http1.listen(0, '127.0.0.1', resolve));
    const { port } = http1.address() as AddressInfo;
    const socket = createConnection(port, '127.0.0.1');
    const session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection: () => socket });
    session.on('error', () => undefined);
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    stream.on('error', () => undefined).end('a question');
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    // As the system does for a process that was killed.
    socket.destroySoon();
    await gone;
    await new Promise((resolve) => http1.close(resolve));
  });

  it('cuts off who never says which it speaks', async () => {
    const http1 = createServer((_request, response) => response.end());
    alsoSpeaks(http1, createHttp2Server(), { silentMs: 30, idleMs: 1_000 });
    await new Promise<void>((resolve) => http1.listen(0, '127.0.0.1', resolve));
    const { port } = http1.address() as AddressInfo;
    const [silent, brief] = [createConnection(port, '127.0.0.1'), createConnection(port, '127.0.0.1', () => brief.write('PR'))];
    expect(await Promise.all([text(silent), text(brief)])).toEqual(['', '']);
    await new Promise((resolve) => http1.close(resolve));
  });

  it('cuts off a connection on which nothing goes any more, and none on which something does', async () => {
    const http1 = createServer();
    const http2 = createHttp2Server((_request, response) => response.end());
    alsoSpeaks(http1, http2, { silentMs: 1_000, idleMs: 1_000 });
    await new Promise<void>((resolve) => http1.listen(0, '127.0.0.1', resolve));
    const session = connectHttp2(`http://127.0.0.1:${(http1.address() as AddressInfo).port}`);
    const closed = new Promise((resolve) => session.once('close', resolve));
    const until = performance.now() + 2_200;
    while (performance.now() < until) {
      const stream = session.request({ ':path': '/' });
      await Promise.race([closed, text(stream)]);
    }
    expect(session.destroyed).toBe(false);
    await closed;
    await new Promise((resolve) => http1.close(resolve));
  });
});
