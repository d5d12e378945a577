import { describe, expect, it } from 'vitest';
import { creation, output } from '../testing/pipeline-world.js';
import { type BudgetOptions, openBudgetWorld } from './testing/budget-world.js';

const NODE = 'core';
const openWorld = (options: BudgetOptions) => openBudgetWorld({ ...options, node: NODE });
const leave = (world: ReturnType<typeof openWorld>, project = 'p'): void => {
  world.tasks.append('dats.project.move.started', { project_id: project, to: 'edge-1', requested_at: 0 }, project);
  world.settle();
  world.tasks.append('dats.project.released', { project_id: project, to: 'edge-1' }, project);
  world.settle();
};

describe('a project that leaves', () => {
  it('begins nothing more, ends what runs, and says its last word then; what waited is forgotten, also by who looks again after a crash', () => {
    const world = openWorld({ quotas: {}, policy: { max_running_per_project: 1 } });
    world.restarts = true;
    for (const id of ['a', 'b']) world.submit(id, { options: { qa_profile: 'none' } });
    world.settle();
    leave(world);
    expect(world.said('dats.project.moved')).toEqual([]);
    world.answer('a');
    world.settle();
    expect(world.said('dats.project.moved').map(({ data }) => data)).toEqual([
      { project_id: 'p', from: NODE, to: 'edge-1', requested_at: 0 },
    ]);
    expect(world.tasks.work.map(({ data }) => data.task_id)).toEqual(['a']);
    expect([...world.tasks.saved.keys()].filter((key) => !key.endsWith('k/clock'))).toEqual([]);
  });

  it('waits for its cascades to let it go', () => {
    const world = openWorld({ quotas: {} });
    world.tasks.append('dats.project.move.started', { project_id: 'p', to: 'edge-1', requested_at: 0 });
    world.settle();
    expect(world.said('dats.project.moved')).toEqual([]);
    world.tasks.append('dats.project.released', { project_id: 'p', to: 'edge-1' });
    world.settle();
    expect(world.said('dats.project.moved')).toHaveLength(1);
  });

  it('leaves nothing set aside, and nobody of another project waits for a task that is gone', () => {
    const world = openWorld({ quotas: { users: { ada: { requests_per_minute: 1 } } } });
    for (const [id, project] of [
      ['a', 'p'],
      ['b', 'p'],
      ['c', 'q'],
    ] as const) {
      world.submit(id, { submitted_by: 'ada', options: { qa_profile: 'none' } }, project);
      world.settle();
    }
    world.answer('a');
    world.settle();
    const askedFor = () => world.said('dats.quota.requested').map(({ data }) => data.task_id);
    expect(askedFor()).toEqual(['a', 'b']);
    leave(world);
    expect(askedFor()).toEqual(['a', 'b', 'c']);
    const settled = new Set(world.said('dats.quota.consumed').map(({ data }) => data.reservation_id));
    const open = world.said('dats.quota.reserved').filter(({ data }) => data.task_id !== 'c' && !settled.has(data.reservation_id));
    expect(open).toEqual([]);
  });
});

describe('a task that was asked for at another node', () => {
  it('is cancelled also when its cancel comes first, whoever looks again in between', () => {
    const world = openWorld({ quotas: {} });
    world.restarts = true;
    world.tasks.append('dats.task.cancel.requested', { task_id: 'a', reason: 'r', by: 'b' });
    world.settle();
    world.submit('a', { options: { qa_profile: 'none' } });
    world.settle();
    expect(world.tasks.terminals('a')).toEqual(['dats.task.cancelled']);
    expect([...world.tasks.saved.keys()].filter((key) => key.includes('/e/'))).toEqual([]);
  });

  it('is taken in once, however often it was asked for', () => {
    const world = openWorld({ quotas: {} });
    world.submit('a', { options: { qa_profile: 'none' } });
    world.settle();
    world.answer('a');
    world.settle();
    const before = world.tasks.log.length;
    world.tasks.append('dats.task.created', creation('a'));
    world.settle();
    expect(world.tasks.log).toHaveLength(before + 1);
  });

  it('finds what it names here: of a task that is not accepted yet, that was tried again, that has failed, and what came too late', () => {
    const world = openWorld({ quotas: {}, policy: { max_attempts: 2 } });
    world.restarts = true;
    const reject = (attempt: number): void => {
      const verdict = { checks: [], score: 0, reasons: ['no'], retryable: true };
      world.tasks.append('dats.task.rejected', { task_id: 'a', attempt, profile: 'syntax', ...verdict });
      world.settle();
    };
    /** Names what attempt `attempt` of `a` made by its place at another node. */
    const inputsOf = (id: string, attempt: number) => {
      const { artifact_id, path, sha256 } = output({ task_id: 'a', attempt }).artifacts[0]!;
      world.submit(id, { inputs: [{ artifact_id, task_id: 'a', path, sha256, at: 9_999 }] });
      return world.tasks.work.find(({ data }) => data.task_id === id)!.data.context.inputs.map(({ at }) => at);
    };
    const placesOfOutputs = () => world.tasks.log.flatMap(({ type, offset }) => (type === 'dats.task.output.created' ? [offset] : []));

    world.submit('a', { options: { qa_profile: 'syntax' } });
    world.answer('a');
    expect(inputsOf('open', 1)).toEqual([placesOfOutputs()[0]]);
    reject(1);
    world.advance(1_000);
    world.settle();
    world.answer('a', { attempt: 2 });
    expect(inputsOf('tried-again', 1)).toEqual([placesOfOutputs()[0]]);
    reject(2);
    expect(world.tasks.terminals('a')).toEqual(['dats.task.failed']);
    expect(inputsOf('failed', 2)).toEqual([placesOfOutputs()[1]]);
    world.answer('a', { attempt: 3 });
    expect(inputsOf('late', 3)).toEqual([placesOfOutputs()[2]]);
  });
});
