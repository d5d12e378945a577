import { describe, expect, it } from 'vitest';
import type { EventOf } from '../../schemas/index.js';
import { artifactId, type CascadeWorld, openCascadeWorld, POLICY, requestOf } from './testing/cascade-world.js';

const markOf = (world: CascadeWorld, id: string) => world.project.marks.of(world.project.graph.indexOf(id));
const marksOf = (world: CascadeWorld, ids: readonly string[]) => ids.map((id) => markOf(world, id));
const endOf = (world: CascadeWorld, id: string): EventOf<'dats.cascade.completed'>['data'] | undefined =>
  world.of('dats.cascade.completed').find(({ data }) => data.cascade_id === id)?.data;

describe('a cascade', () => {
  it('taints the root, what derives from it, and what was read beside it and does not pass without it', () => {
    const world = openCascadeWorld((id) => (id === artifactId('c', 'c.py') ? 'failed' : 'cleared'));
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const a2 = world.make('a2', { 'a.py': 'A2' }, [a])['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [a])['b.py']!;
    const c = world.make('c', { 'c.py': 'C' }, [a])['c.py']!;
    const afterB = world.make('d', { 'd.py': 'D' }, [b])['d.py']!;
    const afterC = world.make('e', { 'e.py': 'E' }, [c])['e.py']!;
    const other = world.make('f', { 'f.py': 'F' })['f.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    expect(marksOf(world, [a, a2, b, c, afterB, afterC, other])).toEqual([
      'tainted',
      'tainted',
      'clean',
      'tainted',
      'clean',
      'clean',
      'clean',
    ]);
    expect(world.of('dats.artifact.suspect').map(({ data }) => [data.artifact_id, data.depth, data.via])).toEqual([
      [b, 1, a],
      [c, 1, a],
      [afterC, 2, c],
    ]);
    expect(endOf(world, 'c1')).toMatchObject({ outcome: 'completed', tainted: 3, cleared: 2, suspect: 0, depth: 2 });
    expect(world.of('dats.cascade.started')[0]!.data).toMatchObject({ roots: 1, reach: { artifacts: 6, tasks: 6, depth: 2 } });
  });

  it('asks for a check without what is tainted, and with the version that stands in its place', () => {
    const world = openCascadeWorld();
    const old = world.make('a1', { 'a.py': 'old' })['a.py']!;
    const bad = world.make('a2', { 'a.py': 'bad' })['a.py']!;
    const good = world.make('a3', { 'a.py': 'good' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [bad])['b.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: bad }));
    world.settle();
    const work = world.work[0]!.data;
    expect(work).toMatchObject({
      kind: 'revalidate',
      task_id: 'b',
      qa_profile: 'tests',
      revalidate: { cascade_id: 'c1', artifact_id: b, without: [bad] },
    });
    expect(work.revalidate!.instead.map(({ artifact_id }) => artifact_id)).toEqual([good]);
    expect(world.log[work.context.output!]!.type).toBe('dats.task.output.created');
    expect(world.log[work.context.created]!.subject).toBe('b');
    expect(markOf(world, old)).toBe('clean');
  });

  it('begins by a selector: a model, a node, a prompt version, a time', () => {
    const world = openCascadeWorld();
    const early = world.make('a', { 'a.py': 'A' }, [], { model: 'x' })['a.py']!;
    world.now += 60_000;
    const late = world.make('b', { 'b.py': 'B' }, [], { model: 'x' })['b.py']!;
    const other = world.make('c', { 'c.py': 'C' }, [], { model: 'y' })['c.py']!;
    world.append(
      'dats.cascade.requested',
      requestOf('c1', { model: 'x', node: 'edge-1', prompt_version: 'generate@1', from: '2026-01-01T00:00:30Z' }),
    );
    world.settle();
    expect(marksOf(world, [early, late, other])).toEqual(['clean', 'tainted', 'clean']);
  });

  it('ends at once where the selector names nothing', () => {
    const world = openCascadeWorld();
    world.make('a', { 'a.py': 'A' });
    world.append('dats.cascade.requested', requestOf('c1', { model: 'nobody' }));
    world.settle();
    expect(endOf(world, 'c1')).toMatchObject({ outcome: 'completed', tainted: 0 });
  });

  it('says that it was cut where a limit left something out, and marks nothing beyond', () => {
    const world = openCascadeWorld(() => 'failed');
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push(world.make(`t${i}`, { 'a.py': `v${i}` }, ids.slice(-1))['a.py']!);
    world.append('dats.cascade.requested', requestOf('deep', { artifact_id: ids[0]! }, { max_depth: 2 }));
    world.settle();
    expect(endOf(world, 'deep')).toMatchObject({ outcome: 'cut', tainted: 3, detail: 'deeper than 2 steps were reached' });
    world.append('dats.cascade.requested', requestOf('wide', { artifact_id: ids[0]! }, { max_artifacts: 4 }));
    world.settle();
    expect(endOf(world, 'wide')).toMatchObject({ outcome: 'cut', tainted: 1, already_tainted: 3 });
    expect(markOf(world, ids[5]!)).toBe('clean');
  });

  it('marks no more a second than it may, and says how far it is', () => {
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    for (let i = 0; i < 30; i++) world.make(`b${i}`, { 'a.py': `B${i}` }, [a]);
    const began = world.now;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { per_second: 10 }));
    world.settle();
    expect(endOf(world, 'c1')).toMatchObject({ tainted: 31 });
    expect(world.now - began).toBeGreaterThanOrEqual(2_900);
    const progress = world.of('dats.cascade.progressed').map(({ data }) => data.remaining);
    expect(progress.length).toBeGreaterThan(5);
    expect([...progress].sort((x, y) => y - x)).toEqual(progress);
  });

  it('checks no more suspects at a time than it may; who does not answer in time is unproven, and tainted', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    for (let i = 0; i < 5; i++) world.make(`b${i}`, { [`b${i}.py`]: `B${i}` }, [a]);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { revalidations: 2 }));
    for (let i = 0; i < 10; i++) world.turn();
    expect(world.work).toHaveLength(2);
    world.settle();
    expect(world.work).toHaveLength(5);
    expect(endOf(world, 'c1')).toMatchObject({ tainted: 6, cleared: 0 });
    expect(new Set(world.of('dats.artifact.revalidated').map(({ data }) => data.verdict))).toEqual(new Set(['unproven']));
  });

  it('clears the unproven where it was asked to', () => {
    const world = openCascadeWorld(() => 'unproven');
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [a])['b.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { unproven: 'clear' }));
    world.settle();
    expect(markOf(world, b)).toBe('clean');
  });

  it('reaches what is made from something tainted while it runs', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    world.make('b', { 'b.py': 'B' }, [a]);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    for (let i = 0; i < 6; i++) world.turn();
    const late = world.make('late', { 'a.py': 'A3' }, [a])['a.py']!;
    world.settle();
    expect(markOf(world, late)).toBe('tainted');
    expect(world.of('dats.cascade.started')).toHaveLength(1);
  });

  it('begins anew for what is made from something tainted after it was over, and leaves what it had cleared alone', () => {
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [a])['b.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    const late = world.make('late', { 'a.py': 'A3', 'z.py': 'Z' }, [a]);
    world.settle();
    expect(world.of('dats.cascade.started').map(({ data }) => data.trigger)).toEqual(['request', 'late_use']);
    expect(marksOf(world, [b, late['a.py']!, late['z.py']!])).toEqual(['clean', 'tainted', 'clean']);
    expect(world.of('dats.artifact.suspect').filter(({ data }) => data.artifact_id === b)).toHaveLength(1);
  });

  it('goes round a circle once', () => {
    const world = openCascadeWorld(() => 'failed');
    const a = artifactId('a', 'a.py');
    const b = artifactId('b', 'b.py');
    world.make('a', { 'a.py': 'A' }, [b]);
    world.make('b', { 'b.py': 'B' }, [a]);
    const reworked = world.make('a', { 'a.py': 'A again' }, [b], { attempt: 2, creates: false })['a.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    expect(marksOf(world, [a, b, reworked])).toEqual(['tainted', 'tainted', 'tainted']);
    expect(world.of('dats.artifact.tainted')).toHaveLength(3);
    expect(endOf(world, 'c1')).toMatchObject({ outcome: 'completed', tainted: 3 });
  });

  it('stops when it is cancelled: what it marked stays, verdicts that come late change nothing', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [a])['b.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    for (let i = 0; i < 8; i++) world.turn();
    expect(world.work).toHaveLength(1);
    world.append('dats.cascade.cancel.requested', { cascade_id: 'c1', reason: 'enough', by: 'ada' });
    world.settle();
    expect(endOf(world, 'c1')).toMatchObject({ outcome: 'cancelled', tainted: 1, suspect: 1 });
    const late = { cascade_id: 'c1', artifact_id: b, task_id: 'b', attempt: 1, profile: 'tests' as const, checks: [], reasons: ['no'] };
    world.append('dats.artifact.revalidated', { ...late, verdict: 'failed' });
    world.settle();
    expect(marksOf(world, [a, b])).toEqual(['tainted', 'suspect']);
    expect(world.of('dats.cascade.completed')).toHaveLength(1);
  });

  it('asked for twice under one id, happens once', () => {
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    expect(world.types().filter((type) => type.startsWith('dats.cascade.') && type !== 'dats.cascade.requested')).toEqual([
      'dats.cascade.started',
      'dats.cascade.completed',
    ]);
    expect(world.of('dats.artifact.tainted')).toHaveLength(1);
  });
});

