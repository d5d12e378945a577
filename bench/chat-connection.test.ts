import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { AnswerParser, ChatConnection } from './chat-connection.js';

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
});

const listening = async (answer: RequestListener): Promise<number> => {
  server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const asked = { path: '/v1/chat/completions', body: '{}' };

describe('a chat connection', () => {
  it('reads whole and streamed answers one after another', async () => {
    let streamed = false;
    const port = await listening((_, response) => {
      if (!streamed) response.writeHead(200, { 'content-length': 22 }).end('{"content":"one word"}');
      else {
        response.write('data: {"content":""}\n\n');
        response.end('data: {"content":"word"}\n\n');
      }
      streamed = true;
    });
    const connection = await ChatConnection.open(port);
    expect(await connection.ask(asked)).toMatchObject({ status: 200, body: '{"content":"one word"}' });
    const reply = await connection.ask(asked);
    expect(reply.body).toBe('data: {"content":""}\n\ndata: {"content":"word"}\n\n');
    expect(reply.firstMs).toBeLessThanOrEqual(reply.totalMs);
    connection.close();
  });

  it('can be closed in the middle of an answer', async () => {
    const port = await listening((_, response) => void response.write('data: {"content":"word"}\n\n'));
    const connection = await ChatConnection.open(port);
    await expect(connection.ask(asked, () => connection.close())).rejects.toThrow('closed the connection');
    expect(connection.usable).toBe(false);
  });
});

describe('the parser of answers', () => {
  it('gives the same whatever the pieces are', () => {
    const answer = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab\r\nc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n';
    for (let size = 1; size <= answer.length; size++) {
      const parser = new AnswerParser();
      const ends: boolean[] = [];
      for (let at = 0; at < answer.length; at += size) ends.push(parser.push(answer.slice(at, at + size)));
      expect(ends.lastIndexOf(false)).toBeLessThan(ends.indexOf(true));
      expect(ends.at(-1)).toBe(true);
      expect(parser.body).toBe('ab\r\nc0123456789abcdef');
    }
  });

  it('is not done before the last byte', () => {
    const parser = new AnswerParser();
    expect(parser.push('HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\na')).toBe(false);
    expect(parser.push('b')).toBe(true);
    expect(parser.status).toBe(503);
  });
});
