import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  formatPosition,
  type Problem,
  type ProjectState,
  projectStateSchema,
  type RollbackView,
  rollbackAnswerSchema,
  rollbackListSchema,
  rollbackViewSchema,
  type TaintAnswer,
} from '../../schemas/index.js';
import { openWorld, recordsOf, until, type World } from '../testing/world.js';
import { decodeAll, ends, make, messagesOf, partitionIn, runDeciders } from './testing/story.js';

let world: World;
beforeEach(async () => {
  world = await openWorld({ gateway: { cancelWaitMs: 50 } });
});
afterEach(async () => {
  await decodeAll(world);
  await world.close();
});

const read = async <T>(path: string): Promise<T> => (await (await world.app.request(path)).json()) as T;
const problem = async (response: Response) => [response.status, ((await response.json()) as Problem).type.replace('/problems/', '')];
const rollback = async (body: Record<string, unknown>, headers: Record<string, string> = {}) => {
  const response = await world.post('/api/v1/rollback', body, headers);
  return { status: response.status, headers: response.headers, answer: rollbackAnswerSchema.parse(await response.json()) };
};
const over = (id: string): Promise<RollbackView> =>
  until(async () => {
    const view = rollbackViewSchema.parse(await read(`/api/v1/rollbacks/${id}`));
    return view.completed_at === null ? undefined : view;
  });
const heads = async (at?: string): Promise<Record<string, string>> => {
  const state = projectStateSchema.parse(await read(`/api/v1/projects/p/state${at === undefined ? '' : `?at=${encodeURIComponent(at)}`}`));
  return Object.fromEntries(state.files.map(({ path, version }) => [path, version.artifact_id]));
};

/** Two versions of a.py, and b.py made from the second. */
const versions = async () => {
  const first = await make(world, { 'a.py': 'one' });
  const second = await make(world, { 'a.py': 'two' }, { from: [first.ids['a.py']!] });
  const built = await make(world, { 'b.py': 'b' }, { from: [second.ids['a.py']!] });
  const records = (await recordsOf(world.log, 'dats.lifecycle', partitionIn(world, 'p'))).filter(({ key }) => key === 'p');
  const created = records.find(({ headers }) => headers['subject'] === second.task_id)!;
  return { one: first.ids['a.py']!, two: second.ids['a.py']!, b: built.ids['b.py']!, second, created };
};

