import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient } from '../cli/client/index.js';
import { configurationOf, type RunningNode, startNode } from '../nodes/index.js';
import { Fault } from '../schemas/index.js';

let dir: string;
const running: RunningNode[] = [];
const SCRIPT = {
  version: 1,
  rules: [
    {
      match: { task: 'Write settings' },
      answers: [
        { files: [{ path: 'settings.json', language: 'json', content: '{"a": 1,}' }] },
        { files: [{ path: 'settings.json', language: 'json', content: '{"a": 1}' }] },
      ],
    },
  ],
};

const start = async (port = 0, kind: 'memory' | 'lmdb' = 'memory'): Promise<RunningNode> => {
  const { config, version, baseDir } = configurationOf(
    {
      version: 1,
      node: { data_dir: join(dir, 'data') },
      gateway: { port },
      log: { kind },
      models: [{ id: 'recorded', runner: 'scripted', script: join(dir, 'script.json'), tiers: ['small', 'medium', 'large'] }],
      scheduling: { backoff_base_ms: 0 },
    },
    dir,
  );
  const node = await startNode({ config, configVersion: version, baseDir, env: {} });
  running.push(node);
  return node;
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-node-'));
  writeFileSync(join(dir, 'script.json'), JSON.stringify(SCRIPT));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()));
  rmSync(dir, { recursive: true, force: true });
});

describe('a node', () => {
  it.each(['memory', 'lmdb'] as const)('takes a task through a rejection to its completion on the %s log', async (kind) => {
    const node = await start(0, kind);
    const client = createClient({ baseUrl: node.url! });
    const { task_id } = await client.submit({ description: 'Write settings\nas JSON', options: { qa_profile: 'syntax' } });
    const view = await client.wait(task_id);
    expect([view.state, view.attempt, view.tier, view.verdict?.passed]).toEqual(['completed', 2, 'medium', true]);
    expect(await client.artifact(view.artifacts[0]!.artifact_id)).toMatchObject({ path: 'settings.json', accepted: true, scripted: true });
    const types: string[] = [];
    for await (const { event } of client.events(task_id)) types.push(event.type.slice('dats.task.'.length));
    expect(types).toEqual([
      'created',
      'analyzed',
      'ready',
      'started',
      'output.created',
      'rejected',
      'retry.scheduled',
      'ready',
      'started',
      'output.created',
      'validated',
      'completed',
    ]);
  });

  it('that cannot take its port says so and leaves nothing open', async () => {
    const first = await start();
    const port = Number(new URL(first.url!).port);
    const error = await start(port, 'lmdb').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).code).toBe('port_taken');
    const again = await start(0, 'lmdb');
    expect((await again.health()).find(({ name }) => name === 'log')?.ok).toBe(true);
  });

  it('stops once, however often it is asked', async () => {
    const node = await start();
    await Promise.all([node.stop(), node.stop()]);
    await expect(fetch(node.url!)).rejects.toThrow();
  });
});
