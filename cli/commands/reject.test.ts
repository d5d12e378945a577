import { afterEach, describe, expect, it } from 'vitest';
import { recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

describe('dats reject', () => {
  it('says which attempt is rejected, and what that begins', async () => {
    await dats.serve(recoveryServer({ begins: 'c1' }));
    expect(await dats(['reject', 't9', '--reason', 'rounds wrongly'])).toEqual({
      code: 0,
      out: 't9: attempt 2 is rejected; cascade c1 begins\n',
      err: 'watch it with: dats cascade watch c1\n',
    });
    expect(dats.posted('tasks/t9/reject')).toEqual([{ body: { reason: 'rounds wrongly' }, keyed: true }]);
  });

  it('with --json and --wait: the answer, the events, the cascade', async () => {
    await dats.serve(recoveryServer({ begins: 'c1' }));
    const lines = (await dats(['reject', 't9', '--reason', 'r', '--wait', '--json'])).out.trim().split('\n');
    expect(lines).toHaveLength(7);
    expect(JSON.parse(lines[0]!)).toEqual({ task_id: 't9', attempt: 2, cascade_id: 'c1' });
  });

  it('wants a reason', async () => {
    expect(await dats(['reject', 't9'])).toMatchObject({ code: 2, err: expect.stringContaining("required option '--reason <text>'") });
  });
});