describe('rollback', () => {
  test('plans without doing anything, then does what was planned; and is itself rolled back', async () => {
    const { one, two, b, second } = await versions();
    const before = await ends(world);
    const dry = await rollback({ task_id: second.task_id, dry_run: true });
    expect([dry.status, dry.answer.rollback_id, await ends(world)]).toEqual([200, null, before]);
    expect(dry.answer.plan.changes.map(({ path, from, to }) => [path, from?.artifact_id, to?.artifact_id])).toEqual([
      ['a.py', two, one],
      ['b.py', b, undefined],
    ]);
    const begun = await rollback({ task_id: second.task_id, by: 'ada', reason: 'wrong' });
    expect([begun.status, begun.headers.get('location')]).toEqual([202, `/api/v1/rollbacks/${begun.answer.rollback_id}`]);
    expect(begun.answer.plan).toEqual(dry.answer.plan);
    const id = begun.answer.rollback_id!;
    expect(await read(`/api/v1/rollbacks/${id}`)).toMatchObject({ state: 'requested', by: 'ada', reason: 'wrong', project_id: 'p' });
    expect(await problem(await world.post('/api/v1/rollback', { rollback_id: id }))).toEqual([409, 'rollback-not-over']);

    const deciders = await runDeciders(world);
    expect(await over(id)).toMatchObject({ state: 'completed', reverted: 2, paths: 2, config_now: 'c0ffee' });
    expect(await heads()).toEqual({ 'a.py': one });
    const undone = await rollback({ rollback_id: id });
    expect(await over(undone.answer.rollback_id!)).toMatchObject({ state: 'completed', restored: 2 });
    await deciders.stop();
    expect(await heads()).toEqual({ 'a.py': two, 'b.py': b });
    const list = rollbackListSchema.parse(await read('/api/v1/rollbacks?project_id=p'));
    expect(list.rollbacks.map(({ rollback_id }) => rollback_id)).toEqual([undone.answer.rollback_id, id]);
    expect(rollbackListSchema.parse(await read('/api/v1/rollbacks?limit=1')).rollbacks).toHaveLength(1);
    expect(rollbackListSchema.parse(await read('/api/v1/rollbacks?project_id=nowhere')).rollbacks).toEqual([]);
  });

  test('takes back what a cascade tainted', async () => {
    const { one, two } = await versions();
    const { cascades } = (await (await world.post('/api/v1/taint', { artifact_id: two, reason: 'bad' })).json()) as TaintAnswer;
    const cascade_id = cascades[0]!.cascade_id!;
    const deciders = await runDeciders(world);
    await until(async () => (await read<{ completed_at: string | null }>(`/api/v1/cascades/${cascade_id}`)).completed_at ?? undefined);
    const { answer } = await rollback({ cascade_id });
    expect(answer.plan.changes).toMatchObject([
      { path: 'a.py', from: { artifact_id: two, mark: 'tainted' }, to: { artifact_id: one, mark: 'clean' } },
    ]);
    await over(answer.rollback_id!);
    await deciders.stop();
    expect((await heads())['a.py']).toBe(one);
  });

  test('to an event or its position: files stand as they stood before it; to an instant: as they stood at it', async () => {
    const { one, two, b, created } = await versions();
    const target = (to: string) => rollback({ to, project_id: 'p', dry_run: true });
    const changes = [
      ['a.py', two, one],
      ['b.py', b, undefined],
    ];
    for (const to of [formatPosition(created), created.headers['id']!]) {
      const { answer } = await target(to);
      expect(answer.plan.target).toEqual({ kind: 'offset', offset: created.offset, said: to });
      expect(answer.plan.changes.map(({ path, from, to: stands }) => [path, from?.artifact_id, stands?.artifact_id])).toEqual(changes);
      expect([answer.plan.config_then, answer.plan.config_now]).toEqual(['1', 'c0ffee']);
    }
    const { end } = await world.log.range('dats.lifecycle', created.partition);
    const now = await target('2100-01-01T00:00:00Z');
    expect([now.answer.plan.target, now.answer.plan.changes]).toEqual([{ kind: 'offset', offset: end, said: '2100-01-01T00:00:00Z' }, []]);
    const ever = await target('1999-12-31T23:59:59+02:00');
    expect(ever.answer.plan.changes.map(({ path, to: stands }) => [path, stands])).toEqual([
      ['a.py', null],
      ['b.py', null],
    ]);
  });

  test('under the same key it begins once, and the answer is the same, also when it is done', async () => {
    const { second } = await versions();
    const key = { 'idempotency-key': 'k' };
    const racing = await Promise.all([rollback({ task_id: second.task_id }, key), rollback({ task_id: second.task_id }, key)]);
    const deciders = await runDeciders(world);
    await over(racing[0]!.answer.rollback_id!);
    await deciders.stop();
    const before = await ends(world);
    const third = await rollback({ task_id: second.task_id }, key);
    expect([third.status, third.headers.get('idempotent-replayed')]).toEqual([202, 'true']);
    expect([racing[1]!.answer, third.answer]).toEqual([racing[0]!.answer, racing[0]!.answer]);
    expect(third.answer.plan.changes).toHaveLength(2);
    expect(await ends(world)).toEqual(before);
    expect(await problem(await world.post('/api/v1/rollback', { task_id: second.task_id, tasks: 'keep' }, key))).toEqual([
      422,
      'idempotency-key-reused',
    ]);
  });

  test.each([
    [{ cascade_id: 'x' }, 404, 'cascade-not-found'],
    [{ task_id: 'x' }, 404, 'task-not-found'],
    [{ rollback_id: 'x' }, 404, 'rollback-not-found'],
    [{ to: '2026-01-01T00:00:00Z', project_id: 'nowhere' }, 404, 'project-not-found'],
    [{ to: '01936b2e-7c19-7000-8000-000000000001', project_id: 'p' }, 404, 'event-not-found'],
    [{ to: 'p0-999999', project_id: 'p' }, 404, 'event-not-found'],
    [{ to: 'p99-0', project_id: 'p' }, 404, 'event-not-found'],
    [{ to: 'yesterday', project_id: 'p' }, 422, 'validation-failed'],
    [{ to: '2026-02-30T00:00:00Z', project_id: 'p' }, 422, 'validation-failed'],
    [{ to: 'p0-0' }, 422, 'validation-failed'],
    [{}, 422, 'validation-failed'],
    [{ cascade_id: 'x', task_id: 'x' }, 422, 'validation-failed'],
  ])('%j is refused: %i %s, and nothing is appended', async (body, status, type) => {
    await make(world, { 'a.py': 'a' });
    const before = await ends(world);
    expect(await problem(await world.post('/api/v1/rollback', body))).toEqual([status, type]);
    expect(await ends(world)).toEqual(before);
  });

  test('of another project than the one that is named is refused', async () => {
    const { second } = await versions();
    expect(await problem(await world.post('/api/v1/rollback', { task_id: second.task_id, project_id: 'q' }))).toEqual([
      422,
      'validation-failed',
    ]);
  });

  test('has a stream of its own events that ends with it', async () => {
    const { second } = await versions();
    const id = (await rollback({ task_id: second.task_id })).answer.rollback_id!;
    const live = (await world.app.request(`/api/v1/rollbacks/${id}/events`)).text();
    const deciders = await runDeciders(world);
    const messages = messagesOf(await live);
    await deciders.stop();
    expect(messages.map(({ event }) => event)).toEqual([
      'dats.rollback.requested',
      'dats.rollback.started',
      'dats.artifact.reverted',
      'dats.artifact.reverted',
      'dats.rollback.completed',
    ]);
    const again = await world.app.request(`/api/v1/rollbacks/${id}/events`, { headers: { 'last-event-id': messages[1]!.id } });
    expect(messagesOf(await again.text())).toEqual(messages.slice(2));
    expect((await world.app.request(`/api/v1/rollbacks/${id}/events?lastEventId=${messages.at(-1)!.id}`)).status).toBe(204);
    expect(await problem(await world.app.request('/api/v1/rollbacks/x/events'))).toEqual([404, 'rollback-not-found']);
  });
});

