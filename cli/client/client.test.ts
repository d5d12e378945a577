import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { DatsEvent, TaskView } from '../../schemas/index.js';
import { anEvent, answerJson, type Handler, openTestServer, sseOf, type TestServer } from '../testing.js';
import { createClient, type Sleep } from './index.js';

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});
const serve = async (handler: Handler): Promise<TestServer> => {
  server = await openTestServer(handler);
  return server;
};
const noPause: Sleep = async (_ms, signal) => signal?.throwIfAborted();

const started = (n: number): DatsEvent =>
  anEvent('dats.task.started', 't', { task_id: 't', attempt: n, node: 'n', worker: 'w', fence: '1-1' });
const completed = anEvent('dats.task.completed', 't', { task_id: 't', attempt: 1, provenance_id: 'x', execution_time_ms: 5 });
const head = { 'content-type': 'text/event-stream' };

describe('following a task', () => {
  it('resumes after a cut exactly where it was, and gives every event once', async () => {
    let connections = 0;
    const { url, requests } = await serve((_request, response) => {
      connections++;
      response.writeHead(200, head);
      if (connections === 1) {
        response.write(sseOf(1, started(1)) + sseOf(2, started(2)), () => response.destroy());
        return;
      }
      // A server that is careless about Last-Event-ID repeats one.
      response.end(sseOf(2, started(2)) + sseOf(5, started(3)) + sseOf(9, completed));
    });
    const seen: string[] = [];
    const connection: string[] = [];
    for await (const { position, event } of createClient({ baseUrl: url, sleep: noPause }).events('t', {
      onConnection: (state) => connection.push(state),
    }))
      seen.push(`${position} ${event.type}`);
    expect(seen).toEqual(['p0-1 dats.task.started', 'p0-2 dats.task.started', 'p0-5 dats.task.started', 'p0-9 dats.task.completed']);
    expect(requests.map((request) => request.lastEventId)).toEqual([undefined, 'p0-2']);
    expect(connection).toEqual(['lost', 'back']);
  });

  it('survives a server that refuses for a while and one that is not there', async () => {
    let connections = 0;
    const { url } = await serve((request, response) => {
      connections++;
      if (connections === 1) response.writeHead(200, head).write(sseOf(1, started(1)), () => response.destroy());
      else if (connections === 2) request.socket.destroy();
      else if (connections === 3)
        answerJson(response, 503, {
          type: '/problems/log-closed',
          title: 'Shutting down',
          status: 503,
          detail: 'ending',
          correlation_id: 'c',
          retryable: true,
        });
      else response.writeHead(200, head).end(sseOf(2, completed));
    });
    const seen: string[] = [];
    for await (const { event } of createClient({ baseUrl: url, sleep: noPause }).events('t')) seen.push(event.type);
    expect(seen).toEqual(['dats.task.started', 'dats.task.completed']);
    expect(connections).toBe(4);
  });

  it('ends without an event when the server says that there is nothing more', async () => {
    const { url } = await serve((_request, response) => response.writeHead(204).end());
    const seen: unknown[] = [];
    for await (const event of createClient({ baseUrl: url }).events('t', { lastEventId: 'p0-9' })) seen.push(event);
    expect(seen).toEqual([]);
  });

  it('does not try again what no retry mends', async () => {
    const { url, requests } = await serve((_request, response) =>
      answerJson(response, 404, {
        type: '/problems/task-not-found',
        title: 'Task not found',
        status: 404,
        detail: 'no task t',
        correlation_id: 'c',
        retryable: false,
      }),
    );
    const events = createClient({ baseUrl: url, sleep: noPause }).events('t');
    await expect(events.next()).rejects.toMatchObject({ name: 'Fault', kind: 'terminal', code: 'task_not_found' });
    expect(requests).toHaveLength(1);
  });

  it('is given up after the time without contact', async () => {
    let now = 0;
    const { url } = await serve((_request, response) =>
      response.writeHead(200, head).write(sseOf(1, started(1)), () => response.destroy()),
    );
    const client = createClient({ baseUrl: url, sleep: noPause });
    const events = client.events('t', { now: () => now, reconnectForMs: 1_000 });
    expect((await events.next()).value?.position).toBe('p0-1');
    await server!.close();
    server = undefined;
    now = 2_000;
    await expect(events.next()).rejects.toMatchObject({ name: 'Fault', kind: 'retryable', code: 'server_unreachable' });
  });

  it('ends at once when its signal aborts', async () => {
    const { url } = await serve((_request, response) => response.writeHead(200, head).write(sseOf(1, started(1))));
    const stop = new AbortController();
    const events = createClient({ baseUrl: url }).events('t', { signal: stop.signal });
    await events.next();
    const waiting = events.next();
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  it('waits until the view has caught up with the last event', async () => {
    let looks = 0;
    const { url } = await serve((request, response) => {
      if (request.url?.endsWith('/events')) response.writeHead(200, head).end(sseOf(1, completed));
      else
        answerJson(response, 200, {
          task_id: 't',
          state: ++looks < 3 ? 'validating' : 'completed',
          status: looks < 3 ? 'running' : 'completed',
        } as Partial<TaskView>);
    });
    const view = await createClient({ baseUrl: url, sleep: noPause }).wait('t');
    expect(view.state).toBe('completed');
    expect(looks).toBe(3);
  });
});

describe('following a project', () => {
  it('misses nothing when the connection is cut before the first event', async () => {
    let connections = 0;
    const { url, requests } = await serve((_request, response) => {
      connections++;
      response.writeHead(200, { ...head, date: 'Sat, 21 Nov 2026 10:00:05 GMT' });
      if (connections === 1) response.write(': hello\n\n', () => response.destroy());
      else
        response.write(
          sseOf(1, { ...started(1), time: '2026-11-21T10:00:04.999Z' }) + sseOf(2, { ...started(2), time: '2026-11-21T10:00:07.000Z' }),
        );
    });
    const events = createClient({ baseUrl: url, sleep: noPause }).projectEvents('p', { from: 'now' });
    expect((await events.next()).value?.position).toBe('p0-2');
    await events.return(undefined);
    expect(requests.map((request) => request.url)).toEqual([
      '/api/v1/projects/p/events?from=now',
      '/api/v1/projects/p/events?from=beginning',
    ]);
  });
});

describe('calls', () => {
  it('give the problem of the server as a Fault with one line per pointer', async () => {
    const problem = {
      type: '/problems/validation-failed',
      title: 'Validation failed',
      status: 422,
      detail: '/priority: is not one of the levels',
      correlation_id: 'c',
      retryable: false,
      errors: [{ pointer: '/priority', detail: 'is not one of the levels' }],
    };
    const { url } = await serve((_request, response) => answerJson(response, 422, problem));
    const error = await createClient({ baseUrl: url })
      .submit({ description: 'x' })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ kind: 'terminal', code: 'validation_failed', cause: problem });
    expect((error as Error).message).toBe('Validation failed: /priority: is not one of the levels\n  /priority  is not one of the levels');
  });

  it('carry the time a busy server asks for', async () => {
    const { url } = await serve((_request, response) =>
      answerJson(
        response,
        429,
        { type: '/problems/too-many-open-tasks', title: 'Too many', status: 429, detail: 'd', correlation_id: 'c', retryable: true },
        { 'retry-after': '7' },
      ),
    );
    await expect(createClient({ baseUrl: url }).get('t')).rejects.toMatchObject({ kind: 'retryable', retryAfterMs: 7_000 });
  });

  it('say plainly when another program answers, or none', async () => {
    const { url } = await serve((_request, response) => response.writeHead(502).end('<html>bad\ngateway</html>'));
    await expect(createClient({ baseUrl: url }).get('t')).rejects.toThrow(/the server answered 502 Bad Gateway: <html>bad gateway<\/html>/);
    await server!.close();
    server = undefined;
    await expect(createClient({ baseUrl: url }).get('t')).rejects.toMatchObject({ code: 'server_unreachable' });
  });

  it('follow pages by the Link header', async () => {
    const { url, requests } = await serve((request, response) =>
      request.url?.includes('cursor=two')
        ? answerJson(response, 200, { tasks: [{ task_id: 'c' }], next_cursor: null })
        : answerJson(
            response,
            200,
            { tasks: [{ task_id: 'a' }, { task_id: 'b' }], next_cursor: 'two' },
            { link: '</api/v1/tasks?cursor=two>; rel="next"' },
          ),
    );
    const ids: string[] = [];
    for await (const task of createClient({ baseUrl: url }).listAll({ project_id: 'p', limit: 2 })) ids.push(task.task_id);
    expect(ids).toEqual(['a', 'b', 'c']);
    expect(requests[1]?.url).toContain('project_id=p');
  });

  it('send a batch as NDJSON and the key of a submission as a header', async () => {
    const { url, requests } = await serve((_request, response) =>
      answerJson(response, 200, { accepted: 1, refused: 0, results: [{ index: 0, status: 202 }] }),
    );
    const client = createClient({ baseUrl: url });
    expect(await client.submitBatch([{ description: 'a' }, { description: 'b' }])).toEqual([{ index: 0, status: 202 }]);
    expect(requests[0]).toMatchObject({ method: 'POST', url: '/api/v1/tasks:batch', body: '{"description":"a"}\n{"description":"b"}' });
  });

  it('check the bytes of an artifact against its digest', async () => {
    const { url } = await serve((_request, response) => response.end('hello'));
    const client = createClient({ baseUrl: url });
    const sha256 = createHash('sha256').update('hello').digest('hex');
    expect(Buffer.from(await client.artifactContent({ artifact_id: 'a', sha256 })).toString()).toBe('hello');
    await expect(client.artifactContent({ artifact_id: 'a', sha256: '0'.repeat(64) })).rejects.toMatchObject({ code: 'content_corrupt' });
  });
});
