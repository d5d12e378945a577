import { describe, expect, it } from 'vitest';
import { type DataOf, serversSchema } from '../../schemas/index.js';
import { fixed } from '../policies.js';
import { analysis, creation, openWorld, output, type World } from '../testing/pipeline-world.js';
import { schedulingDecider } from './decider.js';

const LOOK_MS = 500;
const policy = { ...serversSchema.parse({ version: 1 }).scheduling, max_running_per_project: 2, backoff_base_ms: 100, max_attempts: 3 };

const openHeld = (on: boolean) => {
  const hold = { on };
  const world: World = openWorld(() => [
    schedulingDecider(fixed(policy), undefined, undefined, undefined, {
      isOn: () => hold.on,
      lookAgainMs: () => world.now + LOOK_MS,
    }) as never,
  ]);
  return { world, hold };
};
const submit = (world: World, id: string, project = 'p', options: Partial<DataOf<'dats.task.created'>['options']> = {}) => {
  world.append('dats.task.created', creation(id, { options: { qa_profile: 'none', ...options } }), project);
  world.append('dats.task.analyzed', analysis(id), project);
  world.step();
};
const answer = (world: World, id: string, attempt = 1, project = 'p') => {
  world.append('dats.task.output.created', output({ task_id: id, attempt }), project);
  world.step();
};
const later = (world: World, ms = LOOK_MS) => {
  world.now += ms;
  world.step();
};
const begun = (world: World) => world.work.map(({ data }) => data.task_id);

describe('a node that is held', () => {
  it('begins nothing, in any project, and everything in its order when it is let go', () => {
    const { world, hold } = openHeld(true);
    for (const id of ['a', 'b', 'c']) submit(world, id);
    submit(world, 'd', 'q');
    later(world);
    expect(begun(world)).toEqual([]);
    hold.on = false;
    later(world);
    expect(begun(world)).toEqual(['a', 'b', 'd']);
  });

  it('lets what runs end, and begins no other in its place', () => {
    const { world, hold } = openHeld(false);
    for (const id of ['a', 'b', 'c']) submit(world, id);
    hold.on = true;
    answer(world, 'a');
    answer(world, 'b');
    expect(world.terminals('a')).toEqual(['dats.task.completed']);
    expect(begun(world)).toEqual(['a', 'b']);
    hold.on = false;
    later(world);
    expect(begun(world)).toEqual(['a', 'b', 'c']);
  });

  it('does not try again what failed, until it is let go', () => {
    const { world, hold } = openHeld(false);
    submit(world, 'a');
    hold.on = true;
    const error = { code: 'model_unreachable', message: 'away', retryable: true };
    world.append('dats.task.attempt.failed', { task_id: 'a', attempt: 1, stage: 'generation', error } as never);
    world.step();
    later(world, 60_000);
    expect(begun(world)).toEqual(['a']);
    hold.on = false;
    later(world);
    expect(world.work.map(({ data }) => data.attempt)).toEqual([1, 2]);
  });

  it('cancels as ever', () => {
    const { world } = openHeld(true);
    submit(world, 'a');
    world.append('dats.task.cancel.requested', { task_id: 'a', reason: 'not wanted', by: 'ada' });
    world.step();
    expect(world.terminals('a')).toEqual(['dats.task.cancelled']);
  });

  it('and was let go while nobody decided, begins what waited', () => {
    const { world, hold } = openHeld(true);
    submit(world, 'a');
    world.restart();
    hold.on = false;
    later(world);
    expect(begun(world)).toEqual(['a']);
  });
});