describe('the state of a project', () => {
  test('includes the event that is named, and is empty before the first one', async () => {
    const { one, two, created } = await versions();
    const at = (place: string) => read<ProjectState>(`/api/v1/projects/p/state?at=${encodeURIComponent(place)}`);
    const then = projectStateSchema.parse(await at(created.headers['id']!));
    expect([then.position, then.time, then.config_version]).toEqual([formatPosition(created), created.headers['time'], '1']);
    expect(then.files.map(({ path, version, versions: count }) => [path, version.artifact_id, count])).toEqual([['a.py', one, 1]]);
    expect([then.counts, then.tasks.map(({ state }) => state)]).toEqual([{ completed: 1, pending: 1 }, ['completed', 'pending']]);
    expect({ ...(await at(formatPosition(created))), at: then.at }).toEqual(then);
    const now = projectStateSchema.parse(await read('/api/v1/projects/p/state'));
    expect(now.files[0]).toMatchObject({ path: 'a.py', version: { artifact_id: two }, versions: 2 });
    const never = projectStateSchema.parse(await at('2001-01-01T00:00:00Z'));
    expect(never).toMatchObject({ position: null, time: null, config_version: null, events: 0, files: [], tasks: [], counts: {} });
  });

  test('is not told of a project that is not there, nor at what is no place', async () => {
    await make(world, { 'a.py': 'a' });
    const state = async (project: string, at = '') => problem(await world.app.request(`/api/v1/projects/${project}/state${at}`));
    expect(await state('nowhere')).toEqual([404, 'project-not-found']);
    expect(await state('p', '?at=soon')).toEqual([400, 'invalid-parameter']);
    expect(await state('p', '?at=p99-1')).toEqual([404, 'event-not-found']);
    expect(await state('p', '?at=01936b2e-7c19-7000-8000-000000000001')).toEqual([404, 'event-not-found']);
  });
});
