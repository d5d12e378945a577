import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Connection } from './connection.js';
import { EventStream } from './event-stream.js';

const serve = async (answer: (response: ServerResponse) => void) => {
  const server = createServer((_request, response) => answer(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};

test('each event is counted once, however it is cut into pieces, and comments are not events', async () => {
  const frame = `id: p0-1\nevent: dats.task.created\ndata: {"time":"${new Date(Date.now() - 1_000).toISOString()}","data":{}}\n\n`;
  await using server = await serve((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\n');
    response.write(frame.slice(0, -1));
    setImmediate(() => response.write(`\n${frame}`));
  });
  const ages: number[] = [];
  let stream: EventStream | undefined;
  await new Promise<void>((resolve, reject) => {
    EventStream.open(server.port, '/', (age) => {
      ages.push(age);
      if (ages.length === 2) resolve();
    }).then((open) => {
      stream = open;
    }, reject);
  });
  stream?.close();
  expect(ages.every((age) => age >= 1_000 && age < 60_000)).toBe(true);
});

test('a connection gives each answer to the request it belongs to', async () => {
  let asked = 0;
  await using server = await serve((response) => {
    const body = JSON.stringify({ number: ++asked, text: 'grün' });
    response.writeHead(202, { 'content-length': Buffer.byteLength(body) }).end(body);
  });
  const connection = await Connection.open(server.port);
  expect(JSON.parse((await connection.ask(['POST', '/', '{}'])).body)).toEqual({ number: 1, text: 'grün' });
  expect(await connection.ask(['GET', '/'])).toEqual({ status: 202, body: '{"number":2,"text":"grün"}' });
  connection.close();
});

test('a request whose connection is cut fails', async () => {
  await using server = await serve((response) => response.destroy());
  const connection = await Connection.open(server.port);
  await expect(connection.ask(['GET', '/'])).rejects.toThrow();
});
