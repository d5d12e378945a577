import { expect, it } from 'vitest';
import { openAgenda } from './agenda.js';
import { settleMoments } from './moments.js';
import type { Said } from './record.js';
import { firedAt } from './stretches.js';

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
