// `.ci/schema-compatibility.mjs`: the history of git says what was published. Needs git.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../.ci/schema-compatibility.mjs', import.meta.url));
const FILE = 'schemas/published/dats.task.created.v1.json';
const LIMIT_MS = 30_000;

let dir: string;
const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'commit.gpgsign=false', ...args], {
    cwd: dir,
    encoding: 'utf8',
    timeout: LIMIT_MS,
  }).trim();
const commit = (message: string): string => {
  git('add', '--all');
  git('commit', '--quiet', '--allow-empty', '-m', message);
  return git('rev-parse', 'HEAD');
};
const write = (path: string, json: object, indent = 2): void => writeFileSync(join(dir, path), JSON.stringify(json, null, indent));
const check = (...args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], { cwd: dir, encoding: 'utf8', timeout: LIMIT_MS });
  return { status, out: stdout, err: stderr };
};

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-published-'));
  mkdirSync(join(dir, 'schemas/published'), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('the history of published schemas', () => {
  beforeEach(() => {
    git('init', '--quiet', '--initial-branch=main');
    write(FILE, { a: 1 });
    commit('published');
  });

  it('has nothing to compare at the first commit', () => {
    expect(check()).toMatchObject({ status: 0, out: expect.stringContaining('first commit') });
  });

  it('lets a schema be added and formatted', () => {
    write('schemas/published/dats.task.created.v2.json', { b: 1 });
    write(FILE, { a: 1 }, 0);
    commit('a new version');
    expect(check()).toMatchObject({ status: 0, out: expect.stringContaining('1 schemas of') });
  });

  it.each([
    ['changed, and not committed', () => write(FILE, { a: 2 }), undefined],
    ['changed', () => write(FILE, { a: 2 }), 'commit'],
    ['deleted', () => rmSync(join(dir, FILE)), 'commit'],
  ])('refuses one that was %s, and says what to do', (_what, change, then) => {
    commit('something else');
    change();
    if (then === 'commit') commit('after that');
    expect(check()).toMatchObject({ status: 1, err: expect.stringMatching(/v1\.json was (changed|deleted).*git restore --source/) });
  });

  it('looks back to where the branch left main, over any number of commits', () => {
    git('update-ref', 'refs/remotes/origin/main', 'HEAD');
    write(FILE, { a: 2 });
    commit('changed');
    commit('and more');
    expect(check()).toMatchObject({ status: 1, err: expect.stringContaining('was changed') });
  });

  it('compares with the commit that is given', () => {
    const base = git('rev-parse', 'HEAD');
    write(FILE, { a: 2 });
    commit('changed');
    commit('and more');
    expect(check().status).toBe(0);
    expect(check(base)).toMatchObject({ status: 1, err: expect.stringContaining('was changed') });
    expect(check('nowhere')).toMatchObject({ status: 1, err: expect.stringContaining('no commit nowhere') });
  });
});

describe('without a history', () => {
  it('fails and says so, rather than to pass', () => {
    expect(check()).toMatchObject({ status: 1, err: expect.stringContaining('no git repository') });
  });
});
