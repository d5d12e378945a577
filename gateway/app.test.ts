import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acceptedSchema, type Problem, problemSchema, taskViewSchema } from '../schemas/index.js';
import { openWorld, until, type World } from './testing/world.js';

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

const problem = async (response: Response): Promise<Problem> => {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = problemSchema.parse(await response.json());
  expect(body.status).toBe(response.status);
  expect(response.headers.get('x-correlation-id')).toBe(body.correlation_id);
  expect((await world.app.request(body.type)).status).toBe(200);
  return body;
};
const pointers = (body: Problem) => (body.errors ?? []).map((error) => error.pointer);

describe('submitting', () => {
  test('an accepted task is in the log, and the next read sees it', async () => {
    const response = await world.post(
      '/api/v1/tasks',
      { description: 'Say hello', project_id: 'p1', submitted_by: 'alice' },
      { 'x-correlation-id': 'req-1' },
    );
    expect(response.status).toBe(202);
    const accepted = acceptedSchema.parse(await response.json());
    expect(response.headers.get('location')).toBe(`/api/v1/tasks/${accepted.task_id}`);
    expect(response.headers.get('x-correlation-id')).toBe('req-1');
    const view = taskViewSchema.parse(await world.task(accepted.task_id));
    expect(view).toMatchObject({
      state: 'pending',
      title: 'Say hello',
      submitted_by: 'alice',
      correlation_id: 'req-1',
      created_at: accepted.created_at,
    });
    const [event] = await world.events('p1');
    expect(event).toMatchObject({
      type: 'dats.task.created',
      source: '/gateway',
      actor: 'alice',
      correlationid: 'req-1',
      configversion: 'c0ffee',
      subject: accepted.task_id,
    });
  });

  test('a large description travels as a claim check and reads back the same', async () => {
    const description = 'x'.repeat(100_000);
    await world.submit({ description });
    const [event] = await world.events();
    expect(event).toMatchObject({ data: { description: { bytes: 100_000, dataref: expect.stringMatching(/^sha256:/) } } });
  });

  test("a caller's trace is joined, and a bad one is replaced", async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await world.post('/api/v1/tasks', { description: 'a' }, { traceparent });
    await world.post('/api/v1/tasks', { description: 'b' }, { traceparent: 'garbage', 'x-correlation-id': 'has blanks and \u00e9' });
    const [first, second] = await world.events();
    expect(first?.traceparent).toBe(traceparent);
    expect(second?.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(second?.correlationid).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    ['a path out of the folder', { files: [{ path: '../../etc/passwd', content: 'x' }] }, '/files/0/path'],
    ['an absolute path', { files: [{ path: '/etc/passwd', content: 'x' }] }, '/files/0/path'],
    [
      'the same path twice',
      {
        files: [
          { path: 'a', content: 'x' },
          { path: 'a', content: 'y' },
        ],
      },
      '/files/1/path',
    ],
    [
      'a file that is a folder as well',
      {
        files: [
          { path: 'a', content: 'x' },
          { path: 'a/b', content: 'y' },
        ],
      },
      '/files/1/path',
    ],
    ['an unknown field', { colour: 'red' }, '/colour'],
    ['an unknown option', { options: { speed: 3 } }, '/options/speed'],
    ['a wrong type', { priority: 7 }, '/priority'],
    ['an unknown test language', { tests: { language: 'cobol', code: 'x' } }, '/tests/language'],
    ['an unknown dependency', { depends_on: ['nobody'] }, '/depends_on/0'],
    ['an unknown input', { inputs: ['nothing'] }, '/inputs/0'],
    ['an unknown model', { options: { model: 'gpt-99' } }, '/options/model'],
    ['a deadline in the past', { options: { deadline: '2001-01-01T00:00:00Z' } }, '/options/deadline'],
    ['half a surrogate pair', { project_id: 'p', submitted_by: '\ud800' }, '/submitted_by'],
  ])('%s is refused, with a pointer to it', async (_name, extra, pointer) => {
    const response = await world.post('/api/v1/tasks', { description: 'x', ...extra });
    expect(response.status).toBe(422);
    expect(pointers(await problem(response))).toContain(pointer);
    expect(await world.events()).toEqual([]);
  });

  test('a description of 10 MB is refused with its limit and a way out', async () => {
    const response = await world.post('/api/v1/tasks', { description: 'x'.repeat(10 * 1024 * 1024) });
    expect(response.status).toBe(422);
    expect((await problem(response)).detail).toMatch(/1048576 bytes.*"files"/);
  });

  test('a body above the limit is refused without being read to its end', async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled++;
        controller.enqueue(new Uint8Array(1024 * 1024));
      },
    });
    const request = new Request('http://localhost/api/v1/tasks', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
      duplex: 'half',
    } as RequestInit);
    const response = await world.app.request(request);
    expect(response.status).toBe(413);
    expect((await problem(response)).detail).toContain('body_limit_bytes');
    expect(pulled).toBeLessThan(25);
    const told = await world.post('/api/v1/tasks', '{}', { 'content-length': String(1024 ** 3) });
    expect(told.status).toBe(413);
  });

  test.each([
    ['broken JSON', '{"description": ', 'application/json', 400, 'malformed-json'],
    ['no JSON type', '{"description":"x"}', 'text/plain', 415, 'unsupported-media-type'],
    ['lines of JSON where one is expected', '{"description":"x"}', 'application/x-ndjson', 415, 'unsupported-media-type'],
    ['a JSON document that is not an object', '[]', 'application/json', 422, 'validation-failed'],
  ])('%s is a problem of its own', async (_name, body, type, status, slug) => {
    const response = await world.post('/api/v1/tasks', body, { 'content-type': type });
    expect(response.status).toBe(status);
    expect((await problem(response)).type).toBe(`/problems/${slug}`);
  });

  test('bytes that are not UTF-8 are refused', async () => {
    const response = await world.app.request('/api/v1/tasks', {
      method: 'POST',
      body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
      headers: { 'content-type': 'application/json' },
    });
    expect((await problem(response)).detail).toContain('UTF-8');
  });

  test('dependencies and inputs must be of the same project', async () => {
    const other = await world.submit({ description: 'x', project_id: 'other' });
    expect((await world.post('/api/v1/tasks', { description: 'y', project_id: 'mine', depends_on: [other] })).status).toBe(422);
    const mine = await world.submit({ description: 'x', project_id: 'mine' });
    expect((await world.post('/api/v1/tasks', { description: 'y', project_id: 'mine', depends_on: [mine] })).status).toBe(202);
  });
});

