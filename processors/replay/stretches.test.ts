import { expect, it } from 'vitest';
import { serversSchema } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { fixed } from '../policies.js';
import { routingDecider } from '../routing/index.js';
import { schedulingDecider } from '../scheduling/index.js';
import { analysis, creation, openWorld, type World } from '../testing/pipeline-world.js';
import { openAgenda } from './agenda.js';
import { openBreather } from './breather.js';
import { openHistory } from './history.js';
import { settleMoments } from './moments.js';
import type { Said } from './record.js';
import { firedAt } from './stretches.js';
import { eventIn } from './testing/index.js';

const answerLimitMs = 4_003;
const policy = serversSchema.parse({ version: 1 }).scheduling;

/** What the record of deciders tells of when they were away; `at` lets a time come (milliseconds from the start), somebody speak, and the deciders do what is due. */
const stretchesOf = async (tell: (at: (ms: number, say: (world: World) => void) => void) => void) => {
  const routing = { askModelBelow: 1, modelAvailable: true, answerLimitMs };
  const world = openWorld(() => [routingDecider(fixed(routing)) as Decider, schedulingDecider(fixed(policy)) as Decider], 0);
  tell((ms, say) => {
    world.now = ms;
    say(world);
    world.step();
  });
  const fold = openHistory({ choice: {}, shadow: 'p~replay~1', policy, answerLimitMs });
  for (const record of world.log) fold.take(eventIn(record), record.offset);
  return (await fold.finish(openBreather(new AbortController().signal))).history.stretches;
};

it('a timer fires when it is due, but not while the deciders were away', () => {
  const fire = firedAt([
    { from: 100, until: { at: 150, order: 7 } },
    { from: 140, until: { at: 180, order: 9 } },
    { from: 300, until: { at: 300, order: 11 } },
  ]);
  expect(fire(90)).toEqual({ at: 90, order: -1 });
  expect(fire(100)).toEqual({ at: 180, order: 9.5 });
  expect(fire(180)).toEqual({ at: 180, order: 9.5 });
  expect(fire(181)).toEqual({ at: 181, order: -1 });
  expect(fire(300)).toEqual({ at: 300, order: 11.5 });
});

it('a task whose analysis came late has its time anew: the deciders were not away until its plan came', async () => {
  const children = [{ task_id: 'a.0', title: 'step', description: creation('a.0').description, depends_on: [] }];
  const stretches = await stretchesOf((at) => {
    at(0, (world) => world.append('dats.task.created', creation('a', { options: { decompose: true, timeout_s: 2 } })));
    at(2_100, (world) => world.append('dats.task.analyzed', analysis('a')));
    at(3_900, (world) => world.append('dats.task.decomposed', { task_id: 'a', planner: { name: 'list', version: '1' }, children }));
  });
  expect(stretches).toEqual([{ from: 2_000, until: { at: 2_100, order: 1 } }]);
});

it('a task that has ended waits for no analysis: the deciders were not away until one came', async () => {
  const stretches = await stretchesOf((at) => {
    at(0, (world) => world.append('dats.task.created', creation('a')));
    at(1_000, (world) => world.append('dats.task.cancel.requested', { task_id: 'a', reason: 'not needed', by: 'somebody' }));
    at(9_000, (world) => world.append('dats.task.analyzed', analysis('a')));
  });
  expect(stretches).toEqual([]);
});

it('an analysis is overdue to the millisecond, other timers to the next ten', async () => {
  const stretches = await stretchesOf((at) => {
    at(0, (world) => world.append('dats.task.created', creation('a', { options: { decompose: true, timeout_s: 6.001 } })));
    at(4_100, () => {});
    at(6_100, () => {});
  });
  expect(stretches).toEqual([
    { from: 4_003, until: { at: 4_100, order: 0 } },
    { from: 6_010, until: { at: 6_100, order: 1 } },
  ]);
});

it("moments are what the deciders said, and between that, the events' own time", () => {
  const said = [10, 20, 25, 18, 90].map((time, offset) => ({
    offset,
    time,
    moment: { at: Number.NaN, order: offset },
  })) as unknown as Said[];
  settleMoments(said, [
    { offset: 1, at: 30 },
    { offset: 3.5, at: 29 },
    { offset: 3.5, at: 60 },
  ]);
  expect(said.map(({ moment }) => moment.at)).toEqual([10, 30, 30, 30, 90]);
});

it('an agenda gives what is earliest, at the same instant by its order', () => {
  const agenda = openAgenda<string>();
  const when = [5, 1, 3, 3, 2, 9, 3].map((at, order) => ({ at, order: order === 6 ? -1 : order }));
  for (const moment of when) agenda.add(moment, `${moment.at}/${moment.order}`);
  const taken: string[] = [];
  for (let next = agenda.take(); next !== undefined; next = agenda.take()) taken.push(next.what);
  expect(taken).toEqual(['1/1', '2/4', '3/-1', '3/2', '3/3', '5/0', '9/5']);
});
