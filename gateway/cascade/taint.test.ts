import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type CascadeAnswer,
  type CascadeView,
  cascadeAnswerSchema,
  cascadeListSchema,
  impactAnswerSchema,
  type Problem,
  taintAnswerSchema,
} from '../../schemas/index.js';
import { createApp } from '../app.js';
import { openWorld, until, type World } from '../testing/world.js';
import { decodeAll, ends, make, messagesOf, runDeciders } from './testing/story.js';

const CONFIG = {
  version: 1,
  models: [{ id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] }],
  prices: { version: 'v1', models: [{ model: 'dear', input_per_mtok: 10_000, output_per_mtok: 20_000 }] },
};
let world: World;
beforeEach(async () => {
  world = await openWorld({ config: CONFIG, gateway: { cancelWaitMs: 50 } });
});
afterEach(async () => {
  await decodeAll(world);
  await world.close();
});

const get = (path: string) => Promise.resolve(world.app.request(path));
const read = async <T>(path: string): Promise<T> => (await (await get(path)).json()) as T;
const problem = async (response: Response) => [response.status, ((await response.json()) as Problem).type.replace('/problems/', '')];
const taint = async (body: Record<string, unknown>, headers: Record<string, string> = {}) => {
  const response = await world.post('/api/v1/taint', { reason: 'bad', ...body }, headers);
  return { status: response.status, headers: response.headers, answer: taintAnswerSchema.parse(await response.json()) };
};
const over = (id: string): Promise<CascadeAnswer> =>
  until(async () => {
    const view = await read<CascadeAnswer>(`/api/v1/cascades/${id}`);
    return view.completed_at === null ? undefined : view;
  });

/** a.py, b.py made from it, c.py made from b.py, and d.py that has nothing to do with them. */
const chain = async (project = 'p') => {
  const a = await make(world, { 'a.py': 'a' }, { project });
  const b = await make(world, { 'b.py': 'b' }, { project, from: [a.ids['a.py']!] });
  const c = await make(world, { 'c.py': 'c' }, { project, from: [b.ids['b.py']!], model: 'dear', provider: 'openai' });
  const d = await make(world, { 'd.py': 'd' }, { project, model: 'dear', provider: 'openai', open: true });
  return {
    a: a.ids['a.py']!,
    b: b.ids['b.py']!,
    c: c.ids['c.py']!,
    d: d.ids['d.py']!,
    tasks: { a: a.task_id, b: b.task_id, d: d.task_id },
  };
};

describe('impact', () => {
  test('counts what was built on an artifact, nearest first, with what it took', async () => {
    const { a, b, c } = await chain();
    const answer = impactAnswerSchema.parse(await read(`/api/v1/impact/${a}`));
    expect(answer.impact).toMatchObject({
      project_id: 'p',
      roots: 1,
      artifacts: 3,
      tasks: 3,
      open_tasks: 0,
      paths: 3,
      depth: 2,
      by_depth: [1, 1, 1],
    });
    expect(answer.impact.by_mark).toEqual({ clean: 3, suspect: 0, tainted: 0 });
    // 100 tokens in at 0.01 and 50 out at 0.02, of the one that has a price.
    expect(answer.impact.forecast).toEqual({ executions: 3, tokens: 450, model_ms: 21, cost_usd: 2, unpriced: 2 });
    expect(answer.nodes.map(({ artifact_id, depth, via, edge, head }) => [artifact_id, depth, via, edge, head])).toEqual([
      [a, 0, null, null, true],
      [b, 1, a, 'informed', true],
      [c, 2, b, 'informed', true],
    ]);
    expect(answer.truncated).toBe(false);
  });

  test('goes up too, no deeper than is asked, and lists no more than is asked; all are counted', async () => {
    const { a, b, c, tasks } = await chain();
    const up = await read<{ nodes: { artifact_id: string }[] }>(`/api/v1/impact/${c}?direction=up`);
    expect(up.nodes.map(({ artifact_id }) => artifact_id)).toEqual([c, b, a]);
    const near = impactAnswerSchema.parse(await read(`/api/v1/impact/${tasks.a}?depth=1&limit=1`));
    expect([near.impact.artifacts, near.impact.cut, near.nodes.length, near.truncated]).toEqual([2, true, 1, true]);
    const open = impactAnswerSchema.parse(await read(`/api/v1/impact/${tasks.d}`));
    expect([open.impact.artifacts, open.impact.open_tasks, open.nodes[0]?.head]).toEqual([1, 1, false]);
  });

  test('what nobody knows is not found, and what is asked wrongly is said', async () => {
    expect(await problem(await get('/api/v1/impact/unknown'))).toEqual([404, 'artifact-not-found']);
    expect(await problem(await get('/api/v1/impact/unknown?direction=sideways'))).toEqual([400, 'invalid-parameter']);
  });
});

