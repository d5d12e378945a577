// What the routes of history do around SQL: where there is no history, while it is away, and what is not recorded yet.
import { afterEach, describe, expect, test } from 'vitest';
import { Fault, type Problem, problemSchema } from '../../schemas/index.js';
import { scriptedAnalytics } from '../testing/analytics.js';
import { openWorld, type World, type WorldOptions } from '../testing/world.js';
import { bestOf, type Found } from './resolve.js';
import { statsQuestionOf } from './stats.js';
import { worstOf } from './taint.js';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});
const open = async (history?: WorldOptions['history'], options: WorldOptions = {}): Promise<World> => {
  const world = await openWorld({ ...options, ...(history === undefined ? {} : { history }) });
  worlds.push(world);
  return world;
};

const problemOf = async (response: Response): Promise<Problem & { retryAfter: string | null }> => {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return { ...problemSchema.parse(await response.json()), retryAfter: response.headers.get('retry-after') };
};

const requests = (world: World): readonly (() => Response | Promise<Response>)[] => [
  () => world.app.request('/api/v1/provenance'),
  () => world.app.request('/api/v1/provenance/x'),
  () => world.app.request('/api/v1/provenance/x/lineage'),
  () => world.app.request('/api/v1/stats/models'),
  () => world.post('/api/v1/query', { sql: 'SELECT 1' }),
  () => world.post('/api/v1/views/rebuild', {}),
  () => world.post('/api/v1/views/migrate', {}),
];

test('without history every route says how it is switched on, and that trying again is no use', async () => {
  const world = await open();
  for (const ask of requests(world)) {
    const problem = await problemOf(await ask());
    expect(problem).toMatchObject({ status: 501, type: '/problems/analytics-off', retryable: false, retryAfter: null });
    expect(problem.detail).toMatch(/analytics\.kind of servers\.yaml .* set it to embedded/);
  }
});

test.each([
  [new Fault('retryable', 'analytics_unavailable', 'away'), 503, 'analytics-unavailable', true],
  [new Fault('retryable', 'analytics_missing', 'no tables'), 503, 'analytics-missing', true],
  [new Fault('fatal', 'no_engine', 'no build'), 501, 'no-engine', false],
  [new Fault('terminal', 'analytics_refused', 'our slip'), 500, 'internal', false],
])('what history cannot do now is told: %s', async (fault, status, slug, retryable) => {
  const { analytics } = scriptedAnalytics([[/./, () => Promise.reject(fault)]]);
  const fail = () => Promise.reject(fault);
  const stats = [{ name: 'models', question: 'How are they?', sql: 'SELECT 1' }];
  const world = await open({ analytics, stats, analyticsAdmin: { rebuild: fail, migrate: fail } });
  for (const ask of requests(world)) {
    const problem = await problemOf(await ask());
    expect(problem).toMatchObject({ status, type: `/problems/${slug}`, retryable });
    expect(Number(problem.retryAfter) > 0).toBe(retryable);
  }
});

test('a statement of ours that is refused is our fault, one of others is theirs', async () => {
  const { analytics } = scriptedAnalytics([[/./, () => Promise.reject(new Fault('terminal', 'query_refused', 'no such column'))]]);
  const world = await open({ analytics, stats: [{ name: 'models', question: 'How?', sql: 'SELECT 1' }] });
  expect((await world.app.request('/api/v1/stats/models')).status).toBe(500);
  expect((await world.post('/api/v1/query', { sql: 'SELECT nothing' })).status).toBe(422);
});

describe('what is not recorded', () => {
  test('of a task that goes on is pending', async () => {
    const world = await open({ analytics: scriptedAnalytics().analytics });
    const id = await world.submit({ description: 'x', project_id: 'p' });
    const problem = await problemOf(await world.app.request(`/api/v1/provenance/${id}`));
    expect(problem).toMatchObject({ status: 404, type: '/problems/provenance-pending', retryable: true, retryAfter: '1' });
    expect(problem.detail).toContain('is pending');
  });

  test('of a task that ended is pending; of one that was never executed there is nothing, and why is said', async () => {
    const world = await open({ analytics: scriptedAnalytics().analytics });
    const [done, never] = [
      await world.submit({ description: 'x', project_id: 'p' }),
      await world.submit({ description: 'y', project_id: 'p' }),
    ];
    await world.say({ task_id: done, project_id: 'p' }, 'dats.task.ready', {
      attempt: 1,
      tier: 'small',
      domain: 'code',
      prompt_version: 'generate.1',
      context: { created: 0, inputs: [] },
      due: '2030-01-01T00:00:00.000Z',
    });
    await world.say({ task_id: done, project_id: 'p' }, 'dats.task.completed', { attempt: 1, provenance_id: 'x', execution_time_ms: 1 });
    await world.say({ task_id: never, project_id: 'p' }, 'dats.task.cancelled', { reason: 'r', by: 'b' });
    const pending = await problemOf(await world.app.request(`/api/v1/provenance/${done}`));
    expect(pending).toMatchObject({ type: '/problems/provenance-pending', retryable: true });
    expect(pending.detail).toContain('behind the log');
    const nothing = await problemOf(await world.app.request(`/api/v1/provenance/${never}`));
    expect(nothing).toMatchObject({ type: '/problems/provenance-not-found', retryable: false });
    expect(nothing.detail).toContain('was never executed');
  });
});

test('of several executions the accepted one is meant, else the newest', () => {
  const found = (status: string, time: string): Found => ({
    kind: 'task',
    project_id: 'p',
    time,
    provenance_id: time,
    task_id: 't',
    attempt: 1,
    status,
  });
  expect(bestOf([])).toBeUndefined();
  expect(bestOf([found('rejected', '1'), found('failed', '3'), found('rejected', '2')])?.time).toBe('3');
  expect(bestOf([found('rejected', '3'), found('accepted', '1'), found('accepted', '2')])?.time).toBe('2');
});

test('the worst taint counts', () => {
  expect(worstOf([])).toBe('clean');
  expect(worstOf(['clean', 'reverted'])).toBe('reverted');
  expect(worstOf(['suspect', 'tainted', 'reverted'])).toBe('tainted');
});

describe('a file of a question', () => {
  test('says at its head what it answers', () => {
    expect(statsQuestionOf('models', '-- How are\n-- they?\n--\n-- More.\nSELECT 1\n')).toEqual({
      name: 'models',
      question: 'How are they?',
      sql: '--\n-- More.\nSELECT 1',
    });
  });

  test('without that is refused', () => {
    expect(() => statsQuestionOf('models', 'SELECT 1')).toThrow(expect.objectContaining({ code: 'bad_stats' }));
  });
});

describe('the tables as a whole', () => {
  test('are rebuilt and migrated by whoever keeps them', async () => {
    const done: string[] = [];
    const world = await open({
      analytics: scriptedAnalytics().analytics,
      analyticsAdmin: {
        rebuild: async () => void done.push('rebuild'),
        migrate: async () => {
          done.push('migrate');
          return { applied: ['001_events.sql'], generation: 'g' };
        },
      },
    });
    const rebuilt = await world.post('/api/v1/views/rebuild', {});
    expect([rebuilt.status, ((await rebuilt.json()) as { views: string[] }).views]).toEqual([202, ['analytics']]);
    expect((await world.post('/api/v1/views/rebuild', { views: ['tasks'] })).status).toBe(422);
    const migrated = await world.post('/api/v1/views/migrate', {});
    expect([migrated.status, await migrated.json()]).toEqual([200, { applied: ['001_events.sql'], generation: 'g' }]);
    expect(done).toEqual(['rebuild', 'migrate']);
  });
});
