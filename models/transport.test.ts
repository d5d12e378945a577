import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressOf, nodeTransport } from './transport.js';

const GOOD = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** What becomes of a request, by the number of its connection and its own number on it, from 0. */
type Behaviour = (socket: Socket, connection: number, request: number) => void;

describe('a request over HTTP', () => {
  let server: Server;
  let behave: Behaviour;
  /** Bodies that came, by connection. */
  let came: string[][];
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    came = [];
    server = createServer((socket) => {
      const bodies: string[] = [];
      const connection = came.push(bodies) - 1;
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (piece) => {
        bodies.push(piece.toString('latin1').split('\r\n\r\n')[1] ?? '');
        behave(socket, connection, bodies.length - 1);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server.close();
  });

  const ask = async (body: string): Promise<string> => {
    const to = addressOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, '/v1/x');
    const { read } = await nodeTransport({ to, method: 'POST', headers: {}, body }).answer;
    let text = '';
    for (let piece = await read(); piece !== undefined; piece = await read()) text += Buffer.from(piece).toString();
    return text;
  };
  /** The connection is free for the next request only after the turn in which its answer ended. */
  const keptAfter = async (body: string): Promise<void> => {
    expect(await ask(body)).toBe('ok');
    await new Promise((resolve) => setImmediate(resolve));
  };

  it('is answered whole to one who reads late', async () => {
    const length = 8 * 1024 * 1024;
    behave = (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n${'x'.repeat(length)}`);
    const to = addressOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const { read } = await nodeTransport({ to, method: 'GET', headers: {} }).answer;
    // It waits, as nobody takes what came.
    await expect.poll(() => [...sockets].some((socket) => socket.writableNeedDrain)).toBe(true);
    let bytes = 0;
    for (let piece = await read(); piece !== undefined; piece = await read()) bytes += piece.byteLength;
    expect(bytes).toBe(length);
  });

  it('goes out once more, on a new connection, where a kept one was closed just then (X2)', async () => {
    behave = (socket, _, request) => (request === 0 ? socket.write(GOOD) : socket.resetAndDestroy());
    await keptAfter('first');
    expect(await ask('second')).toBe('ok');
    expect(came).toEqual([['first', 'second'], ['second']]);
  });

  it('does so too where that was closed in order', async () => {
    behave = (socket, _, request) => (request === 0 ? socket.write(GOOD) : socket.end());
    await keptAfter('first');
    expect(await ask('second')).toBe('ok');
    expect(came).toEqual([['first', 'second'], ['second']]);
  });

  it('goes out twice at most', async () => {
    behave = (socket, connection, request) => (connection + request === 0 ? socket.write(GOOD) : socket.resetAndDestroy());
    await keptAfter('first');
    await expect(ask('second')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(came).toEqual([['first', 'second'], ['second']]);
  });

  it('is not sent again where a byte of the answer came', async () => {
    behave = (socket, _, request) => (request === 0 ? socket.write(GOOD) : socket.write('H', () => socket.resetAndDestroy()));
    await keptAfter('first');
    await expect(ask('second')).rejects.toBeDefined();
    expect(came).toEqual([['first', 'second']]);
  });

  it('is not sent again over a new connection that was lost', async () => {
    behave = (socket) => socket.resetAndDestroy();
    await expect(ask('first')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(came).toEqual([['first']]);
  });

  it('is not sent again when it was cancelled', async () => {
    behave = (socket, _, request) => {
      if (request === 0) socket.write(GOOD);
      else cancel();
    };
    let cancel = (): void => {};
    await keptAfter('first');
    const to = addressOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const exchange = nodeTransport({ to, method: 'POST', headers: {}, body: 'second' });
    cancel = exchange.cancel;
    await expect(exchange.answer).rejects.toMatchObject({ code: 'CANCELLED' });
    await Promise.all([...sockets].map((socket) => socket.closed || once(socket, 'close')));
    expect(came).toEqual([['first', 'second']]);
  });
});

describe('an address', () => {
  it.each([
    ['http://127.0.0.1:8000/v1', '/chat', { secure: false, hostname: '127.0.0.1', port: 8000, path: '/v1/chat', host: '127.0.0.1:8000' }],
    ['https://api.example/v1/', '/chat', { secure: true, hostname: 'api.example', port: undefined, path: '/v1/chat', host: 'api.example' }],
    ['http://user:pass@[::1]:1/', '', { secure: false, hostname: '::1', port: 1, path: '/', host: '[::1]:1' }],
    ['http://h/a?b=c', '', { secure: false, hostname: 'h', port: undefined, path: '/a?b=c', host: 'h' }],
  ])('of %s and %j', (url, path, address) => {
    expect(addressOf(url, path)).toEqual(address);
  });
});
