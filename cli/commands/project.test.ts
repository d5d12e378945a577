import { afterEach, describe, expect, it } from 'vitest';
import { aState, aVersion, recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

const task = { task_id: 't1', title: 'Write the lexer', attempt: 1, flags: ['rejected'], created_at: '2026-11-21T09:00:00.000Z' };
const FULL = aState({
  files: [{ path: 'src/a.ts', version: aVersion('a2', 'x', { mark: 'suspect' }), versions: 2 }],
  tasks: [{ ...task, state: 'completed' }],
  counts: { completed: 1, failed: 0 },
});

describe('dats project show', () => {
  it('lists which version of each file stands, and the tasks', async () => {
    await dats.serve(recoveryServer({ state: () => FULL }));
    const { code, out } = await dats(['project', 'show', 'p']);
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      'project   p',
      'position  p0-17, 18 events',
      'time      2026-11-21T10:00:00.000Z (of its last event)',
      'config    v1',
      'files     1',
      '  PATH      VERSION  OF  MARK     MADE                 SHA256        TASK',
      '  src/a.ts  a2       2   suspect  2026-11-21 10:00:00  2d711642b726  t1',
      'tasks     1: 1 completed',
      '  TASK  STATE      ATT  FLAGS     CREATED              TITLE',
      '  t1    completed  1    rejected  2026-11-21 09:00:00  Write the lexer',
      '',
    ]);
    expect(dats.requests[0]!.url).toBe('/api/v1/projects/p/state');
  });

  it('--at 1h: as it was an hour ago', async () => {
    await dats.serve(recoveryServer({ state: (_project, at) => aState({ at }) }));
    expect((await dats(['project', 'show', 'p', '--at', '1h'])).out).toContain('project   p, as it was at 2026-11-21T11:00:00.000Z\n');
    expect(dats.requests[0]!.url).toBe('/api/v1/projects/p/state?at=2026-11-21T11%3A00%3A00.000Z');
  });

  it('says that there was nothing yet, and since when there is something', async () => {
    const nothing = { events: 0, position: null, time: null, config_version: null };
    await dats.serve(recoveryServer({ state: (_project, at) => (at === null ? FULL : aState({ ...nothing, at })) }));
    expect(await dats(['project', 'show', 'p', '--at', '1d'])).toMatchObject({
      code: 0,
      out: 'project p had nothing yet at 2026-11-20T12:00:00.000Z; there is something since 2026-11-21T09:00:00.000Z\n',
    });
    await dats.close();
    await dats.serve(recoveryServer({ state: () => aState(nothing) }));
    expect((await dats(['project', 'show', 'p'])).out).toBe('project p has nothing yet: it begins with its first task\n');
  });

  it('a project that there is not, and a place that is none', async () => {
    await dats.serve(recoveryServer());
    expect(await dats(['project', 'show', 'x'])).toEqual({ code: 1, out: '', err: 'dats: Title: project "x" has no task\n' });
    expect(await dats(['project', 'show', 'x', '--at', 'noon'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^dats: --at "noon" is no place in history; .*\n$/),
    });
  });
});
