import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BatchResult } from './batch.js';
import { openWorld, type World } from './testing/world.js';

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

interface Answer {
  readonly accepted: number;
  readonly refused: number;
  readonly results: BatchResult[];
}
const send = async (items: unknown): Promise<Answer> => (await (await world.post('/api/v1/tasks:batch', items)).json()) as Answer;

test('each item is answered by itself', async () => {
  const { accepted, refused, results } = await send([
    { description: 'a' },
    { description: '' },
    7,
    { description: 'd', files: [{ path: '../x', content: '' }] },
  ]);
  expect([accepted, refused]).toEqual([1, 3]);
  expect(results.map((result) => [result.index, result.status])).toEqual([
    [0, 202],
    [1, 422],
    [2, 422],
    [3, 422],
  ]);
  expect(results[3]!.problem?.errors?.[0]?.pointer).toBe('/files/0/path');
  expect(await world.events()).toHaveLength(1);
});

test('lines of JSON are a batch too', async () => {
  const response = await world.post('/api/v1/tasks:batch', '{"description":"a"}\n\n{"description":"b"}\n', {
    'content-type': 'application/x-ndjson',
  });
  expect(await response.json()).toMatchObject({ accepted: 2, refused: 0 });
  const broken = await world.post('/api/v1/tasks:batch', '{"description":"a"}\n{', { 'content-type': 'application/x-ndjson' });
  expect([broken.status, ((await broken.json()) as { detail: string }).detail]).toEqual([400, expect.stringContaining('line 2')]);
});

test('items depend on each other by name, and dependencies stand first in the log', async () => {
  const { results } = await send([
    { description: 'last', depends_on: ['middle', 'first'] },
    { description: 'middle', ref: 'middle', depends_on: ['first'] },
    { description: 'first', ref: 'first' },
  ]);
  const [last, middle, first] = results.map((result) => result.task!.task_id);
  const events = await world.events();
  expect(events.map((event) => event.subject)).toEqual([first, middle, last]);
  expect(events.at(-1)).toMatchObject({ data: { depends_on: [middle, first] } });
});

test('a circle is refused for each member and named; the rest goes on, what hangs on it does not', async () => {
  const { results } = await send([
    { description: 'a', ref: 'a', depends_on: ['b'] },
    { description: 'b', ref: 'b', depends_on: ['c'] },
    { description: 'c', ref: 'c', depends_on: ['a'] },
    { description: 'self', ref: 'self', depends_on: ['self'] },
    { description: 'hangs', depends_on: ['a'] },
    { description: 'free' },
  ]);
  expect(results.map((result) => result.status)).toEqual([422, 422, 422, 422, 422, 202]);
  for (const result of results.slice(0, 3))
    expect(result.problem?.detail).toMatch(/circular depends_on: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)/);
  expect(results[3]!.problem?.detail).toContain('self -> self');
  expect(results[4]!.problem?.detail).toContain('not taken');
  expect(await world.events()).toHaveLength(1);
});

test('names used twice, names of other projects and unknown names are refused', async () => {
  const { results } = await send([
    { description: 'a', ref: 'x' },
    { description: 'b', ref: 'x' },
    { description: 'c', project_id: 'other', depends_on: ['x'] },
    { description: 'd', depends_on: ['nobody'] },
  ]);
  expect(results.map((result) => result.status)).toEqual([202, 422, 422, 422]);
});

test('a chain of 3,000 items is taken in order', async () => {
  const items = Array.from({ length: 3_000 }, (_, i) => ({
    description: `t${i}`,
    ref: `r${i}`,
    ...(i === 0 ? {} : { depends_on: [`r${i - 1}`] }),
  }));
  const { accepted } = await send(items.reverse());
  expect(accepted).toBe(3_000);
  const events = await world.events();
  expect(events.map((event) => (event.type === 'dats.task.created' ? event.data.description.content : ''))).toEqual(
    Array.from({ length: 3_000 }, (_, i) => `t${i}`),
  );
});

test('an empty batch and one with an Idempotency-Key are refused', async () => {
  expect((await world.post('/api/v1/tasks:batch', [])).status).toBe(422);
  expect((await world.post('/api/v1/tasks:batch', [{ description: 'a' }], { 'idempotency-key': 'k' })).status).toBe(400);
});
