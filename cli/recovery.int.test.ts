// The whole of it, as a user does it with no server running: the demo, then something in it is bad, is marked, taken back, undone, and made anew.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CascadeView, DatsEvent, ImpactAnswer, ProjectState, RollbackAnswer, RollbackView } from '../schemas/index.js';
import { openTestServer } from './testing.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const MADE = ['evaluator.ts', 'parser.ts', 'tokenizer.ts'];
let dir: string;

const dats = (...argv: string[]): Promise<{ code: number; out: string; err: string }> =>
  new Promise((resolve) => {
    const { DATS_URL: _, DATS_CONFIG: __, DATS_DATA_DIR: ___, ...env } = process.env;
    execFile(process.execPath, [MAIN, ...argv], { cwd: dir, env, maxBuffer: 64 * 1024 * 1024 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
const documents = async <T>(...argv: string[]): Promise<T[]> => {
  const { code, out, err } = await dats(...argv, '--json');
  expect(code, `${argv.join(' ')}: ${err}`).toBe(0);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
};
const state = async (...at: string[]): Promise<ProjectState> => (await documents<ProjectState>('project', 'show', 'demo', ...at))[0]!;
/** Versions and marks of the files that one subtask made from another's. */
const standing = ({ files }: ProjectState): Record<string, { id: string; sha256: string; mark: string }> =>
  Object.fromEntries(
    files
      .filter(({ path }) => MADE.includes(path))
      .map(({ path, version }) => [path, { id: version.artifact_id, sha256: version.sha256, mark: version.mark }]),
  );

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dats-recovery-'));
  const gone = await openTestServer(() => {});
  await gone.close();
  writeFileSync(join(dir, 'servers.yaml'), `version: 1\ngateway: { port: ${new URL(gone.url).port} }\n`);
  await dats('demo', '--recorded', '--quiet');
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('what is bad is marked with what was made from it, taken back, undone, and made anew', async () => {
  const before = await state();
  const good = standing(before);
  expect(Object.keys(good).sort()).toEqual(MADE);
  const [impact] = await documents<ImpactAnswer>('impact', 'tokenizer.ts', '--project', 'demo');
  expect(impact!.nodes.map(({ path }) => path).sort()).toEqual(MADE);

  const said = await dats('taint', 'tokenizer.ts', '--project', 'demo', '--reason', 'wrong', '--dry-run');
  expect([said.code, said.err]).toEqual([
    0,
    expect.stringMatching(/^no server answers at http:\S+: opened \.\/\.dats-demo, last written \d+ s ago\n$/),
  ]);
  expect((await state()).events).toBe(before.events);

  const tainting = await documents<DatsEvent | CascadeView>('taint', 'tokenizer.ts', '--project', 'demo', '--reason', 'wrong', '--yes');
  const cascade = tainting.at(-1) as CascadeView;
  expect(cascade).toMatchObject({ state: 'completed', tainted: 3, remaining: 0, roots: 1 });
  expect((tainting as DatsEvent[]).filter(({ type }) => type === 'dats.artifact.tainted')).toHaveLength(3);
  expect(Object.values(standing(await state())).map(({ mark }) => mark)).toEqual(['tainted', 'tainted', 'tainted']);

  const [shown] = await documents<RollbackAnswer>('rollback', '--cascade', cascade.cascade_id, '--dry-run');
  expect(shown!.plan.changes.map(({ path, to }) => [path, to]).sort()).toEqual(MADE.map((path) => [path, null]));
  const [taken] = await documents<RollbackView>('rollback', '--cascade', cascade.cascade_id, '--yes');
  expect(taken).toMatchObject({ state: 'completed', reverted: 3 });
  expect(standing(await state())).toEqual({});
  expect(standing(await state('--at', before.position!))).toEqual(good);

  const [undone] = await documents<RollbackView>('rollback', '--rollback', taken!.rollback_id, '--yes');
  expect(undone).toMatchObject({ state: 'completed', restored: 3 });
  expect(Object.entries(standing(await state())).map(([path, { id }]) => [path, id])).toEqual(
    Object.entries(good).map(([path, { id }]) => [path, id]),
  );

  const [anew] = await documents<RollbackView>('rollback', '--cascade', cascade.cascade_id, '--tasks', 'requeue', '--yes');
  expect(anew).toMatchObject({ state: 'completed', reverted: 3, tasks_requeued: 3 });
  const made = await state();
  const again = made.tasks.filter(({ created_at }) => created_at >= anew!.requested_at);
  expect(again.map(({ state }) => state)).toEqual(['completed', 'completed', 'completed']);
  const after = standing(made);
  expect(Object.entries(after).map(([path, { sha256, mark }]) => [path, sha256, mark])).toEqual(
    Object.entries(good).map(([path, { sha256 }]) => [path, sha256, 'clean']),
  );
  for (const path of MADE) expect(after[path]!.id).not.toBe(good[path]!.id);
}, 240_000);

test('a place before there was anything is said to be so', async () => {
  expect((await dats('project', 'show', 'demo', '--at', '1d')).out).toMatch(
    /^project demo had nothing yet at \S+; there is something since \S+\n$/,
  );
});
