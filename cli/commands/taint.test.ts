// `dats taint`: shown first, asked for, begun under one key, followed to its end.
import { afterEach, describe, expect, it } from 'vitest';
import { aCascade, anImpact, aState, aVersion, recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);
const yes = async (): Promise<string> => 'y';

describe('what is shown first', () => {
  it('is the impact alone with --dry-run, and nothing is begun', async () => {
    await dats.serve(recoveryServer());
    expect(await dats(['taint', 'a1', '--reason', 'bad', '--dry-run'])).toEqual({
      code: 0,
      out: [
        'project    p',
        'reaches    3 artifacts of 2 tasks, 1 of them open, 3 paths',
        'by depth   1, 1, 1 (deepest 2; the first are the roots)',
        'now        3 clean',
        'to redo    2 executions, 12,345 tokens, 34.20s of model time, 0.12 USD (without 1 execution of no known price)',
        '',
      ].join('\n'),
      err: '',
    });
    expect(dats.posted('taint')).toEqual([{ body: { artifact_id: 'a1', reason: 'bad', dry_run: true }, keyed: false }]);
  });

  it('is asked for at the terminal; no means that nothing was done', async () => {
    await dats.serve(recoveryServer());
    const asked: string[] = [];
    const ask = async (question: string): Promise<string> => {
      asked.push(question);
      return '';
    };
    const { code, out, err } = await dats(['taint', 'a1', '--reason', 'bad'], { ask });
    expect({ code, out }).toEqual({ code: 1, out: 'nothing was done\n' });
    expect(err).toContain('reaches    3 artifacts');
    expect(asked).toEqual(['Taint 1 artifact and check what was made from it, 3 artifacts in all? [y/N] ']);
    expect(dats.posted('taint')).toHaveLength(1);
  });

  it('says that nothing fits, and begins nothing', async () => {
    await dats.serve(recoveryServer({ impacts: [] }));
    expect(await dats(['taint', '--model', 'm', '--reason', 'bad', '--yes'])).toMatchObject({
      code: 0,
      out: 'nothing fits: no artifact on record is meant by that\n',
    });
    expect(dats.posted('taint')).toHaveLength(1);
  });
});

describe('a cascade that is begun', () => {
  it('is followed to its end, each artifact below what it was reached from', async () => {
    await dats.serve(recoveryServer());
    const { code, out, err } = await dats(['taint', 'a1', '--reason', 'bad', '--max-depth', '3'], { ask: yes });
    expect(code).toBe(0);
    expect(out.split('\n').slice(0, 5)).toEqual([
      '  +0.00s  tainted   src/a.ts  a  named',
      '  +0.00s  suspect     src/b.ts  b',
      '  +2.50s  cleared     src/b.ts  b  its tests pass without it',
      '  +2.50s  cascade   completed: 1 tainted, 1 cleared, depth 1, in 2.50s',
      'cascade    c1',
    ]);
    expect(out).toContain('\nmarked     2 tainted, 1 cleared, depth 2\n');
    expect(err).toContain('take back what it reached with: dats rollback --cascade c1\n');
    expect(dats.posted('taint')).toEqual([
      { body: { artifact_id: 'a1', reason: 'bad', limits: { max_depth: 3 }, dry_run: true }, keyed: false },
      { body: { artifact_id: 'a1', reason: 'bad', limits: { max_depth: 3 } }, keyed: true },
    ]);
  });

  it('one in each project is followed after the other; one that was cut gives exit code 1', async () => {
    const impacts = [anImpact(), anImpact({ project_id: 'q' })];
    await dats.serve(recoveryServer({ impacts, cascade: aCascade({ state: 'cut', detail: 'max_depth' }) }));
    const { code, out, err } = await dats(['taint', '--model', 'm', '--reason', 'bad', '--yes']);
    expect(code).toBe(1);
    expect(out.match(/^cascade {4}c\d$/gm)).toEqual(['cascade    c1', 'cascade    c2']);
    expect(out).toContain('state      cut (max_depth)');
    expect(err).toContain('cascade c1 (project p)\ncascade c2 (project q)\n');
  });

  it('is not followed with --no-wait', async () => {
    await dats.serve(recoveryServer());
    const { code, out, err } = await dats(['taint', 'a1', '--reason', 'bad', '--yes', '--no-wait']);
    expect({ code, out }).toEqual({ code: 0, out: 'c1\n' });
    expect(err).toContain('watch it with: dats cascade watch c1\n');
    expect(dats.requests.some(({ url }) => url.endsWith('/events'))).toBe(false);
  });

  it('with --json gives each event, then how it stands', async () => {
    await dats.serve(recoveryServer());
    const { out, err } = await dats(['taint', 'a1', '--reason', 'bad', '--yes', '--json']);
    const documents = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(documents.map(({ type, cascade_id }) => type ?? cascade_id)).toEqual([
      'dats.artifact.tainted',
      'dats.artifact.suspect',
      'dats.cascade.progressed',
      'dats.artifact.revalidated',
      'dats.cascade.completed',
      'c1',
    ]);
    expect(err).toBe('');
  });

  it('with --quiet gives its id and its outcome', async () => {
    await dats.serve(recoveryServer());
    expect(await dats(['taint', 'a1', '--reason', 'bad', '--yes', '--quiet'])).toEqual({ code: 0, out: 'c1 completed\n', err: '' });
  });

  it('shows how far it is at the foot of a terminal', async () => {
    await dats.serve(recoveryServer());
    const { out } = await dats(['taint', 'a1', '--reason', 'bad'], { ask: yes, tty: true, env: { NO_COLOR: '1' } });
    expect(out).toContain('\r\u001b[K1 tainted, 1 suspect, 0 cleared, depth 1, 1 to go\r\u001b[K');
  });
});