describe('idempotency', () => {
  const body = { description: 'once', project_id: 'p', submitted_by: 'bob' };

  test('the same key and body give the same answer and one event, quoted or not', async () => {
    const first = await world.post('/api/v1/tasks', body, { 'idempotency-key': 'abc' });
    const second = await world.post('/api/v1/tasks', { priority: 'normal', ...body }, { 'idempotency-key': '"abc"' });
    expect([first.headers.get('idempotent-replayed'), second.headers.get('idempotent-replayed')]).toEqual([null, 'true']);
    expect(await second.json()).toEqual(await first.json());
    expect(second.status).toBe(202);
    expect(await world.events('p')).toHaveLength(1);
  });

  test('racing requests with one key make one event', async () => {
    const responses = await Promise.all(Array.from({ length: 20 }, () => world.post('/api/v1/tasks', body, { 'idempotency-key': 'race' })));
    const ids = new Set(await Promise.all(responses.map(async (response) => ((await response.json()) as { task_id: string }).task_id)));
    expect(ids.size).toBe(1);
    expect(await world.events('p')).toHaveLength(1);
  });

  test('the same key with another body is refused', async () => {
    await world.post('/api/v1/tasks', body, { 'idempotency-key': 'abc' });
    const response = await world.post('/api/v1/tasks', { ...body, description: 'twice' }, { 'idempotency-key': 'abc' });
    expect(response.status).toBe(422);
    expect((await problem(response)).type).toBe('/problems/idempotency-key-reused');
  });

  test('another process knows the key from the log', async () => {
    const full = { ...body, files: [{ path: 'a.py', content: 'x' }], tests: { language: 'python', code: 'assert True' } };
    const first = await world.post('/api/v1/tasks', full, { 'idempotency-key': 'abc' });
    const { createApp } = await import('./app.js');
    const other = createApp(world.deps);
    const send = (sent: unknown) =>
      other.request('/api/v1/tasks', {
        method: 'POST',
        body: JSON.stringify(sent),
        headers: { 'content-type': 'application/json', 'idempotency-key': 'abc' },
      });
    const again = await send(full);
    const { task_id, created_at } = (await first.json()) as { task_id: string; created_at: string };
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await again.json()).toMatchObject({ task_id, created_at, status: 'pending' });
    expect((await send({ ...full, description: 'other' })).status).toBe(422);
    expect(await world.events('p')).toHaveLength(1);
  });

  test('other submitters and projects have keys of their own', async () => {
    for (const who of ['bob', 'carol']) await world.post('/api/v1/tasks', { ...body, submitted_by: who }, { 'idempotency-key': 'k' });
    await world.post('/api/v1/tasks', { ...body, project_id: 'q' }, { 'idempotency-key': 'k' });
    expect([await world.events('p'), await world.events('q')].map((events) => events.length)).toEqual([2, 1]);
  });

  test.each(['', '""', 'x'.repeat(256), '"unfinished', 'é'])('the key %j is refused', async (key) => {
    const response = await world.post('/api/v1/tasks', body, { 'idempotency-key': key });
    expect(response.status).toBe(400);
    await problem(response);
  });
});

