import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { storeText } from '../processors/index.js';
import { artifactViewSchema, type DataOf } from '../schemas/index.js';
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
  await world.say({ task_id, project_id: 'p' }, 'dats.task.output.created', output);
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