describe('taint', () => {
  test('begins a cascade that the next read sees, and that the deciders end', async () => {
    const { a, b } = await chain();
    const { status, headers, answer } = await taint({ artifact_id: a, by: 'ada' });
    expect([status, answer.dry_run, answer.recall_id, answer.cascades.length]).toEqual([202, false, null, 1]);
    const [{ cascade_id, impact }] = answer.cascades as [(typeof answer.cascades)[number]];
    expect([headers.get('location'), impact.artifacts]).toEqual([`/api/v1/cascades/${cascade_id}`, 3]);
    const before = cascadeAnswerSchema.parse(await read(`/api/v1/cascades/${cascade_id}`));
    expect(before).toMatchObject({
      state: 'requested',
      by: 'ada',
      reason: 'bad',
      trigger: 'request',
      selector: { artifact_id: a },
      marks: [],
    });
    const [event] = (await world.events('p')).slice(-1);
    expect(event).toMatchObject({
      type: 'dats.cascade.requested',
      source: '/gateway',
      actor: 'ada',
      subject: cascade_id,
      configversion: 'c0ffee',
    });

    const deciders = await runDeciders(world);
    const after = cascadeAnswerSchema.parse(await over(cascade_id!));
    await deciders.stop();
    expect(after).toMatchObject({
      state: 'completed',
      tainted: 1,
      cleared: 1,
      suspect: 0,
      remaining: 0,
      roots: 1,
      reach: { artifacts: 3 },
    });
    expect(after.marks.map(({ artifact_id, state, via, verdict }) => [artifact_id, state, via, verdict])).toEqual([
      [a, 'tainted', null, null],
      [b, 'cleared', a, 'cleared'],
    ]);
    const { impact: now } = impactAnswerSchema.parse(await read(`/api/v1/impact/${a}`));
    expect(now.by_mark).toEqual({ clean: 2, suspect: 0, tainted: 1 });
  });

  test('a dry run and what names nothing are answered, and nothing is appended', async () => {
    const { a } = await chain();
    const before = await ends(world);
    const dry = await taint({ artifact_id: a, dry_run: true }, { 'idempotency-key': 'k' });
    expect([dry.status, dry.answer.cascades[0]?.cascade_id, dry.answer.cascades[0]?.impact.artifacts]).toEqual([200, null, 3]);
    const none = await taint({ model: 'nobody' });
    expect([none.status, none.answer]).toEqual([200, { dry_run: false, recall_id: null, cascades: [] }]);
    const both = await taint({ artifact_id: a, model: 'dear' });
    expect([both.status, both.answer.cascades]).toEqual([200, []]);
    expect(await ends(world)).toEqual(before);
  });

  test('without a project it is a recall: one cascade in each, begun in one append', async () => {
    await chain('p');
    await chain('q');
    await make(world, { 'x.py': 'x' }, { project: 'r' });
    const appends: number[] = [];
    const { append } = world.log;
    world.log.append = (records) => {
      appends.push(records.length);
      return append.call(world.log, records);
    };
    const { status, headers, answer } = await taint({ model: 'dear', limits: { max_depth: 3 } });
    expect([status, appends, headers.get('location')]).toEqual([202, [2], null]);
    expect(answer.cascades.map(({ project_id }) => project_id).sort()).toEqual(['p', 'q']);
    for (const { cascade_id } of answer.cascades) {
      const view = await read<CascadeView & { selector: unknown }>(`/api/v1/cascades/${cascade_id}`);
      expect([view.recall_id, view.selector]).toEqual([answer.recall_id, { model: 'dear' }]);
    }
    const [event] = (await world.events('q')).slice(-1);
    expect(event?.type === 'dats.cascade.requested' && event.data.limits).toMatchObject({
      max_depth: 3,
      per_second: world.deps.config.cascade.per_second,
    });
  });

  test('under the same key it begins once: in turn, at the same time, and for another process', async () => {
    const { a } = await chain();
    const key = { 'idempotency-key': '"again"' };
    const racing = await Promise.all([taint({ artifact_id: a }, key), taint({ artifact_id: a }, key)]);
    const before = await ends(world);
    const third = await taint({ artifact_id: a }, key);
    expect(await ends(world)).toEqual(before);
    expect((await world.events('p')).filter(({ type }) => type === 'dats.cascade.requested')).toHaveLength(1);
    const ids = [...racing, third].map(({ status, answer }) => [status, answer.cascades[0]?.cascade_id]);
    expect(new Set(ids.map(String)).size).toBe(1);
    expect([third.status, third.headers.get('idempotent-replayed'), third.answer]).toEqual([202, 'true', racing[0]!.answer]);
    expect(await problem(await world.post('/api/v1/taint', { artifact_id: a, reason: 'another' }, key))).toEqual([
      422,
      'idempotency-key-reused',
    ]);
    expect(await problem(await world.post('/api/v1/taint', { artifact_id: a, reason: 'bad', limits: { max_depth: 1 } }, key))).toEqual([
      422,
      'idempotency-key-reused',
    ]);
    const elsewhere = createApp(world.deps);
    const fourth = await elsewhere.request('/api/v1/taint', {
      method: 'POST',
      body: JSON.stringify({ artifact_id: a, reason: 'bad' }),
      headers: { 'content-type': 'application/json', ...key },
    });
    elsewhere.close();
    expect([fourth.status, await fourth.json(), await ends(world)]).toEqual([202, third.answer, before]);
    const other = await taint({ artifact_id: a, by: 'bob' }, key);
    expect(other.answer.cascades[0]?.cascade_id).not.toBe(third.answer.cascades[0]?.cascade_id);
  });

  test.each([
    [{ artifact_id: 'x' }, 404, 'artifact-not-found'],
    [{ task_id: 'x' }, 404, 'task-not-found'],
    [{ artifact_id: 'x', project_id: 'p' }, 404, 'artifact-not-found'],
    [{ task_id: 'x', project_id: 'p' }, 404, 'task-not-found'],
    [{ model: 'm', project_id: 'nowhere' }, 404, 'project-not-found'],
    [{}, 422, 'validation-failed'],
    [{ model: 'm', reason: '' }, 422, 'validation-failed'],
    [{ model: 'm', from: 'yesterday' }, 422, 'validation-failed'],
  ])('%j is refused: %i %s, and nothing is appended', async (body, status, type) => {
    await make(world, { 'a.py': 'a' });
    const before = await ends(world);
    expect(await problem(await world.post('/api/v1/taint', { reason: 'bad', ...body }))).toEqual([status, type]);
    expect(await ends(world)).toEqual(before);
  });

  test('a parent stands for what its subtasks made', async () => {
    const parent = await make(world, {}, { open: true });
    const child = await make(world, { 'a.py': 'a' }, { parent: parent.task_id });
    const { answer } = await taint({ task_id: parent.task_id, dry_run: true });
    expect(answer.cascades[0]?.impact).toMatchObject({ roots: 1, tasks: 1 });
    const impact = impactAnswerSchema.parse(await read(`/api/v1/impact/${parent.task_id}`));
    expect(impact.nodes.map(({ task_id }) => task_id)).toEqual([child.task_id]);
    const deciders = await runDeciders(world);
    const begun = await taint({ task_id: parent.task_id });
    expect((await over(begun.answer.cascades[0]!.cascade_id!)).marks).toMatchObject([{ artifact_id: child.ids['a.py'], state: 'tainted' }]);
    await deciders.stop();
  });

  test('what is of another project is not found in this one', async () => {
    const { a } = await chain('q');
    await make(world, { 'a.py': 'a' });
    expect(await problem(await world.post('/api/v1/taint', { artifact_id: a, project_id: 'p', reason: 'bad' }))).toEqual([
      404,
      'artifact-not-found',
    ]);
  });
});

