import { describe, expect, it } from 'vitest';
import type { DataOf, EventOf } from '../../schemas/index.js';
import { redoIdOf } from './rollback.js';
import { type CascadeWorld, openCascadeWorld, requestOf } from './testing/cascade-world.js';

type Request = DataOf<'dats.rollback.requested'>;
const rollback = (rollback_id: string, target: Request['target'], tasks: Request['tasks'] = 'close'): Request => ({
  rollback_id,
  target,
  tasks,
  reason: 'it was wrong',
  by: 'ada',
});
const ask = (world: CascadeWorld, ...given: Parameters<typeof rollback>): void => {
  world.append('dats.rollback.requested', rollback(...given));
  world.settle();
};
const head = (world: CascadeWorld, path: string): string | undefined => {
  const index = world.project.versions.head(path);
  return index < 0 ? undefined : world.project.graph.idOf(index);
};
const endOf = (world: CascadeWorld, id: string): EventOf<'dats.rollback.completed'>['data'] | undefined =>
  world.of('dats.rollback.completed').find(({ data }) => data.rollback_id === id)?.data;

describe('a rollback', () => {
  it('of a cascade takes paths back to their last good versions, and those without one away', () => {
    const world = openCascadeWorld();
    const v1 = world.make('a1', { 'a.py': '1' })['a.py']!;
    const v2 = world.make('a2', { 'a.py': '2', 'new.py': 'n' }, [v1]);
    const v3 = world.make('a3', { 'a.py': '3' }, [v2['a.py']!])['a.py']!;
    world.append('dats.cascade.requested', requestOf('c1', { task_id: 'a2' }));
    world.settle();
    ask(world, 'r1', { kind: 'cascade', cascade_id: 'c1' });
    expect([head(world, 'a.py'), head(world, 'new.py')]).toEqual([v1, undefined]);
    expect(world.of('dats.artifact.reverted').map(({ data }) => [data.path, data.artifact_id, data.to])).toEqual([
      ['a.py', v3, v1],
      ['new.py', v2['new.py'], undefined],
    ]);
    expect(endOf(world, 'r1')).toMatchObject({ outcome: 'completed', reverted: 2, restored: 0, skipped: 0 });
  });

  it('of a task takes back what it and its subtasks made, and what was made from that', () => {
    const world = openCascadeWorld();
    const keep = world.make('k', { 'k.py': 'k' })['k.py'];
    world.make('parent', {}, [], { open: true });
    const part = world.make('part', { 'a.py': 'a' }, [], { parent: 'parent' })['a.py']!;
    world.make('on top', { 'b.py': 'b' }, [part]);
    ask(world, 'r1', { kind: 'task', task_id: 'parent' });
    expect(['k.py', 'a.py', 'b.py'].map((path) => head(world, path))).toEqual([keep, undefined, undefined]);
    expect(world.of('dats.task.cancel.requested').map(({ data }) => data.task_id)).toEqual(['parent']);
  });

  it('to a place in the log lets everything stand as it stood there, but for what is known to be bad by now', () => {
    const world = openCascadeWorld();
    const v1 = world.make('a1', { 'a.py': '1', 'b.py': 'b1' });
    const v2 = world.make('a2', { 'a.py': '2' })['a.py']!;
    const then = world.log.length;
    world.make('a3', { 'a.py': '3', 'b.py': 'b3', 'c.py': 'c3' });
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: v2 }));
    world.settle();
    ask(world, 'r1', { kind: 'offset', offset: then, said: 'p0-9' });
    expect(['a.py', 'b.py', 'c.py'].map((path) => head(world, path))).toEqual([v1['a.py'], v1['b.py'], undefined]);
    expect(world.of('dats.rollback.started')[0]!.data).toMatchObject({ paths: 3, config_then: '1', config_now: '1' });
  });

  it('past a change of the configuration says under which it was then, and under which it is now', () => {
    const world = openCascadeWorld();
    world.make('a1', { 'a.py': '1' });
    const then = world.log.length;
    world.make('a2', { 'a.py': '2' });
    for (let i = then; i < world.log.length; i++) world.log[i] = { ...world.log[i]!, configversion: '2' };
    const event = world.append('dats.rollback.requested', rollback('r1', { kind: 'offset', offset: then, said: 'then' }));
    world.log[world.log.length - 1] = { ...event, configversion: '2' };
    world.settle();
    expect(world.of('dats.rollback.started')[0]!.data).toMatchObject({ config_then: '1', config_now: '2' });
  });

  it('can be rolled back, and that as well', () => {
    const world = openCascadeWorld();
    const v1 = world.make('a1', { 'a.py': '1' })['a.py'];
    const v2 = world.make('a2', { 'a.py': '2', 'b.py': 'b' });
    ask(world, 'r1', { kind: 'task', task_id: 'a2' });
    expect([head(world, 'a.py'), head(world, 'b.py')]).toEqual([v1, undefined]);
    ask(world, 'r2', { kind: 'rollback', rollback_id: 'r1' });
    expect([head(world, 'a.py'), head(world, 'b.py')]).toEqual([v2['a.py'], v2['b.py']]);
    expect(world.of('dats.artifact.restored').map(({ data }) => [data.path, data.replaces, data.mark])).toEqual([
      ['a.py', v1, 'clean'],
      ['b.py', undefined, 'clean'],
    ]);
    ask(world, 'r3', { kind: 'rollback', rollback_id: 'r2' });
    expect([head(world, 'a.py'), head(world, 'b.py')]).toEqual([v1, undefined]);
    expect(['r1', 'r2', 'r3'].map((id) => endOf(world, id)?.outcome)).toEqual(Array(3).fill('completed'));
  });

  it('passes over versions that were taken back before', () => {
    const world = openCascadeWorld();
    const v1 = world.make('a1', { 'a.py': '1' })['a.py'];
    world.make('a2', { 'a.py': '2' });
    ask(world, 'r1', { kind: 'task', task_id: 'a2' });
    world.make('a3', { 'a.py': '3' });
    ask(world, 'r2', { kind: 'task', task_id: 'a3' });
    expect(head(world, 'a.py')).toBe(v1);
  });

  it('leaves a path that has a newer version when its turn comes', () => {
    const world = openCascadeWorld();
    world.make('a1', { 'a.py': '1' });
    world.make('a2', { 'a.py': '2' });
    world.append('dats.rollback.requested', rollback('r1', { kind: 'task', task_id: 'a2' }));
    world.turn();
    const newer = world.make('a3', { 'a.py': '3' })['a.py'];
    world.settle();
    expect(head(world, 'a.py')).toBe(newer);
    expect(endOf(world, 'r1')).toMatchObject({ outcome: 'completed', reverted: 0, skipped: 1 });
  });

  it('does the tasks behind it anew, in their order, on what stands now', () => {
    const world = openCascadeWorld();
    const base = world.make('base', { 'base.py': 'x' })['base.py']!;
    const first = world.make('first', { 'a.py': 'a' }, [base], { dependsOn: ['base'] })['a.py']!;
    world.make('second', { 'b.py': 'b' }, [first], { dependsOn: ['first'] });
    world.make('waiting', {}, [], { open: true, dependsOn: ['second'] });
    ask(world, 'r1', { kind: 'task', task_id: 'first' }, 'requeue');
    const redone = world.of('dats.task.created').filter(({ data }) => data.redo !== undefined);
    // Each is there before those that depend on it.
    expect(redone.map(({ data }) => data.redo!.task_id)).toEqual(['first', 'second', 'waiting']);
    const of = (task: string) => redone.find(({ data }) => data.redo!.task_id === task)!.data;
    expect(of('first').inputs.map(({ artifact_id }) => artifact_id)).toEqual([base]);
    expect(of('second').depends_on).toEqual([of('first').task_id]);
    expect(of('second').inputs).toEqual([]);
    expect(world.of('dats.task.cancel.requested').map(({ data }) => data.task_id)).toEqual(['waiting']);
    expect(endOf(world, 'r1')).toMatchObject({ tasks_closed: 1, tasks_requeued: 3 });
  });

  it('does not take away a version that was accepted while it was on its way', () => {
    const world = openCascadeWorld();
    const v1 = world.make('a1', { 'a.py': '1' })['a.py']!;
    const v2 = world.make('a2', { 'a.py': '2' })['a.py']!;
    world.append('dats.rollback.requested', rollback('r1', { kind: 'task', task_id: 'a2' }));
    while (world.of('dats.rollback.started').length === 0) world.turn();
    world.turn();
    // Decided before the new version stood, recorded after it.
    const [decided] = world.log.splice(-1);
    expect(decided!.type).toBe('dats.artifact.reverted');
    const v3 = world.make('a3', { 'a.py': '3' })['a.py'];
    world.log.push(decided!, { ...decided!, id: 'again' });
    world.settle();
    expect(head(world, 'a.py')).toBe(v3);
    expect(endOf(world, 'r1')).toMatchObject({ outcome: 'completed', skipped: 1 });
    // What was to be taken back is nevertheless: a later rollback passes over it.
    ask(world, 'r2', { kind: 'task', task_id: 'a3' });
    expect([head(world, 'a.py'), v2 === v1]).toEqual([v1, false]);
  });

  it('waits for the one before: each plans on what that one has left', () => {
    const world = openCascadeWorld();
    const v1 = world.make('a1', { 'a.py': '1' })['a.py'];
    world.make('a2', { 'a.py': '2' });
    world.append('dats.rollback.requested', rollback('r1', { kind: 'task', task_id: 'a2' }));
    world.append('dats.rollback.requested', rollback('r2', { kind: 'task', task_id: 'a2' }));
    world.settle();
    expect(['r1', 'r2'].map((id) => endOf(world, id)?.outcome)).toEqual(['completed', 'nothing_to_do']);
    expect(head(world, 'a.py')).toBe(v1);
  });

  it('of a cascade that is not over is refused', () => {
    const world = openCascadeWorld(() => undefined);
    const a = world.make('a', { 'a.py': 'A' })['a.py']!;
    world.make('b', { 'b.py': 'B' }, [a]);
    world.append('dats.cascade.requested', requestOf('c1', { artifact_id: a }));
    while (world.work.length === 0) world.turn();
    world.append('dats.rollback.requested', rollback('r1', { kind: 'cascade', cascade_id: 'c1' }));
    for (let i = 0; i < 5; i++) world.turn();
    expect(endOf(world, 'r1')).toMatchObject({ outcome: 'refused', detail: 'cascade c1 is not over yet' });
  });

  it('does a parent anew with its subtasks, not beside them', () => {
    const world = openCascadeWorld();
    const base = world.make('base', { 'base.py': 'x' })['base.py']!;
    world.make('parent', {}, [], { open: true, dependsOn: ['base'] });
    world.make('part', { 'a.py': 'a' }, [base], { parent: 'parent' });
    ask(world, 'r1', { kind: 'task', task_id: 'base' }, 'requeue');
    expect(world.of('dats.task.created').flatMap(({ data }) => data.redo?.task_id ?? [])).toEqual(['base', 'parent']);
  });

  it('what is done anew keeps what it depends on: an open task, the subtasks of a parent, the versions that stand', () => {
    const world = openCascadeWorld();
    world.make('parent', {}, [], { open: true });
    const part = world.make('part', { 'p.py': 'p' }, [], { parent: 'parent' })['p.py'];
    world.append('dats.task.completed', { task_id: 'parent', attempt: 0, provenance_id: 'x', execution_time_ms: 1 });
    world.make('running', {}, [], { open: true });
    world.make('old', { 'n.py': '1' });
    const newer = world.make('new', { 'n.py': '2' })['n.py'];
    world.make('mine', { 'm.py': 'm' }, [], { dependsOn: ['parent', 'running', 'old'] });
    ask(world, 'r1', { kind: 'task', task_id: 'mine' }, 'requeue');
    const redone = world.of('dats.task.created').find(({ data }) => data.redo?.task_id === 'mine')!.data;
    expect(redone.depends_on).toEqual(['running']);
    expect(redone.inputs.map(({ artifact_id }) => artifact_id)).toEqual([part, newer]);
  });

  it('ends though a task cannot be done anew, and says so; what depends on it is left as well', () => {
    const world = openCascadeWorld();
    const first = world.make('first', { 'a.py': 'a' })['a.py']!;
    world.make('second', { 'b.py': 'b' }, [first], { dependsOn: ['first'] });
    world.append('dats.rollback.requested', rollback('r1', { kind: 'task', task_id: 'first' }, 'requeue'));
    while (!world.work.some(({ data }) => data.kind === 'redo')) world.turn();
    world.work.length = 0;
    const error = { code: 'too_many_files', message: 'more than 200', retryable: false };
    world.append('dats.task.attempt.failed', { task_id: 'first', attempt: 0, stage: 'generation', error }, redoIdOf('r1', 'first'));
    world.settle();
    expect(endOf(world, 'r1')).toMatchObject({ outcome: 'completed', tasks_requeued: 0 });
    expect(endOf(world, 'r1')!.detail).toContain('task second could not be submitted anew'.replace('second', 'first'));
  });

  it('asks again for a task that was not done anew in time, under the same id', () => {
    const world = openCascadeWorld();
    world.make('first', { 'a.py': 'a' });
    world.append('dats.rollback.requested', rollback('r1', { kind: 'task', task_id: 'first' }, 'requeue'));
    while (!world.work.some(({ data }) => data.kind === 'redo')) world.turn();
    const [lost] = world.work.splice(0);
    world.settle();
    expect(world.work.map(({ id }) => id)).toEqual([lost!.id]);
    expect(endOf(world, 'r1')).toMatchObject({ tasks_requeued: 1 });
  });

  it('of what is not there is refused, and one that would change nothing says so', () => {
    const world = openCascadeWorld();
    world.make('a1', { 'a.py': '1' });
    ask(world, 'r1', { kind: 'cascade', cascade_id: 'nobody' });
    expect(endOf(world, 'r1')).toMatchObject({ outcome: 'refused', detail: 'there is no cascade nobody in this project' });
    ask(world, 'r2', { kind: 'offset', offset: world.log.length, said: 'now' });
    expect(endOf(world, 'r2')).toMatchObject({ outcome: 'nothing_to_do' });
  });

  it('asked for twice under one id, happens once', () => {
    const world = openCascadeWorld();
    world.make('a1', { 'a.py': '1' });
    world.append('dats.rollback.requested', rollback('r1', { kind: 'task', task_id: 'a1' }));
    ask(world, 'r1', { kind: 'task', task_id: 'a1' });
    ask(world, 'r1', { kind: 'task', task_id: 'a1' });
    expect(world.types().filter((type) => type === 'dats.rollback.started' || type === 'dats.artifact.reverted')).toHaveLength(2);
    expect(world.of('dats.rollback.completed')).toHaveLength(1);
  });
});
