// Servers behind the gateway that are away, silent, or being refilled: what is answered, and what goes on.
import { afterEach, describe, expect, test } from 'vitest';
import { VIEW } from '../processors/index.js';
import { creation, output, ready } from '../processors/testing/pipeline-world.js';
import { DLQ, LETTER, LIFECYCLE, type Problem, partitionOf, problemSchema } from '../schemas/index.js';
import type { Log, Outgoing } from '../streams/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import { createDeadLetters } from './dead-letters.js';
import { type Absence, openAwayLog, openAwayViews } from './testing/outages.js';
import { openWorld, recordsOf, until, type World, type WorldOptions } from './testing/world.js';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

const open = async (options: WorldOptions = {}) => {
  const log = openAwayLog();
  const views = openAwayViews();
  const world = await openWorld({ log: log.wrap, views: views.wrap, ...options });
  worlds.push(world);
  return { world, log, views };
};

/** The answer is 503 problem+json that says when to come back. */
const away = async (response: Response, code?: string): Promise<Problem> => {
  const body = problemSchema.parse(await response.json());
  expect([response.status, response.headers.get('content-type')], body.detail).toEqual([503, 'application/problem+json']);
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(body.retryable).toBe(true);
  if (code !== undefined) expect(body.type).toBe(`/problems/${code}`);
  return body;
};

/** Views that have everything. */
const settled = (world: World, project = 'p') =>
  until(async () => {
    const partition = partitionOf(project, world.log.partitions(LIFECYCLE));
    const { end } = await world.log.range(LIFECYCLE, partition);
    return (await world.views.checkpoint(VIEW, partition)) >= end ? true : undefined;
  });

const requestsFor = (task: string): readonly (readonly [name: string, path: string, body?: unknown])[] => [
  ['submit', '/api/v1/tasks', { description: 'x', project_id: 'p' }],
  ['submit with a key', '/api/v1/tasks', { description: 'x', project_id: 'p' }],
  ['batch', '/api/v1/tasks:batch', [{ description: 'x', project_id: 'p' }, { description: 'y' }]],
  ['task', `/api/v1/tasks/${task}`],
  ['tasks', '/api/v1/tasks'],
  ['cancel', `/api/v1/tasks/${task}/cancel`, {}],
  ['task events', `/api/v1/tasks/${task}/events`],
  ['task text', `/api/v1/tasks/${task}/stream`],
  ['project events', '/api/v1/projects/p/events'],
  ['project', '/api/v1/projects/p/status'],
  ['artifact', '/api/v1/artifacts/unknown'],
  ['dead letters', '/api/v1/dlq'],
  ['dead letter', '/api/v1/dlq/unknown'],
  ['quotas', '/api/v1/quotas'],
  ['quota', '/api/v1/quotas/user/ada'],
];
const ask = (world: World, [name, path, body]: readonly [string, string, unknown?]): Promise<Response> =>
  body === undefined
    ? Promise.resolve(world.app.request(path))
    : world.post(path, body, name === 'submit with a key' ? { 'idempotency-key': 'k' } : {});

