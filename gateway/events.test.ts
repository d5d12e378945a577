import { createConnection } from 'node:net';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LIFECYCLE, partitionOf, type TaskView } from '../schemas/index.js';
import { type ServedGateway, serveGateway } from './server.js';
import { openWorld, until, type World } from './testing/world.js';

let world: World;
let server: ServedGateway;
const opened: AbortController[] = [];
beforeEach(async () => {
  world = await openWorld({ gateway: { streams: { heartbeatMs: 50 }, cancelWaitMs: 300 } });
  server = await serveGateway(world.app, { host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  for (const controller of opened.splice(0)) controller.abort();
  await server.close();
  await world.close();
});

interface Message {
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly data: string;
}

/** Opens a stream; `next(n)` waits for n messages, `rest()` for the end. */
const open = async (path: string, headers: Record<string, string> = {}) => {
  const controller = new AbortController();
  opened.push(controller);
  const response = await fetch(`${server.url}${path}`, { headers, signal: controller.signal });
  const comments: string[] = [];
  const reader = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ onComment: (comment) => comments.push(comment) }))
    .getReader();
  const read = async (count: number): Promise<Message[]> => {
    const messages: Message[] = [];
    while (reader !== undefined && messages.length < count) {
      const { done, value } = await reader.read();
      if (done) break;
      messages.push(value);
    }
    return messages;
  };
  return { response, comments, next: read, rest: () => read(Number.POSITIVE_INFINITY), abort: () => controller.abort() };
};

const noStreams = () =>
  until(async () => ((await (await world.app.request('/health')).json()) as { streams: { open: number } }).streams.open === 0 || undefined);

const failed = { attempt: 0, error: { code: 'x', message: 'x', retryable: false } };
const types = (messages: readonly Message[]) => messages.map((message) => message.event);
const viewOf = (taskId: string): Promise<TaskView> => world.task(taskId);

describe("a task's stream", () => {
  test('gives all events from the first, goes on live, and ends after the terminal one', async () => {
    const id = await world.submit({ description: 'x', project_id: 'p' });
    await world.submit({ description: 'another', project_id: 'p' });
    const stream = await open(`/api/v1/tasks/${id}/events`);
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    const [first] = await stream.next(1);
    await world.say(await viewOf(id), 'dats.task.failed', failed);
    expect(types([first!, ...(await stream.rest())])).toEqual(['dats.task.created', 'dats.task.failed']);
    const partition = partitionOf('p', world.log.partitions(LIFECYCLE));
    expect(first?.id).toBe(`p${partition}-${(await viewOf(id)).first_offset}`);
    expect(JSON.parse(first!.data)).toMatchObject({ specversion: '1.0', type: 'dats.task.created', subject: id, data: { task_id: id } });
    await noStreams();
  });

  test('resumes exactly after the last event, by header or by parameter', async () => {
    const id = await world.submit({ description: 'x', project_id: 'p' });
    await world.say(await viewOf(id), 'dats.task.queued', { attempt: 1, reason: 'project_limit', position: 1 });
    await world.say(await viewOf(id), 'dats.task.failed', failed);
    const all = await (await open(`/api/v1/tasks/${id}/events`)).rest();
    expect(types(all)).toEqual(['dats.task.created', 'dats.task.queued', 'dats.task.failed']);
    const byHeader = await (await open(`/api/v1/tasks/${id}/events`, { 'last-event-id': all[0]!.id! })).rest();
    const byParameter = await (await open(`/api/v1/tasks/${id}/events?lastEventId=${all[1]!.id}`)).rest();
    expect([types(byHeader), types(byParameter)]).toEqual([['dats.task.queued', 'dats.task.failed'], ['dats.task.failed']]);
    const done = await open(`/api/v1/tasks/${id}/events`, { 'last-event-id': all[2]!.id! });
    expect(done.response.status).toBe(204);
  });

  test('follow=true goes on after the end, and quiet streams carry comments', async () => {
    const id = await world.submit({ description: 'x', project_id: 'p' });
    await world.say(await viewOf(id), 'dats.task.failed', failed);
    const stream = await open(`/api/v1/tasks/${id}/events?follow=true`);
    expect(await stream.next(2)).toHaveLength(2);
    const waiting = stream.next(1);
    await until(() => (stream.comments.length > 1 ? true : undefined));
    await world.log.append([{ topic: LIFECYCLE, key: 'p', headers: { type: 'dats.task.late', subject: id }, value: '{}' }]);
    expect(types(await waiting)).toEqual(['dats.task.late']);
  });

  test('a position of elsewhere is refused, one beyond the log is a reset', async () => {
    const id = await world.submit({ description: 'x', project_id: 'p' });
    const partition = partitionOf('p', world.log.partitions(LIFECYCLE));
    expect((await open(`/api/v1/tasks/${id}/events`, { 'last-event-id': `p${partition + 1}-0` })).response.status).toBe(400);
    expect((await open(`/api/v1/tasks/${id}/events`, { 'last-event-id': 'rubbish' })).response.status).toBe(400);
    const stream = await open(`/api/v1/tasks/${id}/events`, { 'last-event-id': `p${partition}-999` });
    expect(types(await stream.next(1))).toEqual(['reset']);
  });
});

