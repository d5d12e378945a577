import { describe, expect, it } from 'vitest';
import { aNode } from '../commands/testing/recovery-server.js';
import { anEvent } from '../testing.js';
import { impactTree, openCascadeLines } from './index.js';

describe('a tree of what is reached', () => {
  it('shows at the top what was reached through something that is not listed', () => {
    expect(impactTree({ nodes: [aNode('b', 1, 'not-listed'), aNode('c', 2, 'b', { path: null, model: null })] })).toEqual([
      'src/b.ts  b  m',
      '└─ (not recorded here)  c',
    ]);
  });
});

describe('the lines of a cascade', () => {
  const marked = { cascade_id: 'c', task_id: 't' };
  const tainted = (depth: number) =>
    anEvent('dats.artifact.tainted', 'a', {
      ...marked,
      artifact_id: 'a',
      path: 'a.ts',
      depth,
      via: 'r',
      edge: 'derived',
      cause: 'edge',
      reason: 'why',
    });

  it('go to the right with the depth, up to a limit', () => {
    const line = openCascadeLines();
    expect(line(tainted(2))).toBe('  +0.00s  tainted       a.ts  a');
    expect(line(tainted(500))).toBe(line(tainted(20)));
  });

  it('tell where a suspect lies when its verdict comes, and that it was marked before where that was not seen', () => {
    const line = openCascadeLines();
    const verdict = anEvent('dats.artifact.revalidated', 'a', {
      ...marked,
      artifact_id: 'a',
      attempt: 1,
      verdict: 'failed',
      profile: 'tests',
      checks: [],
      reasons: [],
    });
    line(anEvent('dats.artifact.suspect', 'a', { ...marked, artifact_id: 'a', path: 'a.ts', depth: 1, via: 'r', edge: 'informed' }));
    expect(line(verdict)).toBe('  +0.00s  failed      a.ts  a');
    expect(openCascadeLines()(verdict)).toBe('  +0.00s  failed    (marked before)  a');
  });
});
