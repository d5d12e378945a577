import { describe, expect, it } from 'vitest';
import { type DataOf, serversSchema } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { fixed } from '../policies.js';
import { routingDecider } from '../routing/index.js';
import { schedulingDecider } from '../scheduling/index.js';
import { creation, openWorld, output } from '../testing/pipeline-world.js';

const policy = serversSchema.parse({ version: 1 }).scheduling;
const openPipeline = () =>
  openWorld(() => [
    routingDecider(fixed({ askModelBelow: 0, modelAvailable: false })) as Decider,
    schedulingDecider(fixed(policy)) as Decider,
  ]);
const text = { sha256: '0'.repeat(64), bytes: 30, content: 'Write a Python function add(a, b)' };

describe('deciders that share a partition', () => {
  it('decide until quiet: a submission is analysed and ready in one commit', () => {
    const world = openPipeline();
    world.append('dats.task.created', creation('a', { description: text }));
    world.step();
    expect(world.types('a')).toEqual(['dats.task.created', 'dats.task.analyzed', 'dats.task.ready']);
    expect(world.log.slice(1).map((r) => r.headers['afteroffset'])).toEqual(['0', '0']);
  });

  it('answer every one of several events that were said at once', () => {
    const world = openPipeline();
    world.append('dats.task.created', creation('a', { description: text, options: { decompose: true, qa_profile: 'none' } }));
    world.step();
    expect(world.work.map((w) => w.data.kind)).toEqual(['decompose']);
    const children: DataOf<'dats.task.decomposed'>['children'] = ['a1', 'a2', 'a3'].map((task_id) => ({
      task_id,
      title: task_id,
      description: text,
      depends_on: [],
    }));
    world.append('dats.task.decomposed', { task_id: 'a', planner: { name: 'test', version: '1' }, children });
    world.step();
    expect(world.work.slice(1).map((w) => [w.data.kind, w.data.task_id])).toEqual(['a1', 'a2', 'a3'].map((id) => ['generate', id]));
    for (const id of ['a1', 'a2', 'a3']) world.append('dats.task.output.created', output({ task_id: id, attempt: 1 }));
    world.step();
    expect(world.terminals('a')).toEqual(['dats.task.completed']);
    expect([...world.saved.keys()].filter((key) => !key.startsWith('scheduling/c/') && key !== 'scheduling/k/clock')).toEqual([]);
  });

  it('do not take their own events a second time when they come back from the log', () => {
    const world = openPipeline();
    world.append('dats.task.created', creation('a', { description: text }));
    world.step();
    const before = world.log.length;
    world.step();
    world.restart();
    world.step();
    expect(world.log).toHaveLength(before);
  });
});
