import { afterEach, describe, expect, it } from 'vitest';
import { aCascade, recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

const mark = { task_id: 't1', via: null, verdict: null } as const;

describe('dats cascade', () => {
  it('list: newest first, by project and state', async () => {
    await dats.serve(recoveryServer());
    const { code, out } = await dats(['cascade', 'list', '--project', 'p', '--state', 'running', '--limit', '5']);
    expect(code).toBe(0);
    expect(out).toMatch(/^CASCADE {2}STATE .*\nc1 {7}completed {2}p .* artifact a {2}bad precedence\n$/);
    expect(dats.requests[0]!.url).toBe('/api/v1/cascades?project_id=p&state=running&limit=5');
    expect(await dats(['cascade', 'list', '--state', 'gone'])).toMatchObject({
      code: 2,
      err: 'dats: --state "gone" is not one of requested, running, cancelling, completed, cut, cancelled\n',
    });
  });

  it('show: how it stands, and what it marked', async () => {
    const marks = [
      { ...mark, artifact_id: 'a', path: 'src/a.ts', depth: 0, state: 'tainted' as const },
      { ...mark, artifact_id: 'b', path: 'src/b.ts', depth: 1, state: 'tainted' as const, verdict: 'unproven' as const },
    ];
    await dats.serve(recoveryServer({ cascade: aCascade({ marks, truncated: true }) }));
    const { out } = await dats(['cascade', 'show', 'c1']);
    expect(out).toBe(
      [
        'cascade    c1',
        'project    p',
        'state      completed',
        'because    bad precedence (request, by ada)',
        'bad        artifact a (1 root)',
        'reaches    3 artifacts of 2 tasks, depth 2',
        'marked     2 tainted, 1 cleared, depth 2',
        'begun      2026-11-21T10:00:00.000Z',
        'ended      2026-11-21T10:00:02.500Z (took 2.50s)',
        '  tainted   src/a.ts  a',
        '  tainted     src/b.ts  b (revalidation: unproven)',
        '  (the first 2)',
        '',
      ].join('\n'),
    );
  });

  it('watch: to its end; exit code 1 where it was cancelled', async () => {
    await dats.serve(recoveryServer({ cascade: aCascade({ state: 'cancelled' }) }));
    const { code, out } = await dats(['cascade', 'watch', 'c1']);
    expect(code).toBe(1);
    expect(out).toContain('tainted   src/a.ts');
    expect(out).toContain('state      cancelled\n');
  });

  it('cancel: sends the reason under a key, and says how it stands', async () => {
    await dats.serve(recoveryServer());
    expect(await dats(['cascade', 'cancel', 'c1', '--reason', 'wrong one'])).toEqual({ code: 0, out: 'c1: cancelling\n', err: '' });
    expect(dats.posted('cascades/c1/cancel')).toEqual([{ body: { reason: 'wrong one' }, keyed: true }]);
  });
});
