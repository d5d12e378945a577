import { afterEach, expect, it } from 'vitest';
import type { ServedGateway } from '../../gateway/index.js';
import { serveMetrics } from './listen.js';

const TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const open: ServedGateway[] = [];
const serve = async (port = 0): Promise<string> => {
  const server = await serveMetrics(async () => ({ contentType: TYPE, body: '# nothing\n' }), { host: '127.0.0.1', port });
  open.push(server);
  return server.url;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

it('answers /metrics with the type of the format, and nothing else', async () => {
  const url = await serve();
  const metrics = await fetch(`${url}/metrics`);
  expect([metrics.status, metrics.headers.get('content-type'), await metrics.text()]).toEqual([200, TYPE, '# nothing\n']);
  expect((await fetch(`${url}/api/v1/tasks`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
});

it('says where the port is set that it cannot have', async () => {
  const url = await serve();
  await expect(serve(Number(new URL(url).port))).rejects.toMatchObject({
    code: 'port_taken',
    message: expect.stringContaining('telemetry.metrics_port'),
  });
});
