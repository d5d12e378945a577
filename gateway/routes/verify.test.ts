// The route of the audit: what it answers, and how it answers when that takes long.
import { afterEach, describe, expect, test } from 'vitest';
import { Fault, type VerifyReport, verifyReportSchema } from '../../schemas/index.js';
import type { ViewStore } from '../../streams/index.js';
import type { Services } from '../services.js';
import type { Answer, Call } from '../table.js';
import { openWorld, type World, type WorldOptions } from '../testing/world.js';
import { answerWhenReady, verifyRoutes } from './verify.js';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});
const open = async (options: WorldOptions = {}): Promise<World> => {
  const world = await openWorld(options);
  worlds.push(world);
  return world;
};

const [route] = verifyRoutes;
const servicesOf = ({ deps }: World, closing = new AbortController().signal): Services => ({ deps, closing }) as unknown as Services;
const ask = async (services: Services, project_id: string, signal = new AbortController().signal): Promise<Answer> =>
  route!.handle({ params: { project_id }, signal: () => signal } as unknown as Call, services);
const reportIn = ({ body }: Answer): VerifyReport => verifyReportSchema.parse(JSON.parse(body as string));

const settled = async (world: World): Promise<void> => {
  const id = await world.submit({ description: 'x', project_id: 'p' });
  await world.say({ task_id: id, project_id: 'p' }, 'dats.task.cancelled', { reason: 'r', by: 'b' });
};

describe('GET /api/v1/projects/{project_id}/verify', () => {
  test('its example is one', () => {
    expect(verifyReportSchema.safeParse(route!.success[0]!.example).error).toBeUndefined();
    expect(route).toMatchObject({ method: 'GET', path: '/api/v1/projects/{project_id}/verify', patient: true });
  });

  test('a project that is as the log says', async () => {
    const world = await open();
    await settled(world);
    expect(reportIn(await ask(servicesOf(world), 'p'))).toMatchObject({
      ok: true,
      project_id: 'p',
      events: 2,
      views: { documents: 2, differences: 0 },
      history: { state: 'off' },
    });
  });

  test('a project that is not as the log says is an answer, not an error', async () => {
    const bent = (views: ViewStore): ViewStore => ({ ...views, get: (name, id) => (name === 'project' ? undefined : views.get(name, id)) });
    const world = await open({ views: bent });
    await settled(world);
    expect(reportIn(await ask(servicesOf(world), 'p'))).toMatchObject({
      ok: false,
      views: { differences: 1, different: [{ collection: 'project', id: 'p', what: 'missing' }] },
    });
  });

  test('a project that there is not', async () => {
    await expect(ask(servicesOf(await open()), 'nobody')).rejects.toMatchObject({ code: 'project_not_found' });
  });

  test('one at a time; the next one can be asked for when it is over', async () => {
    const world = await open();
    await settled(world);
    const services = servicesOf(world);
    const first = ask(services, 'p');
    await expect(ask(services, 'p')).rejects.toMatchObject({ kind: 'retryable', code: 'unavailable' });
    await first;
    expect((await ask(services, 'p')).status).toBe(200);
  });

  test.each([
    ['client_gone', true],
    ['log_closed', false],
  ])('ends with %s when it is left', async (code, isClient) => {
    const leave = new AbortController();
    const left = (views: ViewStore): ViewStore => ({
      ...views,
      checkpoint: async (view, partition) => {
        leave.abort();
        return views.checkpoint(view, partition);
      },
    });
    const world = await open({ views: left });
    await settled(world);
    const never = new AbortController().signal;
    const [client, closing] = isClient ? [leave.signal, never] : [never, leave.signal];
    await expect(ask(servicesOf(world, closing), 'p', client)).rejects.toMatchObject({ code });
  });
});

describe('an answer that takes long', () => {
  const REPORT = route!.success[0]!.example as VerifyReport;
  const pending = () => {
    let settle: { done: (report: VerifyReport) => void; fail: (error: unknown) => void };
    const report = new Promise<VerifyReport>((done, fail) => {
      settle = { done, fail };
    });
    return { report, ...settle! };
  };
  const readerOf = ({ body }: Answer) => (body as ReadableStream<Uint8Array>).getReader();

  test('begins with blanks, and is JSON as a whole', async () => {
    const { report, done } = pending();
    const answer = await answerWhenReady(report, () => undefined, 1);
    const reader = readerOf(answer);
    let text = Buffer.from((await reader.read()).value!).toString();
    expect(text.trim()).toBe('');
    done(REPORT);
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += Buffer.from(part.value).toString();
    expect(text[0]).toBe(' ');
    expect(JSON.parse(text)).toEqual(REPORT);
  });

  test('is cut off when it fails, and whoever goes away ends the work', async () => {
    const failing = pending();
    const reader = readerOf(await answerWhenReady(failing.report, () => undefined, 1));
    await reader.read();
    failing.fail(new Fault('retryable', 'views_behind', 'x'));
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toMatchObject({ code: 'views_behind' });

    let gone = 0;
    const left = pending();
    const other = readerOf(await answerWhenReady(left.report, () => void gone++, 1));
    await other.read();
    await other.cancel();
    expect(gone).toBe(1);
    left.done(REPORT);
    await left.report;
  });

  test('a fault that comes soon is an ordinary one', async () => {
    const fault = new Fault('retryable', 'views_behind', 'x');
    await expect(answerWhenReady(Promise.reject(fault), () => undefined, 10_000)).rejects.toBe(fault);
  });
});
