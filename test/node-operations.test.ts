// A core and an edge node in this process, linked over HTTP: settings that go there, and a node that is taken out of work and drained.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DatsClient } from '../cli/client/index.js';
import { configurationOf, type RunningNode, startNode } from '../nodes/index.js';
import { CONFIG, CONFIG_LOG_KEY, linkedFromOf, NODES, partitionOf, type Topic } from '../schemas/index.js';
import { eventually } from './support/eventually.js';

const LIMIT_MS = 15_000;
const SLOW_MS = 1_500;
const SCRIPT = {
  version: 1,
  rules: [
    {
      match: { task: 'Takes its time' },
      answers: [{ files: [{ path: 'late.md', language: 'markdown', content: 'late' }], latency_ms: SLOW_MS }],
    },
  ],
};
const env = { DATS_TOKEN_EDGE_1: 'a-token-of-edge-1' };

let dir: string;
let port: number;
const running = new Map<string, RunningNode>();
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as AddressInfo;
      server.close(() => resolve(free));
    });
  });
const start = async (id: string, folder = id): Promise<void> => {
  const { config, version, baseDir } = configurationOf(
    {
      version: 1,
      node: { id, data_dir: join(dir, folder) },
      gateway: { port: id === 'core' ? port : 0 },
      log: { partitions: 2 },
      analytics: { kind: 'none' },
      link: { retry_max_ms: 200, flush_ms: 10 },
      nodes: [
        { id: 'core', url: `http://127.0.0.1:${port}` },
        { id: 'edge-1', token_env: 'DATS_TOKEN_EDGE_1' },
      ],
      models: [{ id: 'recorded', runner: 'scripted', script: join(dir, 'script.json'), tiers: ['small', 'medium', 'large'] }],
    },
    dir,
  );
  running.set(id, await startNode({ config, configVersion: version, baseDir, env }));
};
const stop = async (id: string): Promise<void> => {
  await running.get(id)?.stop();
  running.delete(id);
};
const at = (id: string): DatsClient => createClient({ baseUrl: running.get(id)!.url! });
const edgeSeen = async (from = 'core') => (await at(from).nodes()).nodes.find(({ id }) => id === 'edge-1')!;
const connected = () => eventually('the edge node is connected', LIMIT_MS, async () => (await edgeSeen()).state === 'connected');
const versionAt = async (client: DatsClient): Promise<unknown> => (await client.setting('scheduling')).version;
const recordsOf = async (id: string, topic: Topic, key: string) => {
  const { log } = running.get(id)!;
  const partition = partitionOf(key, log.partitions(topic));
  const { end } = await log.range(topic, partition);
  const found = [];
  if (end > 0)
    for await (const batch of log.read({ topic, partition, offset: 0 }, new AbortController().signal, { until: end }))
      found.push(...batch.filter((record) => record.key === key));
  return found;
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-nodes-'));
  writeFileSync(join(dir, 'script.json'), JSON.stringify(SCRIPT));
  port = await freePort();
  await start('core');
  await start('edge-1');
  await connected();
}, 3 * LIMIT_MS);
afterAll(async () => {
  await stop('edge-1');
  await stop('core');
  rmSync(dir, { recursive: true, force: true });
}, LIMIT_MS);

describe('a setting', () => {
  const change = async (max: number): Promise<void> => {
    const { value, version } = await at('core').setting('scheduling');
    await at('core').setSetting('scheduling', { ...(value as object), max_running_per_project: max }, version, { by: 'ada' });
  };

  it('that was changed at the core holds at the edge node within a second, as the same version', async () => {
    await change(3);
    const began = performance.now();
    await eventually('the change is known at the edge node', LIMIT_MS, async () => (await versionAt(at('edge-1'))) === 1);
    expect(performance.now() - began).toBeLessThan(1_000);
    expect((await at('edge-1').setting('scheduling')).value).toMatchObject({ max_running_per_project: 3 });
    const [record] = await recordsOf('edge-1', CONFIG, CONFIG_LOG_KEY);
    expect(linkedFromOf(record!.headers)).toMatchObject({ node: 'core', epoch: 1 });
  });

  it('cannot be changed at the edge node, which says where', async () => {
    await expect(at('edge-1').setSetting('flags', { hedging: false }, 0)).rejects.toMatchObject({
      code: 'settings_at_core',
      message: expect.stringContaining(`settings are changed at the core (http://127.0.0.1:${port})`),
    });
  });

  it(
    'comes to a node that was away or was set up anew, with all before it, in the same versions',
    async () => {
      await stop('edge-1');
      await change(4);
      await start('edge-1');
      await eventually('what was changed meanwhile', LIMIT_MS, async () => (await versionAt(at('edge-1'))) === 2);
      await stop('edge-1');
      await start('edge-1', 'edge-1-anew');
      await eventually('all changes on the new disk', LIMIT_MS, async () => (await versionAt(at('edge-1'))) === 2);
      expect((await at('edge-1').settings()).changes).toBe(2);
      await change(5);
      await eventually('the next one', LIMIT_MS, async () => (await versionAt(at('edge-1'))) === 3);
      await connected();
    },
    4 * LIMIT_MS,
  );
});