describe('a log that is away', () => {
  test.each<Absence>(['refusing', 'silent'])('%s: every endpoint that needs it answers 503, and works when it is back', async (how) => {
    const { world, log } = await open({ gateway: { answerMs: 60, cancelWaitMs: 5 } });
    const task = await world.submit({ description: 'x', project_id: 'p' });
    log.away(how);
    for (const request of requestsFor(task)) {
      const response = await ask(world, request);
      await away(response, how === 'refusing' ? 'log-unavailable' : 'unavailable').catch((error: unknown) => {
        throw new Error(`${request[0]}: ${String(error)}`);
      });
    }
    expect((await world.app.request('/health/live')).status).toBe(200);
    log.back();
    for (const request of requestsFor(task)) {
      const response = await ask(world, request);
      expect([request[0], response.status < 500]).toEqual([request[0], true]);
      await response.body?.cancel();
    }
  });

  test('a batch of many items is given up at the first, not at each', async () => {
    const { world, log } = await open({ gateway: { answerMs: 60 } });
    log.away('silent');
    const items = Array.from({ length: 600 }, (_, i) => ({ description: `t${i}`, project_id: 'p' }));
    const began = performance.now();
    await away(await world.post('/api/v1/tasks:batch', items), 'unavailable');
    expect(performance.now() - began).toBeLessThan(60 * 10);
  });

  test('a stream that is open when it goes away, or while it is away, goes on when it is back', async () => {
    const { world, log } = await open({ gateway: { streams: { heartbeatMs: 20 } } });
    const task = await world.submit({ description: 'x', project_id: 'p' });
    const { response, next, close } = await eventsOf(world, `/api/v1/tasks/${task}/events`);
    expect(response.status).toBe(200);
    expect(await next()).toContain('dats.task.created');
    log.away();
    const waiting = next();
    const failing = { attempt: 0, error: { code: 'x', message: 'x', retryable: false } };
    await world.say({ task_id: task, project_id: 'p' }, 'dats.task.failed', failing);
    log.back();
    expect(await waiting).toContain('dats.task.failed');
    await close();
  });

  test('a follower whose reader begins while it is away gets everything afterwards', async () => {
    const { world, log } = await open();
    const task = await world.submit({ description: 'x', project_id: 'p' });
    await settled(world);
    let asked = 0;
    const range = world.deps.log.range;
    // Away right after the request was admitted: the next question, by the tail, fails.
    Object.assign(world.deps.log, {
      range: (...args: Parameters<typeof range>) => {
        asked++;
        if (asked === 3) log.away();
        return range(...args);
      },
    });
    const { next, close } = await eventsOf(world, `/api/v1/tasks/${task}/events`);
    const first = next();
    await until(() => (asked >= 5 ? true : undefined));
    log.back();
    expect(await first).toContain('dats.task.created');
    await close();
  });
});

/** Opens a stream in process; `next` waits for the next chunk that is an event. */
const eventsOf = async (world: World, path: string) => {
  const response = await world.app.request(path);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const next = async (): Promise<string> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return '(ended)';
      if (value.includes('event: ')) return value;
    }
  };
  return { response, next, close: () => reader.cancel() };
};

describe('views that are away', () => {
  test('submissions and streams go on; what needs a state is 503', async () => {
    const { world, views } = await open();
    const task = await world.submit({ description: 'x', project_id: 'p' });
    views.away();
    const accepted = await world.post('/api/v1/tasks', { description: 'while they are away', project_id: 'new' });
    expect([accepted.status, ((await accepted.json()) as { position: unknown }).position]).toEqual([202, null]);
    const batch = await world.post('/api/v1/tasks:batch', [{ description: 'a' }, { description: 'b', project_id: 'p' }]);
    expect(await batch.json()).toMatchObject({ accepted: 2, refused: 0 });
    const stream = await eventsOf(world, '/api/v1/projects/p/events?from=beginning');
    expect(await stream.next()).toContain('dats.task.created');
    await stream.close();
    for (const path of [`/api/v1/tasks/${task}`, '/api/v1/tasks', '/api/v1/projects/p/status', '/api/v1/artifacts/x'])
      await away(await world.app.request(path), 'views-unavailable');
    await away(await world.post('/api/v1/tasks', { description: 'x', project_id: 'p', depends_on: [task] }), 'views-unavailable');
    views.back();
    expect(await world.task(task)).toMatchObject({ task_id: task });
  });

  test('a keyed submission that this process does not remember has to wait, one that it remembers does not', async () => {
    const { world, views } = await open();
    const send = (key: string) => world.post('/api/v1/tasks', { description: 'x', project_id: 'p' }, { 'idempotency-key': key });
    expect((await send('known')).status).toBe(202);
    views.away();
    expect((await send('known')).headers.get('idempotent-replayed')).toBe('true');
    await away(await send('unknown'), 'views-unavailable');
    views.back();
    expect((await send('unknown')).headers.get('idempotent-replayed')).toBeNull();
    expect(await world.events('p')).toHaveLength(2);
  });

  test('the limit on open tasks counts on from what was known last', async () => {
    const { world, views } = await open({
      config: { version: 1, gateway: { max_open_tasks_per_project: 2 }, models: [] },
    });
    await world.submit({ description: 'x', project_id: 'p' });
    await settled(world);
    views.away();
    await world.submit({ description: 'x', project_id: 'p' });
    expect((await world.post('/api/v1/tasks', { description: 'x', project_id: 'p' })).status).toBe(429);
  });
});

