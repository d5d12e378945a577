// The whole of it, as a user does it: the demo, then questions about it with no server running, by the executable.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Execution, Lineage } from '../schemas/index.js';
import { openTestServer } from './testing.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
let dir: string;

const dats = (...argv: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    const { DATS_URL: _, DATS_CONFIG: __, DATS_DATA_DIR: ___, ...env } = process.env;
    execFile(process.execPath, [MAIN, ...argv], { cwd: dir, env, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
const linesOf = <T>(out: string): T[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-offline-'));
  const gone = await openTestServer(() => {});
  await gone.close();
  writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { port: ${new URL(gone.url).port} }\n`);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const COUNT =
  "SELECT count() AS events, uniqExact(task_id) AS tasks, (SELECT count() FROM dats.provenance) AS executions FROM dats.events WHERE topic = 'dats.lifecycle'";

test('before there is anything, what to do is said', async () => {
  const { code, err } = await dats('sql', COUNT);
  expect(code).toBe(1);
  expect(err).toMatch(/there is no history in \.\/\.dats nor in \.\/\.dats-demo; .*dats demo/);
});

test('after the demo, everything about it can be asked, and made anew from the log', async () => {
  await dats('demo', '--recorded', '--quiet');

  const first = await dats('sql', COUNT);
  expect(first.err).toMatch(/^no server answers at http:\S+: opened \.\/\.dats-demo, last written \d+ s ago\n1 row in /);
  const counted = (await dats('sql', COUNT, '--json')).out;
  const [counts] = linesOf<{ events: number; tasks: number; executions: number }>(counted);
  expect(counts!.tasks).toBeGreaterThanOrEqual(4);
  expect(counts!.executions).toBeGreaterThanOrEqual(3);

  const [newest] = linesOf<Execution>((await dats('provenance', 'list', '--status', 'accepted', '--limit', '1', '--json')).out);
  const record = await dats('provenance', newest!.task_id);
  expect([record.code, record.out]).toEqual([0, expect.stringContaining(`execution  ${newest!.provenance_id}`)]);
  const [lineage] = linesOf<Lineage>((await dats('lineage', newest!.artifacts[0]!.path, '--json')).out);
  expect(lineage!.nodes[0]).toMatchObject({ artifact_id: newest!.artifacts[0]!.artifact_id, depth: 0, status: 'accepted' });
  expect((await dats('get', newest!.task_id)).out).toContain('state     completed');
  expect((await dats('stats', 'first-pass-yield')).out).toContain('recorded');
  expect((await dats('sql', 'DROP DATABASE dats')).code).toBe(2);

  const rebuilt = await dats('views', 'rebuild', '--yes');
  expect([rebuilt.code, rebuilt.out], rebuilt.err).toEqual([0, 'history is rebuilt: all that the log holds is in it\n']);
  expect((await dats('sql', COUNT, '--json')).out).toBe(counted);
  expect((await dats('migrate')).out).toBe('nothing to apply: the tables are up to date\n');
}, 240_000);