describe('a node that is taken out of work at the core', () => {
  it(
    'refuses what it would decide, keeps what comes by the core waiting, also after a restart, and goes on when it is opened',
    async () => {
      await at('core').commandNode('edge-1', 'cordon', { by: 'ada', reason: 'a test' });
      await eventually('it is cordoned', LIMIT_MS, async () => (await edgeSeen('edge-1')).admission === 'cordoned');
      const task = { description: 'Write a poem', project_id: 'edge-1-docs', options: { qa_profile: 'none' as const } };
      await expect(at('edge-1').submit(task)).rejects.toMatchObject({ code: 'node_cordoned', kind: 'retryable', retryAfterMs: 30_000 });
      const { task_id } = await at('core').submit(task);
      await stop('edge-1');
      await start('edge-1', 'edge-1-anew');
      expect((await edgeSeen('edge-1')).admission).toBe('cordoned');
      await eventually('it waits there', LIMIT_MS, async () => (await at('edge-1').get(task_id)).state === 'queued');
      await at('core').commandNode('edge-1', 'uncordon');
      await eventually('it is done, and the core has it', LIMIT_MS, async () => (await at('core').get(task_id)).state === 'completed');
    },
    4 * LIMIT_MS,
  );

  it(
    'is drained when what runs has ended and the core has it, which the core learns at once',
    async () => {
      const task = { description: 'Takes its time', project_id: 'edge-1-docs', options: { qa_profile: 'none' as const } };
      const { task_id } = await at('edge-1').submit(task);
      await eventually('it runs', LIMIT_MS, async () => (await at('edge-1').get(task_id)).state === 'running');
      await at('core').commandNode('edge-1', 'drain');
      await eventually('it drains', LIMIT_MS, async () => (await edgeSeen()).admission === 'draining');
      expect((await at('edge-1').get(task_id)).state).toBe('running');
      await eventually('it is drained', LIMIT_MS, async () => (await edgeSeen()).admission === 'drained');
      expect((await at('core').get(task_id)).state).toBe('completed');
      const types = (await recordsOf('edge-1', NODES, 'edge-1')).map(({ type }) => type);
      expect(types.filter((type) => type === 'dats.node.drained')).toHaveLength(1);
      await at('edge-1').commandNode('edge-1', 'uncordon');
      await eventually('it is open', LIMIT_MS, async () => (await edgeSeen()).admission === 'open');
    },
    4 * LIMIT_MS,
  );
});

describe('the figures of the line', () => {
  it('are to be had at both ends', async () => {
    const valueAt = async (id: string, name: string): Promise<number> => {
      const text = await (await fetch(`${running.get(id)!.url}/metrics`)).text();
      return Number(new RegExp(`^${name}\\{node="edge-1"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    };
    for (const id of ['core', 'edge-1']) {
      expect([id, await valueAt(id, 'dats_edge_connected'), await valueAt(id, 'dats_edge_open')]).toEqual([id, 1, 1]);
      expect(await valueAt(id, 'dats_edge_sent_batches_total'), id).toBeGreaterThan(0);
      expect(await valueAt(id, 'dats_edge_backlog_records'), id).toBeGreaterThanOrEqual(0);
    }
    expect(await valueAt('core', 'dats_edge_seen_age_seconds')).toBeLessThan(15);
    const edges = (await at('core').health()).dependencies.find(({ name }) => name === 'edges');
    expect(edges).toMatchObject({ ok: true, required: false });
  });
});
