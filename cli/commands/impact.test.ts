import { afterEach, describe, expect, it } from 'vitest';
import { aNode, anImpact, recoveryServer } from './testing/recovery-server.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

describe('dats impact', () => {
  it('counts, and shows each artifact below what it was reached from', async () => {
    const nodes = [
      aNode('a', 0, null),
      aNode('b', 1, 'a', { mark: 'tainted' }),
      aNode('c', 1, 'a', { edge: 'informed' }),
      aNode('d', 2, 'b', { head: false, model: null }),
    ];
    await dats.serve(recoveryServer({ nodes }));
    const { code, out, err } = await dats(['impact', 'a', '--depth', '4']);
    expect(code).toBe(0);
    expect(out.split('\n').slice(5)).toEqual([
      'src/a.ts  a  m',
      '├─ src/b.ts  b  m, TAINTED',
      '│  └─ src/d.ts  d  superseded',
      '└─ src/c.ts  c  m, read beside',
      '',
    ]);
    expect(err).toBe('found in 1ms\n');
    expect(dats.requests[0]!.url).toBe('/api/v1/impact/a?direction=down&depth=4&limit=200');
  });

  it('upwards says nothing of redoing, and says that a limit cut it', async () => {
    await dats.serve(recoveryServer({ impacts: [anImpact({ cut: true })] }));
    const { out } = await dats(['impact', 'a', '--up']);
    expect(out).not.toContain('to redo');
    expect(out).toContain('a limit cut it: there is more\n');
    expect(dats.requests[0]!.url).toContain('direction=up');
  });
});