describe('what is bad', () => {
  it('is named by everything that must hold; times go back from now', async () => {
    await dats.serve(recoveryServer());
    const argv = ['--project', 'p', '--task', 't', '--model', 'm', '--model-digest', 'd', '--prompt-version', 'v', '--node', 'n'];
    await dats(['taint', ...argv, '--config-version', 'c', '--from', '2h', '--until', '30m ago', '--reason', 'bad', '--dry-run']);
    expect(dats.posted('taint')[0]!.body).toEqual({
      project_id: 'p',
      task_id: 't',
      model: 'm',
      model_digest: 'd',
      prompt_version: 'v',
      node: 'n',
      config_version: 'c',
      from: '2026-11-21T10:00:00.000Z',
      until: '2026-11-21T11:30:00.000Z',
      reason: 'bad',
      dry_run: true,
    });
  });

  const having = (path: string, id: string) => aState({ files: [{ path, version: aVersion(id, ''), versions: 2 }] });

  it('may be a path: the version that stands in the project', async () => {
    await dats.serve(recoveryServer({ state: (project) => (project === 'web' ? having('src/a.ts', 'a7') : undefined) }));
    await dats(['taint', 'src/a.ts', '--project', 'web', '--reason', 'bad', '--dry-run']);
    expect(dats.posted('taint')[0]!.body).toMatchObject({ artifact_id: 'a7', project_id: 'web' });
  });

  it('may be a path without a project, where one project alone has it: with history or without', async () => {
    const state = (project: string) => (project === 'web' ? having('src/a.ts', 'a7') : project === 'default' ? aState() : undefined);
    await dats.serve(recoveryServer({ state, history: ['web', 'gone', 'web'] }));
    await dats(['taint', 'src/a.ts', '--reason', 'bad', '--dry-run']);
    expect(dats.posted('taint')[0]!.body).toMatchObject({ artifact_id: 'a7' });
    await dats.close();
    await dats.serve(recoveryServer({ state: (project) => (project === 'default' ? having('a.py', 'a8') : undefined) }));
    await dats(['taint', 'a.py', '--reason', 'bad', '--dry-run']);
    expect(dats.posted('taint')[0]!.body).toMatchObject({ artifact_id: 'a8' });
  });

  it('must be said more exactly where several projects have the path, or none', async () => {
    await dats.serve(recoveryServer({ state: () => having('src/a.ts', 'a7'), history: ['web'] }));
    expect(await dats(['taint', 'src/a.ts', '--reason', 'bad', '--dry-run'])).toEqual({
      code: 2,
      out: '',
      err: 'dats: src/a.ts stands in the projects default, web: say which is meant with --project\n',
    });
    expect(await dats(['taint', 'src/b.ts', '--reason', 'bad', '--dry-run', '--project', 'web'])).toEqual({
      code: 2,
      out: '',
      err: 'dats: no version of src/b.ts stands in project web; dats project show web lists what does\n',
    });
  });
});

describe('bad input', () => {
  it.each<[readonly string[], RegExp]>([
    [['a1'], /^dats: required option '--reason <text>' not specified; see dats --help\n$/],
    [['--reason', 'bad', '--dry-run'], /^dats: what is bad\? Give an artifact or a path, or --task, .*\n$/],
    [['a1', '--reason', 'bad'], /^dats: taint asks before it changes anything, and nobody can answer here: give --yes .*\n$/],
    [['a1', '--reason', '', '--yes'], /^dats: --reason: "" .*\n$/],
    [['a1', '--reason', 'bad', '--from', 'yesterday', '--yes'], /^dats: --from "yesterday" is no time; .*\n$/],
    [['a1', '--reason', 'bad', '--max-artifacts', '0', '--yes'], /Give a whole number from 1 to 1000000/],
  ])('%j: exit code 2, one plain line', async (argv, said) => {
    const { code, out, err } = await dats(['taint', ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
  });

  it('--json never asks', async () => {
    const { code, err } = await dats(['taint', 'a1', '--reason', 'bad', '--json'], { ask: yes });
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'bad_usage', message: expect.stringContaining('give --yes') } });
  });
});