describe('views that are being rebuilt', () => {
  const far = async (records: number) => {
    const opened = await open({ gateway: { reads: { tailRecords: 50, nearMs: 20, catchUpMs: 20 } } });
    const { world } = opened;
    const old = await world.submit({ description: 'old', project_id: 'p' });
    const filler: Outgoing = { topic: LIFECYCLE, key: 'p', headers: { type: 'dats.test.filler', subject: 'other' }, value: '{}' };
    await world.log.append(Array.from({ length: records }, () => filler));
    await settled(world);
    opened.views.empty();
    return { ...opened, old };
  };

  test('a task that is too far back is never said not to exist', async () => {
    const { world, views, old } = await far(60);
    const body = await away(await world.app.request(`/api/v1/tasks/${old}`), 'views-behind');
    expect(body.detail).toContain('61 records behind');
    await away(await world.app.request('/api/v1/tasks/nobody'), 'views-behind');
    await away(await world.post(`/api/v1/tasks/${old}/cancel`, {}), 'views-behind');
    await away(await world.app.request('/api/v1/artifacts/unknown'), 'views-behind');
    await away(await world.app.request('/api/v1/projects/p/status'), 'views-behind');
    await away(await world.post('/api/v1/tasks', { description: 'x', project_id: 'p' }, { 'idempotency-key': 'k' }), 'views-behind');
    views.back();
    expect((await world.task(old)).state).toBe('pending');
    expect((await world.app.request('/api/v1/tasks/nobody')).status).toBe(404);
  });

  test('what is near enough is read from the log, and what is new is found all the same', async () => {
    const near = await far(40);
    expect((await near.world.task(near.old)).title).toBe('old');
    expect((await near.world.app.request('/api/v1/tasks/nobody')).status).toBe(404);
    const { world } = await far(60);
    const fresh = await world.submit({ description: 'fresh', project_id: 'p' });
    expect((await world.task(fresh)).title).toBe('fresh');
  });

  test('lists say how far behind they are, and nothing when they are not', async () => {
    const { world, views } = await far(60);
    const behind = await world.app.request('/api/v1/tasks?project_id=p');
    expect([behind.status, behind.headers.get('dats-views-behind')]).toEqual([200, '61']);
    views.back();
    expect((await world.app.request('/api/v1/tasks?project_id=p')).headers.get('dats-views-behind')).toBeNull();
  });

  test('a task shows what its subtasks made as ever', async () => {
    const { world, views } = await open();
    const project_id = 'p';
    const parent = await world.submit({ description: 'two files', project_id });
    const children = ['left', 'right'];
    const { say } = world;
    await say({ task_id: parent, project_id }, 'dats.task.decomposed', {
      planner: { name: 'test', version: '1' },
      children: children.map((task_id) => ({ task_id, title: task_id, description: creation(task_id).description, depends_on: [] })),
    });
    for (const task_id of children) {
      const task = { task_id, project_id };
      await say(task, 'dats.task.created', { ...creation(task_id), parent_id: parent });
      await say(task, 'dats.task.ready', ready(task_id));
      await say(task, 'dats.task.output.created', output({ task_id, attempt: 1 }));
      await say(task, 'dats.task.completed', { attempt: 1, provenance_id: 'v', execution_time_ms: 5 });
    }
    await say({ task_id: parent, project_id }, 'dats.task.completed', { attempt: 0, provenance_id: 'v', execution_time_ms: 5 });
    const shown = await world.task(parent);
    expect(shown.artifacts).toHaveLength(2);
    views.empty();
    expect(await world.task(parent)).toEqual(shown);
  });

  test('a store that is emptied between two questions is not believed', async () => {
    const { world, views } = await open();
    const task = await world.submit({ description: 'x', project_id: 'p' });
    await settled(world);
    const checkpoint = world.deps.views.checkpoint.bind(world.deps.views);
    Object.assign(world.deps.views, {
      checkpoint: async (...args: Parameters<typeof checkpoint>) => {
        const stood = await checkpoint(...args);
        views.empty();
        return stood;
      },
    });
    Object.assign(world.deps.views, { get: async () => undefined });
    await away(await world.app.request(`/api/v1/tasks/${task}`), 'views-behind');
  });
});

