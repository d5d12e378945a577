import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { storeText, VIEW } from '../processors/index.js';
import { artifactViewSchema, type DataOf, taskViewSchema } from '../schemas/index.js';
import { openWorld, until, type World } from './testing/world.js';

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

/** A task with one output of that text. */
const produce = async (text: string, path = 'src/solution.py') => {
  const task_id = await world.submit({ description: 'x', project_id: 'p' });
  const artifact = {
    artifact_id: `a-${task_id.slice(-12)}`,
    type: 'python' as const,
    path,
    ...(await storeText(world.deps.artifacts, text)),
  };
  const output: Omit<DataOf<'dats.task.output.created'>, 'task_id'> = {
    attempt: 1,
    artifacts: [artifact],
    model: 'scripted',
    provider: 'scripted',
    scripted: true,
    tokens_in: 1,
    tokens_out: 1,
    duration_ms: 1,
    prompt_version: '1',
    prompt_sha256: '0'.repeat(64),
    sampling: {},
    consumed: [],
    omitted: [],
    fence: '1-1',
  };
  const task = { task_id, project_id: 'p' };
  await world.say(task, 'dats.task.ready', {
    attempt: 1,
    tier: 'small',
    domain: 'code',
    prompt_version: '1',
    context: { created: 0, inputs: [] },
    due: '2026-11-21T09:00:00.000Z',
  });
  await world.say(task, 'dats.task.output.created', output);
  await until(async () => (await world.app.request(`/api/v1/artifacts/${artifact.artifact_id}`)).status === 200 || undefined);
  return { task_id, ...artifact };
};

test.each([
  ['inline', 'print("hello, wörld")\n'],
  ['from the store', 'x = 1\n'.repeat(20_000)],
])('the bytes of an artifact, %s, come with their digest', async (_where, text) => {
  const { artifact_id, sha256 } = await produce(text);
  expect(artifactViewSchema.parse(await (await world.app.request(`/api/v1/artifacts/${artifact_id}`)).json())).toMatchObject({
    sha256,
    project_id: 'p',
  });
  const response = await world.app.request(`/api/v1/artifacts/${artifact_id}/content`);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(bytes.toString()).toBe(text);
  const digest = `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
  expect([response.headers.get('content-digest'), response.headers.get('repr-digest')]).toEqual([digest, digest]);
  expect(response.headers.get('content-type')).toBe('text/x-python; charset=utf-8');
  const again = await world.app.request(`/api/v1/artifacts/${artifact_id}/content`, {
    headers: { 'if-none-match': `W/"x", ${response.headers.get('etag')}` },
  });
  expect([again.status, await again.text()]).toEqual([304, '']);
});

test('an artifact can be the input of another task of its project only', async () => {
  const { artifact_id, task_id, sha256, path } = await produce('x = 1\n');
  const next = await world.submit({ description: 'y', project_id: 'p', inputs: [artifact_id] });
  const created = (await world.events('p')).find((event) => event.type === 'dats.task.created' && event.subject === next);
  expect(created).toMatchObject({ data: { inputs: [{ artifact_id, task_id, sha256, path }] } });
  expect((await world.post('/api/v1/tasks', { description: 'y', project_id: 'q', inputs: [artifact_id] })).status).toBe(422);
});

test('an artifact shows how it stands, and its task is flagged, also after its end; how they know it is not shown', async () => {
  const { task_id, artifact_id, path } = await produce('x = 1\n');
  const task = { task_id, project_id: 'p' };
  const about = { artifact_id, path };
  const shown = async () => {
    const artifact = artifactViewSchema.parse(await (await world.app.request(`/api/v1/artifacts/${artifact_id}`)).json());
    const view = z.strictObject(taskViewSchema.shape).parse(await world.task(task_id));
    const { tasks } = (await (await world.app.request('/api/v1/tasks?project_id=p')).json()) as { tasks: unknown[] };
    expect(tasks).toEqual([view]);
    return [artifact.accepted, artifact.taint, view.flags];
  };
  expect(await shown()).toEqual([false, 'clean', []]);
  await world.say(task, 'dats.task.completed', { attempt: 1, provenance_id: 'v', execution_time_ms: 1 });
  expect(await shown()).toEqual([true, 'clean', []]);
  await world.say(task, 'dats.artifact.suspect', { ...about, cascade_id: 'c', depth: 1 });
  expect(await shown()).toEqual([true, 'suspect', ['suspect']]);
  await world.say(task, 'dats.artifact.tainted', { ...about, cascade_id: 'c', depth: 1, cause: 'revalidation', reason: 'it failed' });
  expect(await shown()).toEqual([true, 'tainted', ['tainted']]);
  await world.say(task, 'dats.artifact.reverted', { ...about, rollback_id: 'r' });
  expect(await shown()).toEqual([true, 'reverted', ['rolled_back']]);
});

test('what is said of the output of an open task is read before the views have it', async () => {
  // What the gateway sees of them, as it was at some moment.
  const then = new Map<string, unknown>();
  await world.close();
  world = await openWorld({
    views: (views) => ({
      ...views,
      get: <T>(collection: string, id: string) => (then.get(id) as T | undefined) ?? views.get<T>(collection, id),
      checkpoint: async (view, partition) => (then.get(`${view} ${partition}`) as number | undefined) ?? views.checkpoint(view, partition),
    }),
  });
  const { task_id, artifact_id, path } = await produce('x = 1\n');
  const task = { task_id, project_id: 'p' };
  const about = { artifact_id, path, cascade_id: 'c', depth: 0 };
  const seen = structuredClone(await world.views.get('task', task_id));
  const { partition, offset } = await world.say(task, 'dats.artifact.tainted', { ...about, cause: 'root', reason: 'bad' });
  then.set(task_id, seen).set(`${VIEW} ${partition}`, offset);
  expect((await world.task(task_id)).flags).toEqual(['tainted']);
  const artifact = artifactViewSchema.parse(await (await world.app.request(`/api/v1/artifacts/${artifact_id}`)).json());
  expect(artifact.taint).toBe('tainted');
  expect(seen).toMatchObject({ flags: [] });
});
