import { expect, it } from 'vitest';
import { Fault, serversSchema } from '../schemas/index.js';
import type { Log } from '../streams/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import { nodesOf } from './start-link.js';

const config = serversSchema.parse({
  version: 1,
  node: { id: 'core' },
  log: { kind: 'memory', partitions: 1 },
  models: [{ id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] }],
  nodes: [
    { id: 'core', url: 'http://core:8080' },
    { id: 'edge-1', token_env: 'TOKEN' },
  ],
});

it('a node starts while its log is away, and knows its store as soon as that is back', async () => {
  const inner = openMemoryLog({ partitions: 1 });
  let isAway = true;
  const log = new Proxy(inner, {
    get: (target, name) => {
      if (name === 'range' && isAway)
        return () => Promise.reject(new Fault('retryable', 'log_unavailable', 'no broker answers (injected)'));
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as Log;
  const ends: (() => Promise<unknown>)[] = [];
  const options = { config, env: { TOKEN: 'token' }, now: () => 0 } as unknown as Parameters<typeof nodesOf>[0];
  const settings = { current: () => ({ version: 'test' }) } as unknown as Parameters<typeof nodesOf>[2];
  const nodes = (await nodesOf(options, log, settings, (end) => ends.push(end)))!;
  expect(nodes.tokenOf('edge-1')).toBe('token');
  await expect(nodes.store()).rejects.toMatchObject({ code: 'log_unavailable' });
  isAway = false;
  const store = await nodes.store();
  expect(store).toMatchObject({ epoch: 1 });
  expect(await nodes.store()).toEqual(store);
  for (const end of ends) await end();
  await inner.close();
});