describe('a log that answers where it ends, but not what stands there', () => {
  /** Reads of it give one record and then nothing. */
  const halting = (log: Log): Log => ({
    ...log,
    partitions: (topic) => log.partitions(topic),
    append: (records) => log.append(records),
    get: (position) => log.get(position),
    range: (topic, partition) => log.range(topic, partition),
    async *read(from, signal, options) {
      for await (const batch of log.read(from, signal, { ...options, maxBatch: 1 })) {
        yield batch;
        if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        return;
      }
    },
  });

  test('is not taken for one that has nothing: a read is given up after its time', async () => {
    const { world, views } = await open({ log: halting, gateway: { reads: { foldMs: 10, nearMs: 1 } } });
    await world.submit({ description: 'x', project_id: 'p' });
    const task = await world.submit({ description: 'y', project_id: 'p' });
    await settled(world);
    views.empty();
    const body = await away(await world.app.request(`/api/v1/tasks/${task}`), 'log-unavailable');
    expect(body.detail).toContain('longer than 10 ms');
  });

  test('dead letters: what was read before the time was over is kept, and the next look goes on from there', async () => {
    const log = openMemoryLog({ partitions: 1 });
    const letter = (id: string): Outgoing => ({ topic: DLQ, key: 'p', headers: { [LETTER.id]: id, type: 't' }, value: '{}' });
    await log.append(['a', 'b', 'c'].map(letter));
    const letters = createDeadLetters(halting(log), () => 0, 10);
    const look = async () => (await letters.list({}, { limit: 10 })).letters.map(({ id }) => id);
    await expect(look()).rejects.toMatchObject({ kind: 'retryable', code: 'log_unavailable' });
    await expect(look()).rejects.toMatchObject({ code: 'log_unavailable' });
    await expect(look()).rejects.toMatchObject({ code: 'log_unavailable' });
    expect(await look()).toEqual(['c', 'b', 'a']);
    await log.close();
  });
});

describe('what a read asks of the log', () => {
  test('each partition once, and only that of the project where it is known', async () => {
    const { world, log } = await open();
    const tasks: string[] = [];
    for (let i = 0; i < 5; i++) tasks.push(await world.submit({ description: `t${i}`, project_id: 'p' }));
    await settled(world);
    const asked = async (request: () => Promise<unknown> | unknown): Promise<string[]> => {
      log.ranges.length = 0;
      await request();
      return [...log.ranges].sort();
    };
    const all = Array.from({ length: world.log.partitions(LIFECYCLE) }, (_, partition) => `${LIFECYCLE}/${partition}`);
    const own = [`${LIFECYCLE}/${partitionOf('p', all.length)}`];
    expect(await asked(() => world.app.request('/api/v1/tasks/nobody'))).toEqual(all);
    expect(await asked(() => world.app.request(`/api/v1/tasks/${tasks[0]}`))).toEqual(own);
    expect(await asked(() => world.app.request('/api/v1/tasks'))).toEqual(all);
    expect(await asked(() => world.app.request('/api/v1/tasks?project_id=p'))).toEqual(own);
    expect(await asked(() => world.submit({ description: 'x', project_id: 'p', depends_on: tasks }))).toEqual(own);
    expect(await asked(() => world.submit({ description: 'x', project_id: 'p' }))).toEqual([]);
    const items = tasks.map((task) => ({ description: 'x', project_id: 'p', depends_on: [task] }));
    expect(await asked(() => world.post('/api/v1/tasks:batch', items))).toEqual(own);
    expect((await recordsOf(world.log, LIFECYCLE, partitionOf('p', all.length))).length).toBeGreaterThan(10);
  });
});