describe('cascades', () => {
  const begin = async (artifact_id: string): Promise<string> => (await taint({ artifact_id })).answer.cascades[0]!.cascade_id!;

  test('are listed newest first, by project and by state', async () => {
    const p = await chain('p');
    const q = await chain('q');
    const ids = [await begin(p.a), await begin(q.a), await begin(p.b)];
    const list = async (query: string) =>
      cascadeListSchema.parse(await read(`/api/v1/cascades${query}`)).cascades.map(({ cascade_id }) => cascade_id);
    expect((await list('')).sort()).toEqual([...ids].sort());
    expect(await list('?project_id=p')).toEqual([ids[2], ids[0]]);
    expect(await list('?project_id=p&limit=1')).toEqual([ids[2]]);
    expect([await list('?state=completed'), await list('?project_id=nowhere')]).toEqual([[], []]);
    expect(await problem(await get('/api/v1/cascades/unknown'))).toEqual([404, 'cascade-not-found']);
    expect(await problem(await get('/api/v1/cascades/unknown/events'))).toEqual([404, 'cascade-not-found']);
  });

  test('are cancelled once: 202 while they go on, 200 when they are over', async () => {
    const { a } = await chain();
    const id = await begin(a);
    const cancel = async (body?: unknown) => {
      const response = await world.post(`/api/v1/cascades/${id}/cancel`, body ?? {});
      return [response.status, ((await response.json()) as CascadeView).state];
    };
    expect(await cancel({ reason: 'a mistake', by: 'ada' })).toEqual([202, 'cancelling']);
    const before = await ends(world);
    expect(await cancel()).toEqual([202, 'cancelling']);
    expect(await ends(world)).toEqual(before);
    const deciders = await runDeciders(world);
    expect((await over(id)).state).toBe('cancelled');
    await deciders.stop();
    expect(await cancel()).toEqual([200, 'cancelled']);
    expect(await problem(await world.post('/api/v1/cascades/unknown/cancel', {}))).toEqual([404, 'cascade-not-found']);
  });

  test('have a stream of their own events that resumes exactly and ends with them', async () => {
    const { a, d } = await chain();
    const id = await begin(a);
    const other = await begin(d);
    const deciders = await runDeciders(world);
    const live = (await get(`/api/v1/cascades/${id}/events`)).text();
    await Promise.all([over(id), over(other)]);
    await deciders.stop();
    const messages = messagesOf(await live);
    expect(messages.map(({ event }) => event)).toEqual([
      'dats.cascade.requested',
      'dats.cascade.started',
      'dats.artifact.tainted',
      'dats.artifact.suspect',
      'dats.artifact.revalidation.requested',
      'dats.artifact.revalidated',
      'dats.cascade.completed',
    ]);
    expect(messages.every(({ data }) => 'cascade_id' in data.data && data.data.cascade_id === id)).toBe(true);
    const again = await get(`/api/v1/cascades/${id}/events`);
    expect(messagesOf(await again.text())).toEqual(messages);
    const rest = await world.app.request(`/api/v1/cascades/${id}/events`, { headers: { 'last-event-id': messages[3]!.id } });
    expect(messagesOf(await rest.text())).toEqual(messages.slice(4));
    expect((await get(`/api/v1/cascades/${id}/events?lastEventId=${messages.at(-1)!.id}`)).status).toBe(204);
    expect(await problem(await get(`/api/v1/cascades/${id}/events?lastEventId=p99-1`))).toEqual([400, 'invalid-parameter']);
    const followed = await get(`/api/v1/cascades/${id}/events?follow=true`);
    expect(followed.status).toBe(200);
    await followed.body?.cancel();
  });
});
