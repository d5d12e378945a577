import { afterEach, expect, it } from 'vitest';
import { createApp } from './app.js';
import { openWorld, type World } from './testing/world.js';

let world: World;
afterEach(() => world.close());

it('/metrics is what the process says, with its content type, and is in the OpenAPI document', async () => {
  world = await openWorld();
  const response = await world.app.request('/metrics');
  const said = await world.deps.metrics();
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, said.contentType, said.body]);
  expect(world.app.openapi().paths['/metrics']?.['get']?.operationId).toBe('getMetrics');
});

it('metrics that are never told are a problem, not a request that hangs', async () => {
  world = await openWorld();
  const app = createApp({ ...world.deps, metrics: () => new Promise(() => undefined) }, { answerMs: 20 });
  expect((await app.request('/metrics')).status).toBe(503);
  app.close();
});

it('tells how long each request took, by the pattern of its route and the status of its answer', async () => {
  world = await openWorld();
  const told: string[] = [];
  const app = createApp({
    ...world.deps,
    requests: (method, route) => (status, ms) => {
      expect(ms).toBeGreaterThanOrEqual(0);
      told.push(`${method} ${route} ${status}`);
    },
  });
  await app.request('/health/live');
  await app.request('/api/v1/tasks/no-such-task');
  await app.request('/api/v1/tasks', { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } });
  expect(told).toEqual(['GET /health/live 200', 'GET /api/v1/tasks/{task_id} 404', 'POST /api/v1/tasks 400']);
  app.close();
});