describe('overload and failure', () => {
  test('a project with too many open tasks is answered 429 with Retry-After', async () => {
    const small = await openWorld({ config: { version: 1, gateway: { max_open_tasks_per_project: 3 } } });
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push((await small.post('/api/v1/tasks', { description: 'x' })).status);
    const last = await small.post('/api/v1/tasks', { description: 'x' });
    expect(statuses).toEqual([202, 202, 202, 429, 429]);
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await small.post('/api/v1/tasks', { description: 'x', project_id: 'other' })).status).toBe(202);
    await small.close();
  });

  test('a full disk is answered 507 with Retry-After, and nothing is taken', async () => {
    const { Fault } = await import('../schemas/index.js');
    const full = await openWorld({
      log: (log) =>
        new Proxy(log, {
          get: (target, name) =>
            name === 'append'
              ? async () => Promise.reject(new Fault('retryable', 'disk_full', 'no room'))
              : Reflect.get(target, name).bind(target),
        }),
    });
    const response = await full.post('/api/v1/tasks', { description: 'x' });
    expect(response.status).toBe(507);
    expect(response.headers.get('retry-after')).toBe('30');
    expect((await response.json()) as Problem).toMatchObject({ type: '/problems/disk-full', retryable: true });
    expect(await full.events()).toEqual([]);
    const { tasks } = (await (await full.app.request('/api/v1/tasks')).json()) as { tasks: unknown[] };
    expect(tasks).toEqual([]);
    await full.close();
  });

  test('an error nobody classified is a 500 that says nothing about its cause', async () => {
    const broken = await openWorld({ agents: { analyze: () => Promise.reject(new Error('secret')) } });
    const response = await broken.post('/api/v1/analyze', { description: 'x' });
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
    await broken.close();
  });
});

