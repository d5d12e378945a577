// What a running node says of itself on the telemetry topic: how it is, and what its model calls cost.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DatsClient } from '../cli/client/index.js';
import { configurationOf, type RunningNode, startNode } from '../nodes/index.js';
import { type EventOf, TELEMETRY } from '../schemas/index.js';
import { eventOf } from '../streams/index.js';
import { eventually } from './support/eventually.js';

const LIMIT_MS = 15_000;
const SCRIPT = {
  version: 1,
  rules: [
    { match: { task: 'Takes long' }, answers: [{ text: 'late', latency_ms: 60_000 }] },
    { answers: [{ files: [{ path: 'a.py', language: 'python', content: 'a = 1' }], tokens: { input: 2_000_000, output: 500_000 } }] },
  ],
};

let dir: string;
let node: RunningNode;
let client: DatsClient;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-telemetry-'));
  writeFileSync(join(dir, 'script.json'), JSON.stringify(SCRIPT));
  const scripted = { runner: 'scripted', script: join(dir, 'script.json') } as const;
  const { config, version, baseDir } = configurationOf(
    {
      version: 1,
      node: { id: 'n1', data_dir: join(dir, 'data') },
      gateway: { port: 0 },
      log: { kind: 'memory' },
      analytics: { kind: 'none' },
      telemetry: { sample_s: 1 },
      prices: { version: '2026-11', models: [{ model: 'listed', input_per_mtok: 1, output_per_mtok: 4 }] },
      models: [
        { id: 'listed', ...scripted, tiers: ['small'] },
        { id: 'unlisted', ...scripted, tiers: ['medium'] },
      ],
    },
    dir,
  );
  node = await startNode({ config, configVersion: version, baseDir, env: {} });
  client = createClient({ baseUrl: node.url! });
});
afterAll(async () => {
  await node?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const telemetryOf = async <T extends 'dats.model.called' | 'dats.node.sampled'>(type: T): Promise<readonly EventOf<T>[]> => {
  const events: EventOf<T>[] = [];
  for (let partition = 0; partition < node.log.partitions(TELEMETRY); partition++) {
    const { first, end } = await node.log.range(TELEMETRY, partition);
    if (first === end) continue;
    for await (const batch of node.log.read({ topic: TELEMETRY, partition, offset: first }, new AbortController().signal, { until: end }))
      for (const record of batch) if (record.type === type) events.push(eventOf(record) as EventOf<T>);
  }
  return events;
};

describe('a running node', () => {
  it('says how it is when it has started, and then with the work that runs', async () => {
    const first = await eventually('the first sample', LIMIT_MS, async () => (await telemetryOf('dats.node.sampled'))[0]);
    expect(first.data).toMatchObject({ node: 'n1', worker: `n1:${process.pid}`, running_work: 0 });
    expect(first.data.roles).toContain('gateway, deciders, workers:');
    const { task_id } = await client.submit({ description: 'Takes long', project_id: 'p', options: { tier: 'small' } });
    const busy = await eventually('a sample with work', LIMIT_MS, async () =>
      (await telemetryOf('dats.node.sampled')).find(({ data }) => data.running_work === 1),
    );
    expect(busy.data.cpu_ratio).toBeGreaterThan(0);
    await client.cancel(task_id, { reason: 'seen' });
    await client.wait(task_id);
    await eventually(
      'a sample without work',
      LIMIT_MS,
      async () => (await telemetryOf('dats.node.sampled')).at(-1)!.data.running_work === 0,
    );
  });

  it('says what a call cost and by which prices, and nothing where no price is known', async () => {
    for (const tier of ['small', 'medium'] as const) {
      const { task_id } = await client.submit({ description: 'Write a.py', project_id: 'p', options: { tier, qa_profile: 'none' } });
      expect((await client.wait(task_id)).state).toBe('completed');
    }
    const calls = await telemetryOf('dats.model.called');
    const generated = calls.filter(({ data }) => data.purpose === 'generate' && data.outcome === 'ok');
    expect(generated.map(({ data, dataschema }) => [data.model, data.cost_usd, data.price_version, dataschema])).toEqual([
      ['listed', 4, '2026-11', 'urn:dats:model.called:3'],
      ['unlisted', undefined, undefined, 'urn:dats:model.called:3'],
    ]);
  });
});
