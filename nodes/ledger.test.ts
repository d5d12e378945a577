// A process that asks models without the deciders: with the ledger alone its budgets hold.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { configurationOf, type RunningNode, startNode } from './index.js';

let dir: string;
let node: RunningNode;
afterEach(async () => {
  await node.stop();
  rmSync(dir, { recursive: true, force: true });
});

it('is answered by the ledger alone', async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-ledger-'));
  const { config, version, baseDir } = configurationOf(
    {
      version: 1,
      node: { data_dir: join(dir, 'data') },
      gateway: { port: 0 },
      log: { kind: 'memory' },
      analytics: { kind: 'none' },
      telemetry: { sample_s: 0 },
      models: [{ id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] }],
      quotas: { projects: { p: { requests_per_minute: 1 } } },
    },
    dir,
  );
  const roles = { gateway: true, deciders: false, workers: [], ledger: true } as const;
  node = await startNode({ config, configVersion: version, baseDir, env: {}, roles });
  const ask = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    return (await fetch(`${node.url}/api/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
  };
  const plan = { description: '1. one\n2. two', project_id: 'p' };
  expect([await ask('decompose', plan), await ask('decompose', plan)]).toEqual([200, 429]);
});
