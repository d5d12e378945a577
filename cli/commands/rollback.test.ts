// `dats rollback`: the difference first, then the question, then what was done and how to undo it.
import { afterEach, describe, expect, it } from 'vitest';
import { aPlan, aRollback, aVersion, recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

const contents = { 'new-a': 'one\ntwo\nthree\n', 'old-a': 'one\nzwei\nthree\n' };
const PLAN = aPlan({
  changes: [
    { path: 'src/a.ts', from: aVersion('new-a', contents['new-a'], { mark: 'tainted' }), to: aVersion('old-a', contents['old-a']) },
    { path: 'src/b.ts', from: aVersion('new-b', 'gone'), to: null },
  ],
  tasks: [{ task_id: 't1', state: 'open', action: 'cancel' }],
  config_then: 'v1',
});
const yes = async (): Promise<string> => 'yes';

describe('what is shown first', () => {
  it('is each file with the version it goes to and the text that changes, the tasks, the configuration', async () => {
    await dats.serve(recoveryServer({ plan: PLAN, contents }));
    const { code, out, err } = await dats(['rollback', '--cascade', 'c1', '--dry-run']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(
      [
        'project   p',
        'back goes what cascade c1 tainted',
        'config    then v1, now v2',
        'files     2 paths',
        '  src/a.ts  new-a (TAINTED, of task t1, 2026-11-21 10:00:00) -> old-a (of task t1, 2026-11-21 10:00:00)',
        '    @@ -1,3 +1,3 @@',
        '     one',
        '    -two',
        '    +zwei',
        '     three',
        '  src/b.ts  new-b (of task t1, 2026-11-21 10:00:00) -> nothing  the file goes',
        '    (its text cannot be shown: Title: its bytes are gone)',
        'tasks     1 task',
        '  t1  open       is cancelled',
        '',
      ].join('\n'),
    );
    expect(dats.posted('rollback')).toEqual([{ body: { cascade_id: 'c1', tasks: 'close', dry_run: true }, keyed: false }]);
  });

  it('is asked for at the terminal; no means that nothing was done', async () => {
    await dats.serve(recoveryServer({ plan: PLAN, contents }));
    const asked: string[] = [];
    const ask = async (question: string): Promise<string> => {
      asked.push(question);
      return 'n';
    };
    expect(await dats(['rollback', '--cascade', 'c1'], { ask })).toMatchObject({ code: 1, out: 'nothing was done\n' });
    expect(asked).toEqual(['Change 2 files of project p, and 1 task? [y/N] ']);
    expect(dats.posted('rollback')).toHaveLength(1);
  });

  it('may be that there is nothing to do: then nothing is asked and nothing is begun', async () => {
    await dats.serve(recoveryServer({ plan: aPlan({ tasks: [{ task_id: 't1', state: 'completed', action: 'keep' }] }) }));
    expect(await dats(['rollback', '--task', 't1', '--yes'])).toMatchObject({
      code: 0,
      out: 'nothing to do: everything stands as it would\n',
    });
    expect(dats.posted('rollback')).toHaveLength(1);
  });

  it('with --json is one document', async () => {
    await dats.serve(recoveryServer({ plan: PLAN }));
    const { out } = await dats(['rollback', '--cascade', 'c1', '--dry-run', '--json']);
    expect(JSON.parse(out)).toEqual({ dry_run: true, rollback_id: null, plan: PLAN });
    expect(dats.requests).toHaveLength(1);
  });
});

describe('a rollback that is begun', () => {
  it('is waited for; what was done is said, and how to undo it', async () => {
    const rollbacks = [
      aRollback({ state: 'requested', completed_at: null }),
      aRollback({ state: 'running', completed_at: null }),
      aRollback(),
    ];
    await dats.serve(recoveryServer({ plan: PLAN, contents, rollbacks }));
    const { code, out, err } = await dats(['rollback', '--cascade', 'c1', '--reason', 'bad'], { ask: yes });
    expect(code).toBe(0);
    expect(out).toContain('state     completed\n');
    expect(out).toContain('done      2 reverted, 0 restored, 1 task closed\n');
    expect(err).toMatch(/undo it with: dats rollback --rollback r1\n$/);
    expect(dats.requests.filter(({ url }) => url === '/api/v1/rollbacks/r1')).toHaveLength(3);
    expect(dats.posted('rollback')).toEqual([
      { body: { cascade_id: 'c1', tasks: 'close', reason: 'bad', dry_run: true }, keyed: false },
      { body: { cascade_id: 'c1', tasks: 'close', reason: 'bad' }, keyed: true },
    ]);
  });

  it('says what runs anew, and where it was refused gives exit code 1', async () => {
    await dats.serve(recoveryServer({ plan: PLAN, rollbacks: [aRollback({ tasks_requeued: 2 })] }));
    const { err } = await dats(['rollback', '--cascade', 'c1', '--tasks', 'requeue', '--yes']);
    expect(err).toContain('what runs anew: dats list --project p --since 2026-11-21T10:00:00.000Z\n');
    await dats.close();
    await dats.serve(recoveryServer({ plan: PLAN, rollbacks: [aRollback({ state: 'refused', detail: 'another one is running' })] }));
    const refused = await dats(['rollback', '--cascade', 'c1', '--yes']);
    expect([refused.code, refused.out]).toEqual([1, expect.stringContaining('state     refused (another one is running)\n')]);
  });

  it('is not waited for with --no-wait', async () => {
    await dats.serve(recoveryServer({ plan: PLAN }));
    expect(await dats(['rollback', '--rollback', 'r0', '--yes', '--no-wait', '--quiet'])).toEqual({ code: 0, out: 'r1\n', err: '' });
  });

  it('goes on being waited for while the server is away for a moment', async () => {
    let away = 2;
    const answered = recoveryServer({ plan: PLAN });
    await dats.serve((request, response, body) => {
      if (request.url === '/api/v1/rollbacks/r1' && away-- > 0) request.socket.destroy();
      else answered(request, response, body);
    });
    expect((await dats(['rollback', '--cascade', 'c1', '--yes', '--quiet'])).out).toBe('r1 completed\n');
  });
});

describe('the place it goes back to', () => {
  it.each([
    ['30m', '2026-11-21T11:30:00.000Z'],
    ['1h ago', '2026-11-21T11:00:00.000Z'],
    ['2026-11-21T09:00:00+01:00', '2026-11-21T09:00:00+01:00'],
    ['p0-17', 'p0-17'],
    ['0192f0c1-2d3e-7a4b-8c5d-000000000001', '0192f0c1-2d3e-7a4b-8c5d-000000000001'],
  ])('%s', async (given, sent) => {
    await dats.serve(recoveryServer());
    await dats(['rollback', '--to', given, '--project', 'p', '--dry-run']);
    expect(dats.posted('rollback')[0]!.body).toEqual({ to: sent, project_id: 'p', tasks: 'close', dry_run: true });
  });
});

it('list and show: what was taken back', async () => {
  await dats.serve(recoveryServer());
  const list = await dats(['rollback', 'list', '--project', 'p']);
  expect(list.out).toMatch(/^ROLLBACK {2}STATE .*\nr1 {8}completed {2}p .*what cascade c1 tainted.*\n$/);
  expect(dats.requests[0]!.url).toBe('/api/v1/rollbacks?project_id=p&limit=50');
  expect((await dats(['rollback', 'show', 'r1'])).out).toContain('concerns  2 paths, 1 task (tasks: close)\n');
});

describe('bad input', () => {
  it.each<[readonly string[], RegExp]>([
    [[], /^dats: what is to be taken back\? Give one of --cascade, --task, --to \(with --project\) and --rollback\n$/],
    [['--cascade', 'c', '--task', 't'], /^dats: only one thing can be taken back at a time: .*\n$/],
    [['--to', '30m'], /^dats: --to needs --project: .*\n$/],
    [['--to', 'yesterday', '--project', 'p'], /^dats: --to "yesterday" is no place in history; give so long ago .*\n$/],
    [['--cascade', 'c', '--tasks', 'burn'], /^dats: --tasks "burn" is not one of close, requeue, keep\n$/],
    [['--cascade', 'c'], /^dats: rollback asks before it changes anything, .* --dry-run to see what it would do\n$/],
  ])('%j: exit code 2, one plain line', async (argv, said) => {
    const { code, out, err } = await dats(['rollback', ...argv]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(said);
  });
});
