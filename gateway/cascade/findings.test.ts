import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { type CascadeView, type Problem, rejectTaskAnswerSchema, securityAlertAnswerSchema } from '../../schemas/index.js';
import { openWorld, type World } from '../testing/world.js';
import { decodeAll, ends, type Made, make, runDeciders } from './testing/story.js';

const MODELS = [{ id: 'scripted', runner: 'scripted', tiers: ['small', 'medium', 'large'] }];
let world: World;
let made: Made;
beforeEach(async () => {
  world = await openWorld({ gateway: { cancelWaitMs: 20 } });
  made = await make(world, { 'a.py': 'a' });
});
afterEach(async () => {
  await decodeAll(world);
  await world.close();
});

const problem = async (response: Response) => [response.status, ((await response.json()) as Problem).type.replace('/problems/', '')];
const cascade = async (id: string | null) => (await (await world.app.request(`/api/v1/cascades/${id}`)).json()) as CascadeView;
const answered = async <S extends z.ZodType>(schema: S, path: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await world.post(path, body, headers);
  return { status: response.status, replayed: response.headers.get('idempotent-replayed'), answer: schema.parse(await response.json()) };
};
const KEY = { 'idempotency-key': 'k' };

describe('a security alert', () => {
  const alert = (body: Record<string, unknown> = {}, headers?: Record<string, string>) =>
    answered(
      securityAlertAnswerSchema,
      '/api/v1/security-alerts',
      { kind: 'secret_leaked', severity: 'high', artifact_id: made.ids['a.py'], detail: 'a key', by: 'scanner', ...body },
      headers,
    );

  test('that is severe enough begins a cascade, which is there when it is answered', async () => {
    const deciders = await runDeciders(world);
    const { status, answer } = await alert();
    const view = await cascade(answer.cascade_id);
    await deciders.stop();
    expect([status, answer.project_id, view.cascade_id]).toEqual([202, 'p', answer.cascade_id]);
    expect(view).toMatchObject({
      trigger: 'security_alert',
      by: 'scanner',
      reason: 'secret_leaked: a key',
      selector: { artifact_id: made.ids['a.py'] },
    });
  });

  test('that is not is kept all the same', async () => {
    const { status, answer } = await alert({ severity: 'medium', artifact_id: undefined, task_id: made.task_id });
    expect([status, answer.cascade_id]).toEqual([202, null]);
    const [event] = (await world.events('p')).slice(-1);
    expect(event).toMatchObject({
      type: 'dats.security.alert',
      actor: 'scanner',
      subject: made.task_id,
      data: { alert_id: answer.alert_id, severity: 'medium' },
    });
  });

  test('is kept once under its key, whether it begins a cascade or not', async () => {
    for (const severity of ['low', 'high']) {
      const key = { 'idempotency-key': severity };
      const [first, second] = await Promise.all([alert({ severity }, key), alert({ severity }, key)]);
      const before = await ends(world);
      const third = await alert({ severity }, key);
      expect([second.answer, third.answer, third.replayed, await ends(world)]).toEqual([first.answer, first.answer, 'true', before]);
    }
    const other = { kind: 'other', severity: 'low', artifact_id: made.ids['a.py'], detail: 'a key', by: 'scanner' };
    expect(await problem(await world.post('/api/v1/security-alerts', other, { 'idempotency-key': 'low' }))).toEqual([
      422,
      'idempotency-key-reused',
    ]);
    expect((await world.events('p')).filter(({ type }) => type === 'dats.security.alert')).toHaveLength(2);
  });

  test.each([
    [{ artifact_id: 'x' }, 404, 'artifact-not-found'],
    [{ task_id: 'x' }, 404, 'task-not-found'],
    [{}, 422, 'validation-failed'],
    [{ artifact_id: 'x', task_id: 'x' }, 422, 'validation-failed'],
    [{ artifact_id: 'x', severity: 'awful' }, 422, 'validation-failed'],
  ])('about %j is refused: %i %s, and nothing is appended', async (about, status, type) => {
    const before = await ends(world);
    expect(await problem(await world.post('/api/v1/security-alerts', { kind: 'k', severity: 'high', detail: 'd', ...about }))).toEqual([
      status,
      type,
    ]);
    expect(await ends(world)).toEqual(before);
  });
});

describe('a late rejection', () => {
  const reject = (headers?: Record<string, string>, body: Record<string, unknown> = {}) =>
    answered(rejectTaskAnswerSchema, `/api/v1/tasks/${made.task_id}/reject`, { reason: 'it subtracts', by: 'ada', ...body }, headers);

  test('begins a cascade from what the task made, which is there when it is answered', async () => {
    const deciders = await runDeciders(world);
    const { status, answer } = await reject();
    const view = await cascade(answer.cascade_id);
    await deciders.stop();
    expect([status, answer]).toEqual([202, { task_id: made.task_id, attempt: 1, cascade_id: view.cascade_id }]);
    expect(view).toMatchObject({ trigger: 'late_rejection', by: 'ada', selector: { task_id: made.task_id }, roots: 1 });
    expect(view.reason).toContain('it subtracts');
    const rejected = (await world.events('p')).find(({ type }) => type === 'dats.task.rejected');
    expect(rejected).toMatchObject({
      actor: 'ada',
      subject: made.task_id,
      data: {
        attempt: 1,
        profile: 'tests',
        score: 0,
        retryable: false,
        reasons: ['it subtracts'],
        checks: [{ name: 'person', status: 'failed' }],
      },
    });
    expect((await world.task(made.task_id)).state).toBe('completed');
  });

  test('is kept once under its key', async () => {
    const [first, second] = await Promise.all([reject(KEY), reject(KEY)]);
    const before = await ends(world);
    const third = await reject(KEY);
    expect([second.answer, third.answer, third.replayed, await ends(world)]).toEqual([first.answer, first.answer, 'true', before]);
    expect(await problem(await world.post(`/api/v1/tasks/${made.task_id}/reject`, { reason: 'another', by: 'ada' }, KEY))).toEqual([
      422,
      'idempotency-key-reused',
    ]);
    expect((await reject()).answer.cascade_id).not.toBe(first.answer.cascade_id);
  });

  test('is refused while the task is open, and of what is not there', async () => {
    const open = await make(world, { 'b.py': 'b' }, { open: true });
    const before = await ends(world);
    const refused = async (task: string, body: unknown = { reason: 'r' }) =>
      problem(await world.post(`/api/v1/tasks/${task}/reject`, body));
    expect(await refused(open.task_id)).toEqual([409, 'task-not-completed']);
    expect(await refused('unknown')).toEqual([404, 'task-not-found']);
    expect(await refused(made.task_id, {})).toEqual([422, 'validation-failed']);
    expect(await ends(world)).toEqual(before);
  });

  test('begins no cascade where the policy asks for none', async () => {
    const lenient = await openWorld({ config: { version: 1, models: MODELS, cascade: { on_late_rejection: false } } });
    const task = await make(lenient, { 'a.py': 'a' });
    const response = await lenient.post(`/api/v1/tasks/${task.task_id}/reject`, { reason: 'r' });
    expect([response.status, await response.json()]).toEqual([202, { task_id: task.task_id, attempt: 1, cascade_id: null }]);
    await lenient.close();
  });
});