describe("a project's stream", () => {
  test('begins now or at the beginning, and filters by type', async () => {
    const before = await world.submit({ description: 'x', project_id: 'p' });
    const now = await open('/api/v1/projects/p/events');
    const all = await open('/api/v1/projects/p/events?from=beginning');
    const some = await open('/api/v1/projects/p/events?from=beginning&types=dats.task.failed');
    await world.submit({ description: 'elsewhere', project_id: 'q' });
    await world.say({ task_id: before, project_id: 'p' }, 'dats.task.failed', failed);
    expect(types(await now.next(1))).toEqual(['dats.task.failed']);
    expect(types(await all.next(2))).toEqual(['dats.task.created', 'dats.task.failed']);
    expect(types(await some.next(1))).toEqual(['dats.task.failed']);
    expect((await open('/api/v1/projects/p/events?types=dats.task.odd')).response.status).toBe(400);
  });

  test('many streams share one reader, see every event once and in order, and leave nothing behind', async () => {
    let readers = 0;
    const read = world.log.read.bind(world.log);
    world.log.read = (...args) => {
      if (args[2]?.until === undefined) readers++;
      return read(...args);
    };
    const streams = await Promise.all(Array.from({ length: 20 }, () => open('/api/v1/projects/p/events?from=beginning')));
    const ids: string[] = [];
    for (let i = 0; i < 10; i++) ids.push(await world.submit({ description: `t${i}`, project_id: 'p' }));
    for (const stream of streams) {
      const subjects = (await stream.next(10)).map((message) => (JSON.parse(message.data) as { subject: string }).subject);
      expect(subjects).toEqual(ids);
      stream.abort();
    }
    expect(readers).toBe(1);
    await noStreams();
  });
});

describe('cancelling', () => {
  test('waits for the end and says so; the next read agrees', async () => {
    world.cancelling();
    const id = await world.submit({ description: 'x', project_id: 'p' });
    const response = await world.post(`/api/v1/tasks/${id}/cancel`, { reason: 'enough', by: 'alice' });
    expect(await response.json()).toMatchObject({ outcome: 'cancelled', state: 'cancelled', status: 'cancelled' });
    expect(await world.task(id)).toMatchObject({ state: 'cancelled' });
    const again = await world.app.request(`/api/v1/tasks/${id}/cancel`, { method: 'POST' });
    expect([again.status, await again.json()]).toMatchObject([200, { outcome: 'already_final', state: 'cancelled' }]);
    expect((await world.events('p')).filter((event) => event.type === 'dats.task.cancel.requested')).toHaveLength(1);
  });

  test('a task that ended before the request reached it is said to be final already', async () => {
    const id = await world.submit({ description: 'x', project_id: 'p' });
    const view = await viewOf(id);
    const [answer] = await Promise.all([world.post(`/api/v1/tasks/${id}/cancel`, {}), world.say(view, 'dats.task.failed', failed)]);
    expect(await answer.json()).toMatchObject({ outcome: 'already_final', state: 'failed' });
  });

  test('without anybody to cancel it, the answer is that the request is recorded', async () => {
    const id = await world.submit({ description: 'x', project_id: 'p' });
    const response = await world.post(`/api/v1/tasks/${id}/cancel`, {});
    expect(await response.json()).toMatchObject({ outcome: 'requested', state: 'pending' });
  });
});

describe('the server', () => {
  test('closing ends streams and idle connections, twice is fine', async () => {
    const stream = await open('/api/v1/projects/p/events');
    await fetch(`${server.url}/health/live`);
    const rest = stream.rest();
    await Promise.all([server.close(), server.close()]);
    expect(await rest).toEqual([]);
  });

  test('what is not HTTP, and a bad Host, are problems as well', async () => {
    const { port } = new URL(server.url);
    const say = (text: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = createConnection(Number(port), '127.0.0.1', () => socket.write(text));
        let answer = '';
        socket.on('data', (chunk) => {
          answer += chunk.toString();
          if (answer.includes('correlation_id')) socket.destroy();
        });
        socket.on('close', () => resolve(answer));
        socket.on('error', reject);
      });
    expect(await say('rubbish\r\n\r\n')).toContain('application/problem+json');
    expect(await say('GET / HTTP/1.1\r\nHost: a b\r\n\r\n')).toMatch(/400[\s\S]*application\/problem\+json/);
  });

  test('a submission over the wire, and one that is too large', async () => {
    const send = (body: string) =>
      fetch(`${server.url}/api/v1/tasks`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    expect((await send('{"description":"x"}')).status).toBe(202);
    const large = await send(JSON.stringify({ description: 'x', files: [{ path: 'a', content: 'x'.repeat(17 * 1024 * 1024) }] })).then(
      (response) => response.status,
      () => 413,
    );
    expect(large).toBe(413);
    expect((await send('{"description":"y"}')).status).toBe(202);
  });
});
