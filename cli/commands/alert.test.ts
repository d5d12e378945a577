import { afterEach, describe, expect, it } from 'vitest';
import { recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);
const ALERT = ['alert', 'secret_leaked', '--severity', 'high', '--artifact', 'a1', '--detail', 'a key'];

describe('dats alert', () => {
  it('is kept; where policy asks for no cascade that is said', async () => {
    await dats.serve(recoveryServer());
    expect(await dats(ALERT)).toEqual({
      code: 0,
      out: 'alert al1 (project p)\n',
      err: 'no cascade begins: cascade of servers.yaml asks for none\n',
    });
    expect(dats.posted('security-alerts')).toEqual([
      { body: { kind: 'secret_leaked', severity: 'high', artifact_id: 'a1', detail: 'a key' }, keyed: true },
    ]);
  });

  it('names the cascade that it begins, and follows it with --wait', async () => {
    await dats.serve(recoveryServer({ begins: 'c1' }));
    expect(await dats(ALERT)).toEqual({
      code: 0,
      out: 'alert al1 (project p); cascade c1 begins\n',
      err: 'watch it with: dats cascade watch c1\n',
    });
    expect((await dats([...ALERT, '--wait'])).out).toContain('tainted   src/a.ts  a  named\n');
  });

  it.each<[readonly string[], RegExp]>([
    [
      ['alert', 'k', '--severity', 'bad', '--task', 't', '--detail', 'd'],
      /^dats: --severity "bad" is not one of low, medium, high, critical\n$/,
    ],
    [['alert', 'k', '--severity', 'low', '--detail', 'd'], /^dats: give exactly one of artifact_id and task_id\n$/],
    [['alert', 'k', '--detail', 'd'], /^dats: required option '--severity <severity>' not specified; see dats --help\n$/],
  ])('%j: exit code 2, one plain line', async (argv, said) => {
    const { code, err } = await dats(argv);
    expect(code).toBe(2);
    expect(err).toMatch(said);
  });
});
