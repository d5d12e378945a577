import { createServer, type Http2Server } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, openConnection } from './connection.js';

const never = new AbortController().signal;
let server: Http2Server;
let url: string;
beforeEach(async () => {
  server = createServer();
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
});

describe('a connection', () => {
  it('that is given up at any moment while it is made harms nobody', async () => {
    for (let turns = 0; turns < 40; turns++) {
      const session = openConnection(url);
      const answer = call(session, '/', undefined, 'token', never).catch((error: unknown) => error);
      // Just before others hear of it.
      if (turns % 2 === 0) session.prependOnceListener('connect', () => session.destroy());
      else {
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
        session.destroy();
      }
      expect(await answer).toBeInstanceOf(Error);
    }
  });

  it('that ends in the middle of an answer gives no answer', async () => {
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200, 'content-length': '100' });
      stream.write('{"half": ', () => stream.session?.destroy());
    });
    const session = openConnection(url);
    await expect(call(session, '/', undefined, 'token', never)).rejects.toThrow();
  });

  it('that dies without a word ends with its calls when a ping is not answered, and stays while pings are', async () => {
    let isDead = false;
    const between = createTcpServer((near) => {
      const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
      for (const [from, to] of [[near, far] as const, [far, near] as const])
        from
          .on('data', (bytes) => !isDead && to.write(bytes))
          .on('close', () => to.destroy())
          .on('error', () => to.destroy());
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const session = openConnection(`http://127.0.0.1:${(between.address() as AddressInfo).port}`, 800);
    const answer = call(session, '/', undefined, 'token', never).catch((error: unknown) => String(error));
    const began = performance.now();
    while (performance.now() - began < 2_000) {
      expect(session.destroyed).toBe(false);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    isDead = true;
    expect(await answer).toContain('not even the answer to a ping');
    await new Promise((resolve) => between.close(resolve));
  });
});
