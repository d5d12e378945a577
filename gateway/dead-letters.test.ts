import { afterEach, beforeEach, expect, test } from 'vitest';
import { DLQ, Fault, LETTER, LIFECYCLE, RETRIED_FROM } from '../schemas/index.js';
import { deadLetter } from '../streams/runtime/index.js';
import { openWorld, recordsOf, type World } from './testing/world.js';

let world: World;
beforeEach(async () => {
  world = await openWorld({ config: { version: 1, log: { partitions: 1 } } });
});
afterEach(() => world.close());

interface Letter {
  readonly id: string;
  readonly state: string;
}

/** Puts `count` poisoned records and their dead letters into the log; gives the letters' ids. */
const poison = async (count: number): Promise<string[]> => {
  await world.log.append(
    Array.from({ length: count }, (_, i) => ({
      topic: LIFECYCLE,
      key: 'p',
      headers: { type: 'dats.task.odd', subject: `t${i}` },
      value: `not json ${i}`,
    })),
  );
  const failure = {
    group: 'core',
    fault: new Fault('terminal', 'unknown_type', 'no such type'),
    attempts: 1,
    firstFailedAt: 0,
    failedAt: 1000,
  };
  const letters = (await recordsOf(world.log, LIFECYCLE, 0)).slice(-count).map((record) => deadLetter(record, failure));
  await world.log.append(letters);
  return letters.map((letter) => letter.headers[LETTER.id]!);
};
const get = async (path: string) => (await world.app.request(path)).json() as Promise<Record<string, unknown>>;
const listed = async (query = '') =>
  (await get(`/api/v1/dlq${query}`)) as unknown as { dead_letters: Letter[]; next_cursor: string | null };

test('lists newest first, page by page', async () => {
  const ids = await poison(5);
  const seen: string[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: Awaited<ReturnType<typeof listed>> = await listed(`?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    seen.push(...page.dead_letters.map((letter) => letter.id));
    cursor = page.next_cursor;
  }
  expect(seen).toEqual([...ids].reverse());
});

test('shows the original record and why it failed', async () => {
  const [id] = await poison(1);
  expect(await get(`/api/v1/dlq/${id}`)).toMatchObject({
    id,
    state: 'open',
    topic: LIFECYCLE,
    code: 'unknown_type',
    subject: 't0',
    value: 'not json 0',
    encoding: 'utf8',
    attempts: 1,
  });
  expect((await world.app.request('/api/v1/dlq/none')).status).toBe(404);
});

test('a retry appends the original record once more, together with its mark, and can be done once', async () => {
  const [id, other] = await poison(2);
  const answers = await Promise.all([1, 2].map(() => world.post(`/api/v1/dlq/${id}/retry`, { by: 'alice' })));
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409]);
  const back = (await recordsOf(world.log, LIFECYCLE, 0)).at(-1)!;
  expect(String(back.value)).toBe('not json 0');
  expect(back).toMatchObject({ key: 'p', headers: { subject: 't0', [RETRIED_FROM]: 'p0-0' } });
  expect(await get(`/api/v1/dlq/${id}`)).toMatchObject({ state: 'retried', resolved_by: 'alice' });
  expect((await listed('?state=open')).dead_letters.map((letter) => letter.id)).toEqual([other]);
  expect((await world.post(`/api/v1/dlq/${id}/discard`, {})).status).toBe(409);
});

test('a discarded letter stays readable, and a new process folds the same', async () => {
  const [id] = await poison(1);
  expect((await world.app.request(`/api/v1/dlq/${id}/discard`, { method: 'POST' })).status).toBe(200);
  expect(await recordsOf(world.log, LIFECYCLE, 0)).toHaveLength(1);
  const { createApp } = await import('./app.js');
  const other = createApp(world.deps);
  expect(await (await other.request(`/api/v1/dlq/${id}`)).json()).toMatchObject({ state: 'discarded', value: 'not json 0' });
  expect(await recordsOf(world.log, DLQ, 0)).toHaveLength(2);
});
