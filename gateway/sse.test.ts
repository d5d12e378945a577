import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { LIFECYCLE } from '../schemas/index.js';
import { serveGateway } from './server.js';
import { eventStream, frameOf } from './sse.js';
import { openWorld, until, type World } from './testing/world.js';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
async function* endless(pulled: () => void): AsyncGenerator<readonly Uint8Array[], void> {
  for (;;) {
    pulled();
    yield [new TextEncoder().encode('data: x\n\n')];
  }
}

test('a frame is the CloudEvent in one line of data', () => {
  const record = {
    topic: LIFECYCLE,
    partition: 2,
    offset: 7,
    key: 'p',
    headers: { type: 'dats.task.created', subject: 't' },
    value: '{"a":\n1}',
    type: 'dats.task.created',
    timestamp: 0,
  } as const;
  expect(text(frameOf(record))).toBe(
    'id: p2-7\nevent: dats.task.created\ndata: {"type":"dats.task.created","subject":"t","data":{"a": 1}}\n\n',
  );
  expect(frameOf(record)).toBe(frameOf(record));
});

test('a client that takes nothing is told to resume and cut off, and nothing is read ahead for it', async () => {
  let pulls = 0;
  let cut = () => {};
  const disconnected = new Promise<void>((resolve) => {
    cut = resolve;
  });
  const stream = eventStream(() => endless(() => pulls++), {
    heartbeatMs: 2,
    stallMs: 10,
    graceMs: 1,
    closing: new AbortController().signal,
    disconnect: () => cut(),
  });
  await disconnected;
  expect(pulls).toBeLessThanOrEqual(2);
  expect(await new Response(stream).text()).toMatch(/event: reset\ndata: .*too_slow.*Last-Event-ID.*\n\n$/);
});

test('a source that fails ends with a reset that says so', async () => {
  const broken = async function* (): AsyncGenerator<readonly Uint8Array[], void> {
    yield [new TextEncoder().encode('data: x\n\n')];
    throw new Error('the log is away');
  };
  const stream = eventStream(broken, {
    heartbeatMs: 1_000,
    stallMs: 1_000,
    graceMs: 1,
    closing: new AbortController().signal,
    disconnect: () => undefined,
  });
  expect(await new Response(stream).text()).toMatch(/data: x\n\nevent: reset\ndata: \{"reason":"the log is away"/);
});

const flood = async (world: World): Promise<void> => {
  const value = JSON.stringify({ text: 'x'.repeat(30_000) });
  for (let i = 0; i < 20; i++)
    await world.log.append(
      Array.from({ length: 50 }, () => ({ topic: LIFECYCLE, key: 'p', headers: { type: 'dats.test.flood', subject: 't' }, value })),
    );
};

test('over a real connection, a client that stops reading loses its connection, and the server keeps nothing of it', async () => {
  const world = await openWorld({ gateway: { streams: { heartbeatMs: 10, stallMs: 50, graceMs: 20 } } });
  const server = await serveGateway(world.app, { host: '127.0.0.1', port: 0 });
  cleanups.push(
    () => world.close(),
    () => server.close(),
  );
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.pause();
  socket.write('GET /api/v1/projects/p/events?from=beginning HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await until(
    async () => ((await (await world.app.request('/health')).json()) as { streams: { open: number } }).streams.open === 1 || undefined,
  );
  await flood(world);
  await until(
    async () => ((await (await world.app.request('/health')).json()) as { streams: { open: number } }).streams.open === 0 || undefined,
  );
  socket.resume();
  await closed;
});
