// `dats config` against a real gateway on a log in memory.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configurationOf, parseRoles, type RunningNode, startNode } from '../../nodes/index.js';
import { runCli } from '../program.js';
import { type KeptIo, keepIo, openTestServer } from '../testing.js';

let dir: string;
let node: RunningNode;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-config-'));
  const { config, version, baseDir } = configurationOf(
    {
      version: 1,
      node: { data_dir: join(dir, 'data') },
      gateway: { port: 0 },
      log: { kind: 'memory' },
      analytics: { kind: 'none' },
      telemetry: { sample_s: 0 },
      scheduling: { projects: { old: { max_running: 1 } } },
    },
    dir,
  );
  node = await startNode({ config, configVersion: version, baseDir, env: {}, roles: parseRoles('gateway') });
});
afterAll(async () => {
  await node?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const dats = async (argv: readonly string[], options: Partial<KeptIo> = {}, url = node.url!) => {
  const io = keepIo({ cwd: dir, ...options });
  const loadStartNode = (): Promise<never> => Promise.reject(new Error('no node is started where an address is given'));
  const code = await runCli([...argv, '--url', url], io, { loadStartNode, sleep: async () => undefined });
  return { code, ...io.printed };
};
const jsonOf = async (...argv: string[]) => JSON.parse((await dats([...argv, '--json'])).out) as Record<string, unknown>;

describe('dats config get', () => {
  it('lists what can be changed', async () => {
    const { code, out, err } = await dats(['config', 'get']);
    expect(code).toBe(0);
    expect(out.split('\n')[0]).toMatch(/^SETTING +VERSION +FROM/);
    expect(out).toMatch(/^prompts\.decompose +0 +built-in/m);
    expect(err).toMatch(/^decisions are made under version [0-9a-f]{12}\n$/);
  });

  it('shows a setting as YAML that set takes back, and a field of it', async () => {
    const { out } = await dats(['config', 'get', 'scheduling']);
    expect(out).toMatch(/^# scheduling, version 0 \(servers\.yaml\)\nmax_running_per_project: 10\n/);
    const same = await dats(['config', 'set', 'prices', '-'], { stdin: async () => 'version: "2026-11"\nmodels: []\n' });
    expect([same.code, same.out]).toEqual([
      0,
      expect.stringMatching(/^prices is version 1 now; decisions are made under [0-9a-f]{12}\+\d+\n$/),
    ]);
    expect((await dats(['config', 'get', 'scheduling.projects.old.max_running'])).out).toBe('1\n');
    expect((await dats(['config', 'get', 'scheduling.nothing'])).code).toBe(2);
  });
});

describe('dats config check', () => {
  it('warns of names of models that are not there, and is content all the same', async () => {
    writeFileSync(
      join(dir, 'slip.yaml'),
      'version: 1\nmodels: [{ id: a, runner: scripted, tiers: [small] }]\nrouting: { rules: [{ name: r, to: [b], strict: true }] }\n',
    );
    const { code, out, err } = await dats(['config', 'check', 'slip.yaml']);
    expect([code, out]).toEqual([0, expect.stringContaining('slip.yaml: ok') as string]);
    expect(err).toMatch(/^dats: slip\.yaml:3:\d+ {2}routing\.rules\[0\]\.to: no model may answer: "b" matches no model of servers\.yaml/);
  });
});

describe('dats config set', () => {
  it('changes one field, and leaves the others as they are', async () => {
    const first = await dats(['config', 'set', 'routing.ask_model_below', '0.2', '--reason', 'cheaper', '--by', 'ada']);
    expect(first.code).toBe(0);
    expect(first.out).toMatch(/^routing is version 1 now/);
    expect(first.err).toContain('-ask_model_below: 0.4\n+ask_model_below: 0.2\n');
    expect(first.err).toContain('undo it with: dats config rollback routing --to 0');
    expect(await jsonOf('config', 'get', 'routing')).toMatchObject({
      version: 1,
      by: 'ada',
      reason: 'cheaper',
      value: { ask_model_below: 0.2 },
    });
    const again = await dats(['config', 'set', 'routing.ask_model_below', '0.2']);
    expect([again.code, again.out]).toEqual([0, 'nothing to do: routing is so already, since version 1\n']);
  });

  it('makes fields that are not there, takes them away with null, and takes files and lists whole', async () => {
    await dats(['config', 'set', 'scheduling.projects.website', '{max_running: 50}']);
    await dats(['config', 'set', 'scheduling.projects.old', 'null']);
    expect(await jsonOf('config', 'get', 'scheduling')).toMatchObject({ value: { projects: { website: { max_running: 50 } } } });
    writeFileSync(join(dir, 'access.yaml'), 'block: [ollama-large]\n');
    expect((await dats(['config', 'set', 'access', 'access.yaml'])).code).toBe(0);
    expect((await dats(['config', 'set', 'access.allow', '["a", "b"]'])).code).toBe(0);
    expect(await jsonOf('config', 'get', 'access')).toMatchObject({ version: 2, value: { allow: ['a', 'b'], block: ['ollama-large'] } });
    const into = await dats(['config', 'set', 'access.allow.0', 'c']);
    expect([into.code, into.err]).toEqual([2, expect.stringContaining('access.allow is a list, and lists are set whole') as string]);
  });

  it('takes a system message as the text that it is', async () => {
    writeFileSync(join(dir, 'prompt.md'), 'Answer: with files.\n- only files\n');
    expect((await dats(['config', 'set', 'prompts.generate.system', 'prompt.md'])).code).toBe(0);
    expect((await dats(['config', 'get', 'prompts.generate.system', '--json'])).out).toBe('"Answer: with files.\\n- only files"\n');
    expect((await dats(['config', 'set', 'prompts.analyse.system', 'Be brief: yes'])).code).toBe(0);
  });

  it('refuses what does not fit before anything is sent, with each place', async () => {
    const before = await jsonOf('config', 'get');
    const bad = await dats(['config', 'set', 'scheduling', '{max_running_per_project: 0, lanes: 3}']);
    expect(bad.code).toBe(2);
    expect(bad.err).toContain('scheduling.max_running_per_project');
    expect(bad.err).toContain('"lanes"');
    for (const argv of [
      ['teleport', '1'],
      ['flags', 'not-a-file.yaml'],
      ['flags', '{'],
      ['flags..x', '1'],
      ['flags.hedging', '3'],
    ])
      expect([argv, (await dats(['config', 'set', ...argv])).code]).toEqual([argv, 2]);
    expect((await jsonOf('config', 'get'))['changes']).toBe(before['changes']);
  });

  it('is refused where another change was first', async () => {
    await dats(['config', 'set', 'flags.hedging', 'false']);
    const late = await dats(['config', 'set', 'flags.openai_endpoint', 'false', '--if-version', '0']);
    expect([late.code, late.err]).toEqual([1, expect.stringContaining('"flags" is at version 1') as string]);
  });

  it('warns of names of models that are not there, and sets them all the same', async () => {
    const { code, out, err } = await dats(['config', 'set', 'access', '{allow: [gone]}']);
    expect([code, out]).toEqual([0, expect.stringMatching(/^access is version \d+ now/) as string]);
    expect(err).toContain('dats: access.allow: no model may answer: "gone" matches no model of servers.yaml');
    expect((await dats(['config', 'set', 'access', 'null'])).err).not.toContain('matches no model');
  });

  it('says that a gateway has to run', async () => {
    const gone = await openTestServer(() => undefined);
    await gone.close();
    const { code, err } = await dats(['config', 'set', 'flags.hedging', 'true'], {}, gone.url);
    expect([code, err]).toEqual([3, expect.stringContaining('a setting is changed by a gateway that runs') as string]);
  });
});

describe('dats config versions, diff and rollback', () => {
  it('show what changed, and bring an earlier value back after a question', async () => {
    await dats(['config', 'set', 'quotas.task.calls', '10', '--reason', 'a loop']);
    await dats(['config', 'set', 'quotas.task.calls', '20']);
    const diff = await dats(['config', 'diff', 'quotas']);
    expect(diff.err).toBe('quotas: version 1 -> 2\n');
    expect(diff.out).toContain('-  calls: 10\n+  calls: 20\n');
    expect(await jsonOf('config', 'diff', 'quotas', '0', '1')).toMatchObject({ changes: [{ pointer: '/task/calls', from: 40, to: 10 }] });

    const asked: string[] = [];
    const answering = (answer: string) => async (question: string) => {
      asked.push(question);
      return answer;
    };
    const no = await dats(['config', 'rollback', 'quotas'], { ask: answering('n') });
    expect([no.code, no.out, asked]).toEqual([1, 'nothing was done\n', ['Bring back version 1 of quotas? [y/N] ']]);
    expect(no.err).toContain('-  calls: 20\n+  calls: 10\n');
    const yes = await dats(['config', 'rollback', 'quotas', '--to', '1', '--yes', '--reason', 'as it was']);
    expect([yes.code, yes.out]).toEqual([0, expect.stringMatching(/^quotas is version 3 now, with the value of version 1; /) as string]);
    const { out } = await dats(['config', 'versions', 'quotas']);
    expect(out).toMatch(/^3 +registry .* version 1 again: as it was$/m);
    expect(out).toMatch(/^1 +registry .* a loop$/m);
    expect(out).toMatch(/^0 +servers\.yaml/m);
    expect((await dats(['config', 'rollback', 'quotas', '--to', '0', '--yes'])).code).toBe(0);
    expect(await jsonOf('config', 'get', 'quotas')).toMatchObject({ source: 'servers.yaml', value: { task: { calls: 40 } } });
  });

  it('ask nobody where nobody can answer, and change nothing with --dry-run', async () => {
    expect((await dats(['config', 'rollback', 'quotas'])).code).toBe(2);
    const dry = await dats(['config', 'rollback', 'quotas', '--to', '1', '--dry-run']);
    expect([dry.code, dry.out]).toEqual([0, expect.stringContaining('+  calls: 10') as string]);
    expect((await dats(['config', 'rollback', 'prompts.decompose', '--yes'])).code).toBe(2);
    expect((await dats(['config', 'diff', 'quotas', 'first'])).code).toBe(2);
  });
});