describe('what comes at the wrong moment', () => {
  it('a check that was made while something else bad was in place does not clear for good', () => {
    const world = openCascadeWorld((id, without) =>
      id === artifactId('a', 'a.py') || without.includes(artifactId('a', 'a.py')) ? 'failed' : 'cleared',
    );
    const root = world.make('r', { 'r.py': 'R' })['r.py']!;
    const a = world.make('a', { 'a.py': 'A' }, [root])['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [root, a])['b.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: root }));
    world.settle();
    expect(marksOf(world, [root, a, b])).toEqual(['tainted', 'tainted', 'tainted']);
  });

  it('a suspect that is tainted while it is to be cleared is not cleared again and again', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' }, [a])['b.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { unproven: 'clear' }));
    while (world.work.length === 0) world.turn();
    world.append('dats.cascade.requested', requestOf('c2', { artifact_id: b }));
    const said = {
      cascade_id: 'c1',
      artifact_id: b,
      task_id: 'b',
      attempt: 1,
      verdict: 'unproven' as const,
      profile: 'tests' as const,
      checks: [],
      reasons: ['no'],
    };
    world.append('dats.artifact.revalidated', said);
    world.settle();
    expect(markOf(world, b)).toBe('tainted');
    expect(world.of('dats.artifact.revalidated').length).toBeLessThan(4);
    expect(['c1', 'c2'].map((id) => endOf(world, id)?.outcome)).toEqual(['completed', 'completed']);
  });

  it('an artifact counts once against the limit, though it was suspect before it is tainted', () => {
    const world = openCascadeWorld(() => 'failed');
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    for (let i = 0; i < 8; i++) world.make(`b${i}`, { [`b${i}.py`]: `B${i}` }, [a]);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { max_artifacts: 9 }));
    world.settle();
    expect(endOf(world, 'c1')).toMatchObject({ outcome: 'completed', tainted: 9 });
  });

  it('an owner whose clock is behind goes on at once', () => {
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    for (let i = 0; i < 5; i++) world.make(`b${i}`, { 'a.py': `B${i}` }, [a]);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { per_second: 4 }));
    while (world.of('dats.artifact.tainted').length === 0) world.turn();
    const before = world.now;
    world.now -= 3_600_000;
    world.crash();
    world.settle();
    expect(endOf(world, 'c1')).toMatchObject({ tainted: 6 });
    expect(world.now).toBeLessThan(before);
  });

  it('what is made from something tainted while its cascade is being cancelled begins one of its own', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    world.make('b', { 'b.py': 'B' }, [a]);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    while (world.work.length === 0) world.turn();
    world.append('dats.cascade.cancel.requested', { cascade_id: 'c1', reason: 'enough', by: 'ada' });
    const late = world.make('late', { 'a.py': 'A3' }, [a])['a.py']!;
    world.settle();
    expect(world.of('dats.cascade.started').map(({ data }) => data.trigger)).toEqual(['request', 'late_use']);
    expect(markOf(world, late)).toBe('tainted');
  });

  it('one output made from many tainted files is checked once', () => {
    const world = openCascadeWorld();
    const bad = Array.from({ length: 5 }, (_, i) => world.make(`a${i}`, { [`a${i}.py`]: `A${i}` }, [], { model: 'bad' })[`a${i}.py`]!);
    world.append('dats.cascade.requested', requestOf('c1', { model: 'bad' }));
    world.settle();
    const late = world.make('late', { 'l.py': 'L' }, bad)['l.py']!;
    world.settle();
    expect(world.of('dats.artifact.suspect').filter(({ data }) => data.artifact_id === late)).toHaveLength(1);
    expect(
      world.work.filter(({ data }) => data.revalidate?.artifact_id === late).map(({ data }) => data.revalidate!.without.length),
    ).toEqual([5]);
  });

  it('what is no event of its type says nothing, and the others go on', () => {
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const odd = world.append('dats.cascade.requested', requestOf('c0', { artifact_id: a }));
    world.log[world.log.length - 1] = { ...odd, time: 'some day or another' };
    const broken = { rollback_id: 'r', artifact_id: a, task_id: 'a', path: 'a.py', to: 'never made' };
    world.append('dats.artifact.reverted', broken);
    world.append('dats.artifact.tainted', {
      ...requestOf('c1', {}),
      artifact_id: a,
      task_id: 'a',
      path: 'a.py',
      depth: 0,
      cause: 'root',
    } as never);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    expect(endOf(world, 'c0')).toBeUndefined();
    expect(endOf(world, 'c1')).toMatchObject({ outcome: 'completed', tainted: 1 });
  });

  it('a late output of an earlier attempt is not what was accepted', () => {
    const world = openCascadeWorld();
    world.make('a', { 'a.py': 'first' }, [], { open: true });
    const second = world.make('a', { 'a.py': 'second' }, [], { attempt: 2, creates: false, open: true })['a.py']!;
    world.make('a', { 'b.py': 'late' }, [], { attempt: 1, creates: false, open: true });
    world.append('dats.task.completed', { task_id: 'a', attempt: 2, provenance_id: 'x', execution_time_ms: 1 });
    world.settle();
    expect([...world.project.versions.paths()].map((path) => world.project.graph.idOf(world.project.versions.head(path)))).toEqual([
      second,
    ]);
  });
});

