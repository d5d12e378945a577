import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, openConnection } from './connection.js';

const never = new AbortController().signal;
let server: Http2Server;
let url: string;
beforeEach(async () => {
  server = createServer();
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
});
