import { describe, expect, it } from 'vitest';
import { type DataOf, isTerminal } from '../../schemas/index.js';
import { isCopy } from '../../streams/index.js';
import { creation, output } from '../testing/pipeline-world.js';
import { eventIn, type MovingNode, type MovingWorld, openMovingWorld } from './testing/moving-world.js';

const EDGES = ['edge-1', 'edge-2'];
const P = 'p';

const request = (node: MovingNode, to: string): void => void node.append('dats.project.move.requested', { project_id: P, to, by: 'b' }, P);
const release = (node: MovingNode): void => void node.append('dats.project.released', { project_id: P, to: 'x' }, P, '/deciders/cascade');
const submit = (node: MovingNode, id: string, more: Partial<DataOf<'dats.task.created'>> = {}): void =>
  void node.append('dats.task.created', creation(id, { options: { qa_profile: 'none' }, ...more }), P);
const said = (node: MovingNode, type: string): readonly unknown[] =>
  node.log.filter((record) => record.type === type && !isCopy(record)).map((record) => eventIn(record).data);
/** Until nobody has anything to say, with the link as it is. */
const settle = ({ nodes, core, ...world }: Pick<MovingWorld, 'nodes' | 'core' | 'carry'>): void => {
  for (let i = 0; i < 10; i++)
    for (const node of nodes) {
      node.step();
      if (node.id !== core.id) world.carry(node);
    }
};

describe('a move', () => {
  it('to where the project is, or to a node that is not in the list, is none', () => {
    const { core } = openMovingWorld(EDGES);
    submit(core, 'a');
    request(core, 'core');
    request(core, 'nobody');
    core.step();
    expect(said(core, 'dats.project.move.started')).toEqual([]);
    submit(core, 'b');
    core.step();
    expect(core.saved.has('scheduling/t/b')).toBe(true);
  });

  it('of a project without a task takes place as well', () => {
    const world = openMovingWorld(EDGES);
    request(world.core, 'edge-1');
    world.core.step();
    release(world.core);
    settle(world);
    expect(said(world.node('edge-1'), 'dats.project.arrived')).toEqual([{ project_id: P, from: 'core', to: 'edge-1' }]);
    submit(world.node('edge-1'), 'a');
    settle(world);
    expect(world.work.map(({ node }) => node.id)).toEqual(['edge-1']);
  });

  it('to a node that is cut off waits for it, and what was asked meanwhile with it', () => {
    const world = openMovingWorld(EDGES);
    const [core, edge] = [world.core, world.node('edge-1')];
    submit(core, 'a');
    core.step();
    request(core, 'edge-1');
    core.step();
    submit(core, 'b');
    core.append('dats.task.cancel.requested', { task_id: 'b', reason: 'r', by: 'b' }, P);
    submit(core, 'c', { depends_on: ['a'] });
    release(core);
    core.append('dats.task.output.created', output(world.work[0]!.work.data), P, '/effects/test');
    world.now += 60_000;
    core.step();
    core.step();
    expect(said(core, 'dats.project.moved')).toHaveLength(1);
    edge.step();
    expect(edge.log).toEqual([]);
    world.now += 3_600_000;
    settle(world);
    expect(
      edge.log.filter((record) => isTerminal(record.type as never) && !isCopy(record)).map((r) => `${r.type} ${r.headers.subject}`),
    ).toEqual(['dats.task.cancelled b']);
    const work = world.work.at(-1);
    expect([work!.node.id, work!.work.data.task_id, work!.work.data.context.inputs.length]).toEqual(['edge-1', 'c', 1]);
    // Its time counts from now.
    expect(Date.parse(work!.work.data.due)).toBeGreaterThan(world.now);
  });

  it('that is asked for while another is under way follows it', () => {
    const world = openMovingWorld(EDGES);
    submit(world.core, 'a');
    request(world.core, 'edge-1');
    request(world.core, 'edge-2');
    world.core.step();
    expect(said(world.core, 'dats.project.move.started')).toEqual([{ project_id: P, to: 'edge-1', requested_at: 1 }]);
    world.core.append('dats.task.output.created', output(world.work[0]!.work.data), P, '/effects/test');
    release(world.core);
    settle(world);
    expect(said(world.node('edge-1'), 'dats.project.move.started')).toMatchObject([{ to: 'edge-2' }]);
    release(world.node('edge-1'));
    settle(world);
    expect(said(world.node('edge-2'), 'dats.project.arrived')).toHaveLength(1);
  });

  it('holds up new tasks only, not what a rollback does anew', () => {
    const { core } = openMovingWorld(EDGES);
    submit(core, 'a');
    core.step();
    request(core, 'edge-1');
    submit(core, 'new');
    submit(core, 'redone', { redo: { rollback_id: 'r', task_id: 'a' } });
    core.step();
    expect(['new', 'redone'].map((id) => core.saved.has(`scheduling/t/${id}`))).toEqual([false, true]);
  });
});

describe('late words at the home before', () => {
  it('change nothing, there or at the new home', () => {
    const world = openMovingWorld(EDGES);
    const [core, edge] = [world.core, world.node('edge-1')];
    submit(core, 'a');
    core.step();
    const first = world.work[0]!.work.data;
    request(core, 'edge-1');
    core.step();
    release(core);
    // Its attempt times out, and its worker answers when the project is gone.
    world.now += 60_000;
    core.step();
    core.step();
    settle(world);
    expect(said(edge, 'dats.project.arrived')).toHaveLength(1);
    const before = [...edge.saved];
    core.append('dats.task.output.created', output(first), P, '/effects/test');
    settle(world);
    expect([...edge.saved]).toEqual(before);
    expect(core.saved.has('scheduling/t/a')).toBe(false);
  });
});