describe('reading', () => {
  test('pages go from the newest to the oldest, each task once', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.push(await world.submit({ description: `t${i}`, project_id: 'p' }));
    await world.submit({ description: 'x', project_id: 'other' });
    const seen: string[] = [];
    let target: string | undefined = '/api/v1/tasks?project_id=p&limit=3';
    while (target !== undefined) {
      const response: Response = await world.app.request(target);
      const body = (await response.json()) as { tasks: { task_id: string }[]; next_cursor: string | null };
      seen.push(...body.tasks.map((task) => task.task_id));
      target = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
      expect(target === undefined).toBe(body.next_cursor === null);
    }
    expect([...seen].sort()).toEqual([...ids].sort());
  });

  test('filters and offset', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push(await world.submit({ description: `t${i}`, project_id: 'p' }));
    await world.say({ task_id: ids[0]!, project_id: 'p' }, 'dats.task.failed', {
      attempt: 0,
      error: { code: 'x', message: 'x', retryable: false },
    });
    const list = async (query: string) =>
      ((await (await world.app.request(`/api/v1/tasks?${query}`)).json()) as { tasks: { task_id: string }[] }).tasks.map(
        (task) => task.task_id,
      );
    expect(await list('status=failed')).toEqual([ids[0]]);
    expect(await list('project_id=p&state=pending')).toHaveLength(3);
    expect(await list('project_id=p&offset=3')).toHaveLength(1);
    expect(await list('project_id=q')).toEqual([]);
    expect(await list(`since=${encodeURIComponent('2100-01-01T00:00:00Z')}`)).toEqual([]);
    expect(await list(`since=${encodeURIComponent('2000-01-01T00:00:00+02:00')}`)).toHaveLength(4);
  });

  test.each(['?limit=0', '?limit=x', '?cursor=%00', '?cursor=e30', '?status=odd', '?colour=red', '?since=yesterday'])(
    '%s is refused',
    async (query) => {
      const response = await world.app.request(`/api/v1/tasks${query}`);
      expect(response.status).toBe(400);
      await problem(response);
    },
  );

  test('the status of a project', async () => {
    expect((await world.app.request('/api/v1/projects/p/status')).status).toBe(404);
    const id = await world.submit({ description: 'x', project_id: 'p' });
    const status = await until(async () => {
      const response = await world.app.request('/api/v1/projects/p/status');
      return response.status === 200 ? ((await response.json()) as Record<string, unknown>) : undefined;
    });
    expect(status).toMatchObject({
      project_id: 'p',
      total: 1,
      counts: { pending: 1 },
      max_running: 10,
      home: 'local',
      oldest_open: (await world.task(id)).created_at,
    });
  });

  test('unknown ids, addresses and methods', async () => {
    expect((await problem(await world.app.request('/api/v1/tasks/none'))).type).toBe('/problems/task-not-found');
    expect((await problem(await world.app.request('/nowhere'))).type).toBe('/problems/not-found');
    const wrong = await world.app.request('/api/v1/tasks/x/cancel', { method: 'PUT' });
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
    await problem(wrong);
    const both = await world.app.request('/api/v1/tasks', { method: 'DELETE' });
    expect(both.headers.get('allow')).toBe('POST, GET, HEAD');
  });
});

describe('health', () => {
  test('ready says which required dependency is down', async () => {
    expect((await world.app.request('/health/ready')).status).toBe(200);
    world.health.push({ name: 'models', ok: false, required: false, detail: 'none answers' });
    expect((await world.app.request('/health/ready')).status).toBe(200);
    expect(await (await world.app.request('/health')).json()).toMatchObject({ status: 'degraded' });
    world.health[0] = { name: 'log', ok: false, required: true, detail: 'no room' };
    const response = await world.app.request('/health/ready');
    expect(response.status).toBe(503);
    expect(await problem(response)).toMatchObject({ errors: [{ pointer: '/log', detail: 'no room' }], retryable: true });
    expect((await world.app.request('/health/live')).status).toBe(200);
  });
});