describe('two cascades that overlap', () => {
  it('mark an artifact tainted once, and each reaches all that is below', () => {
    const world = openCascadeWorld(() => 'failed');
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' })['b.py']!;
    const both = world.make('c', { 'c.py': 'C' }, [a, b])['c.py']!;
    const below = world.make('d', { 'd.py': 'D' }, [both])['d.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.append('dats.cascade.requested', requestOf('c2', { artifact_id: b }));
    world.settle();
    expect(marksOf(world, [a, b, both, below])).toEqual(Array(4).fill('tainted'));
    expect(
      world
        .of('dats.artifact.tainted')
        .map(({ data }) => data.artifact_id)
        .sort(),
    ).toEqual([a, b, both, below].sort());
    expect(['c1', 'c2'].map((id) => endOf(world, id)?.outcome)).toEqual(['completed', 'completed']);
  });

  it('leave an artifact suspect until both have cleared it, each without what is tainted by then', () => {
    const asked: string[][] = [];
    const world = openCascadeWorld((_, without) => {
      asked.push([...without]);
      return 'cleared';
    });
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const b = world.make('b', { 'b.py': 'B' })['b.py']!;
    const both = world.make('c', { 'c.py': 'C' }, [a, b])['c.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    world.settle();
    expect(markOf(world, both)).toBe('clean');
    world.append('dats.cascade.requested', requestOf('c2', { artifact_id: b }));
    world.settle();
    expect(asked).toEqual([[a], [a, b]]);
    expect(markOf(world, both)).toBe('clean');
  });

  it('go on where the other was stopped', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const chain = [a];
    for (let i = 0; i < 4; i++) chain.push(world.make(`n${i}`, { 'a.py': `N${i}` }, [chain.at(-1)!])['a.py']!);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }, { max_depth: 1 }));
    world.settle();
    world.append('dats.cascade.requested', requestOf('c2', { artifact_id: a }));
    world.settle();
    expect(marksOf(world, chain)).toEqual(Array(5).fill('tainted'));
    expect(endOf(world, 'c2')).toMatchObject({ outcome: 'completed', already_tainted: 2, tainted: 3 });
  });
});

