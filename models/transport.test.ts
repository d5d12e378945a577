import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressOf, nodeTransport } from './transport.js';

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
