import { Writable } from 'node:stream';
import pino from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { Fault, problemSchema } from '../schemas/index.js';
import type { RateLimiter } from '../streams/index.js';
import { openMemoryRateLimiter } from '../streams/memory/index.js';
import type { OpenApi } from './openapi.js';
import { openWorld, type World, type WorldOptions } from './testing/world.js';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

/** A gateway with a limit, whose limiter has a clock of its own. */
const open = async (rate_limit: object, options: WorldOptions = {}) => {
  const clock = { ms: 0 };
  const limiter = openMemoryRateLimiter({ now: () => clock.ms });
  const world = await openWorld({ config: { version: 1, gateway: { rate_limit } }, limiter, ...options });
  worlds.push(world);
  const submit = (project_id = 'p', headers = {}) => world.post('/api/v1/tasks', { description: 'x', project_id }, headers);
  const batch = (...projects: readonly unknown[]) =>
    world.post(
      '/api/v1/tasks:batch',
      projects.map((project_id) => ({ description: 'x', project_id })),
    );
  return { world, clock, submit, batch };
};

describe('submissions', () => {
  test('above the limit are answered 429 with the seconds to wait, and nothing of them is kept; after that time they are taken', async () => {
    const { world, clock, submit } = await open({ per_minute: 4, burst: 2 });
    expect([(await submit()).status, (await submit()).status]).toEqual([202, 202]);
    const refused = await submit();
    const problem = problemSchema.parse(await refused.json());
    expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('content-type')]).toEqual([
      429,
      '15',
      'application/problem+json',
    ]);
    expect(problem).toMatchObject({ type: '/problems/rate-limited', retryable: true });
    expect(problem.detail).toContain('4 tasks a minute, 2 at once');
    expect((await world.app.request(problem.type)).status).toBe(200);
    expect(await world.events('p')).toHaveLength(2);
    clock.ms = 14_999;
    expect((await submit()).headers.get('retry-after')).toBe('1');
    clock.ms = 15_000;
    expect((await submit()).status).toBe(202);
  });

  test('of one project do not use up the allowance of another', async () => {
    const { submit } = await open({ per_minute: 1 });
    expect([(await submit('a')).status, (await submit('a')).status, (await submit('b')).status]).toEqual([202, 429, 202]);
  });

  test('are not limited unless that is asked for', async () => {
    const { submit } = await open({});
    const statuses = await Promise.all(Array.from({ length: 200 }, async () => (await submit()).status));
    expect(new Set(statuses)).toEqual(new Set([202]));
  });

  test('that are repeated under their key cost nothing, also where another process took them', async () => {
    const { world, submit } = await open({ per_minute: 2 });
    const key = { 'idempotency-key': 'k' };
    const first = await submit('p', key);
    for (let i = 0; i < 5; i++) expect((await submit('p', key)).headers.get('idempotent-replayed')).toBe('true');
    const other = await openOther(world);
    const replayed = await other.app.request('/api/v1/tasks', {
      method: 'POST',
      body: JSON.stringify({ description: 'x', project_id: 'p' }),
      headers: { 'content-type': 'application/json', ...key },
    });
    expect(replayed.headers.get('idempotent-replayed')).toBe('true');
    expect(((await replayed.json()) as { task_id: string }).task_id).toBe(((await first.json()) as { task_id: string }).task_id);
    other.app.close();
    expect([(await submit()).status, (await submit()).status]).toEqual([202, 429]);
  });

  test('that were refused under a key can be repeated under it', async () => {
    const { clock, submit } = await open({ per_minute: 1 });
    await submit();
    expect((await submit('p', { 'idempotency-key': 'k' })).status).toBe(429);
    clock.ms = 60_000;
    const taken = await submit('p', { 'idempotency-key': 'k' });
    expect([taken.status, taken.headers.get('idempotent-replayed')]).toEqual([202, null]);
  });
});

/** A second gateway over the same stores. */
const openOther = async (world: World) => {
  const { createApp } = await import('./app.js');
  return { app: createApp(world.deps) };
};

describe('a batch', () => {
  test('costs as many as it has tasks that fit', async () => {
    const { submit, batch } = await open({ per_minute: 5 });
    expect(await (await batch('p', 'p', 7, 'p')).json()).toMatchObject({ accepted: 3, refused: 1 });
    expect([(await submit()).status, (await submit()).status, (await submit()).status]).toEqual([202, 202, 429]);
  });

  test('that may not be submitted now is refused whole, with the time to wait', async () => {
    const { world, batch } = await open({ per_minute: 6, burst: 3 });
    expect((await batch('p', 'p')).status).toBe(200);
    const refused = await batch('p', 'p', 'p');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '20']);
    expect(await world.events('p')).toHaveLength(2);
  });

  test('that can never be submitted at once is a 422 that says the burst, and spends nothing', async () => {
    const { submit, batch } = await open({ per_minute: 60, burst: 2 });
    const refused = await batch('other', 'p', 'p', 'p');
    expect(refused.status).toBe(422);
    expect(((await refused.json()) as { detail: string }).detail).toContain('parts of at most 2');
    expect([(await submit()).status, (await submit()).status, (await submit('other')).status]).toEqual([202, 202, 202]);
  });

  test('of several projects is answered for each by itself', async () => {
    const { submit, batch } = await open({ per_minute: 2 });
    await submit('slow');
    const response = await batch('slow', 'quick', 'slow', 'quick');
    const { results } = (await response.json()) as { results: { status: number; problem?: { type: string } }[] };
    expect(results.map(({ status }) => status)).toEqual([429, 202, 429, 202]);
    expect(results[0]?.problem?.type).toBe('/problems/rate-limited');
    expect((await submit('slow')).status).toBe(202);
  });
});

test('a limiter that is away lets everything through, and that is told once an outage', async () => {
  const lines: { level: number; msg: string }[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      lines.push(JSON.parse(String(line)));
      done();
    },
  });
  const real = openMemoryRateLimiter({ now: () => 0 });
  let away = true;
  const limiter: RateLimiter = {
    take: async (...args) => {
      if (away) throw new Fault('retryable', 'limits_unavailable', 'the limiter does not answer (injected)');
      return real.take(...args);
    },
    close: () => real.close(),
  };
  const { submit } = await open({ per_minute: 1 }, { limiter, logger: pino({ level: 'info' }, sink) });
  const told = () => lines.filter(({ msg }) => msg.startsWith('rate limiter')).map(({ level }) => level);
  for (let i = 0; i < 3; i++) expect((await submit()).status).toBe(202);
  expect(told()).toEqual([pino.levels.values['warn']]);
  away = false;
  expect([(await submit()).status, (await submit()).status]).toEqual([202, 429]);
  expect(told()).toEqual([pino.levels.values['warn'], pino.levels.values['info']]);
  away = true;
  expect((await submit()).status).toBe(202);
  expect(told()).toHaveLength(3);
});

test('the document says it', async () => {
  const { world } = await open({});
  const document = (await (await world.app.request('/openapi.json')).json()) as OpenApi;
  for (const path of ['/api/v1/tasks', '/api/v1/tasks:batch']) {
    const limited = document.paths[path]?.['post']?.responses['429'];
    expect(Object.keys(limited?.headers ?? {})).toContain('Retry-After');
    expect(JSON.stringify(limited?.content)).toContain('/problems/rate-limited');
  }
});