describe('by policy', () => {
  const alert = (artifact_id: string, severity: 'low' | 'high') =>
    ({ alert_id: `alert-${severity}`, kind: 'secret_leaked', severity, artifact_id, detail: 'a key', by: 'scanner' }) as const;

  it('a security alert begins a cascade, from its severity on', () => {
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    world.append('dats.security.alert', alert(a, 'low'));
    world.settle();
    expect(world.of('dats.cascade.started')).toEqual([]);
    world.append('dats.security.alert', alert(a, 'high'));
    world.settle();
    expect(world.of('dats.cascade.started').map(({ data }) => [data.trigger, data.by, data.reason])).toEqual([
      ['security_alert', 'scanner', 'secret_leaked: a key'],
    ]);
    expect(markOf(world, a)).toBe('tainted');
  });

  it('a rejection that comes after the end begins one; a verdict recorded twice does not', () => {
    const rejected = { task_id: 'a', attempt: 1, profile: 'tests' as const, checks: [], score: 0, reasons: ['wrong'], retryable: false };
    const world = openCascadeWorld();
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    const verdict = world.of('dats.task.validated')[0]!.id;
    world.append('dats.task.rejected', rejected, verdict);
    world.settle();
    expect(world.of('dats.cascade.started')).toEqual([]);
    world.append('dats.task.rejected', rejected, 'another-verdict');
    world.settle();
    expect(world.of('dats.cascade.started').map(({ data }) => data.trigger)).toEqual(['late_rejection']);
    expect(markOf(world, a)).toBe('tainted');
    const lenient = openCascadeWorld(undefined, { ...POLICY, on_late_rejection: false });
    lenient.make('a', { 'a.py': 'A' });
    lenient.append('dats.task.rejected', rejected, 'another-verdict');
    lenient.settle();
    expect(lenient.of('dats.cascade.started')).toEqual([]);
  });
});
