// The ready-made questions, as a node reads them, asked through the API of a history whose figures are known.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, execution, type History, openHistory } from '../gateway/testing/history.js';
import { openWorld, type World } from '../gateway/testing/world.js';
import type { StatsAnswer } from '../schemas/index.js';
import { readStats } from './stats-files.js';

let history: History;
let world: World;
let names: readonly string[];

const sample = (worker: string, time: string, data: Record<string, number | string>, node = 'n1') => ({
  topic: 'dats.telemetry',
  id: `sample-${worker}-${time}`,
  type: 'dats.node.sampled',
  subject: node,
  project_id: 'dats',
  time,
  node,
  worker,
  data: JSON.stringify({
    version: '0.1.0',
    roles: 'all',
    uptime_s: 1,
    load_1m: 0.5,
    memory_free_bytes: 1_000,
    memory_total_bytes: 4_000,
    loop_delay_p99_ms: 1,
    ...data,
  }),
});

beforeAll(async () => {
  history = await openHistory();
  const stats = await readStats();
  names = stats.map(({ name }) => name);
  world = await openWorld({ history: { analytics: history.analytics, stats } });
  await history.insert(
    { id: 'c1', type: 'dats.task.created', time: '2026-11-21T09:00:00.000Z', project_id: 'p', task_id: 't1', source: '/gateway' },
    { id: 'c2', type: 'dats.task.created', time: '2026-11-21T09:00:00.000Z', project_id: 'p', task_id: 't2', source: '/gateway' },
    ...execution({
      task: 't1',
      attempt: 1,
      status: 'rejected',
      at: '2026-11-21T10:00:00.000Z',
      artifacts: { 'a.py': 'a1' },
      over: { error_code: 'checks_failed' },
    }),
    ...execution({ task: 't1', attempt: 2, at: '2026-11-21T10:01:00.000Z', artifacts: { 'a.py': 'a2', 'b.py': 'b2' } }),
    ...execution({
      task: 't2',
      attempt: 1,
      at: '2026-11-21T10:02:00.000Z',
      artifacts: { 'c.py': 'c1' },
      over: { ready_at: '2026-11-21T10:01:50.000Z', started_at: '2026-11-21T10:01:55.000Z' },
    }),
    {
      id: 'd1',
      type: 'dats.task.completed',
      time: '2026-11-21T10:01:00.001Z',
      project_id: 'p',
      task_id: 't1',
      attempt: 2,
      execution_time_ms: 5_000,
    },
    {
      id: 'd2',
      type: 'dats.task.completed',
      time: '2026-11-21T10:02:00.001Z',
      project_id: 'p',
      task_id: 't2',
      attempt: 1,
      execution_time_ms: 7_000,
    },
    ...execution({
      task: 'o1',
      project: 'other',
      at: '2026-11-20T10:00:00.000Z',
      model: 'gpt',
      prompt: 'generate.2',
      node: 'n2',
      artifacts: { 'o.py': 'o1' },
    }),
    call({ task: 't1', attempt: 1 }),
    call({ task: 't1', attempt: 2, over: { duration_ms: 900 } }),
    call({
      task: 't2',
      attempt: 1,
      over: { duration_ms: 800, outcome: 'error', error_code: 'model_error', first_chunk_ms: null, cost_usd: 0 },
    }),
    call({
      task: 'o1',
      attempt: 1,
      over: { project_id: 'other', model: 'gpt', provider: 'openai', node: 'n2', time: '2026-11-20T10:00:00.000Z', cost_usd: '0.5' },
    }),
    sample('n1:1', '2026-11-21T10:00:00.000Z', { cpu_ratio: 0.9, rss_bytes: 900, running_work: 9 }),
    sample('n1:1', '2026-11-21T10:05:00.000Z', { cpu_ratio: 0.25, rss_bytes: 100, running_work: 1 }),
    sample('n1:2', '2026-11-21T10:05:01.000Z', { cpu_ratio: 0.5, rss_bytes: 200, running_work: 2 }),
    sample('n1:0', '2026-11-21T09:05:00.000Z', { cpu_ratio: 0.7, rss_bytes: 700, running_work: 7 }),
    sample('n9:1', '2026-11-21T10:05:00.000Z', { cpu_ratio: 0, rss_bytes: 10, running_work: 0 }, 'n9'),
  );
});
afterAll(async () => {
  await world?.close();
  await history?.close();
});

const rowsOf = async (name: string, query = ''): Promise<readonly Record<string, unknown>[]> => {
  const response = await world.app.request(`/api/v1/stats/${name}?${query}`);
  const body = await response.text();
  expect(response.status, body).toBe(200);
  const { columns, rows } = JSON.parse(body) as StatsAnswer;
  return rows.map((row) => Object.fromEntries(columns.map(({ name: column }, i) => [column, row[i]])));
};

/** 1 % off at most. */
const about = (value: number) => expect.closeTo(value, -Math.log10(value * 0.02));

test('the list names all of them, each with its question', async () => {
  const { stats } = (await (await world.app.request('/api/v1/stats')).json()) as { stats: { name: string; question: string }[] };
  expect(stats.map(({ name }) => name)).toEqual([
    'agents',
    'costs',
    'failures',
    'first-pass-yield',
    'models',
    'nodes',
    'projects',
    'prompts',
    'slowest',
  ]);
  for (const { question } of stats) expect(question).toMatch(/\?$/);
});

test('each is answered for any project, span and limit, also of an empty history', async () => {
  const empty = await openHistory();
  const bare = await openWorld({ history: { analytics: empty.analytics, stats: await readStats() } });
  try {
    for (const name of names)
      for (const query of [
        '',
        'project_id=p',
        'project_id=nobody',
        "project_id='",
        'since=2026-11-21T00:00:00Z',
        'since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z',
        'limit=1',
      ]) {
        expect((await rowsOf(name, query)).length).toBeLessThanOrEqual(query === 'limit=1' ? 1 : 100);
        const response = await bare.app.request(`/api/v1/stats/${name}?${query}`);
        expect([name, query, response.status, ((await response.json()) as StatsAnswer).rows]).toEqual([name, query, 200, []]);
      }
  } finally {
    await bare.close();
    await empty.close();
  }
});

test('one that there is not is 404 and names those there are', async () => {
  const response = await world.app.request('/api/v1/stats/nothing');
  expect(response.status).toBe(404);
  expect(await response.text()).toContain('first-pass-yield');
});

describe('figures', () => {
  test('models', async () => {
    const [qwen, gpt] = await rowsOf('models');
    expect(qwen).toMatchObject({
      model: 'qwen',
      provider: 'ollama',
      calls: 3,
      errors: 1,
      error_ratio: 0.3333,
      input_tokens: 300,
      output_tokens: 150,
      cost_usd: 0.005,
    });
    expect(qwen).toMatchObject({ p50_ms: about(800), p99_ms: about(800), first_chunk_p50_ms: about(40) });
    expect(gpt).toMatchObject({ model: 'gpt', calls: 1, cost_usd: 0.5 });
    expect(await rowsOf('models', 'project_id=other')).toHaveLength(1);
    expect(await rowsOf('models', 'since=2026-11-21T09:59:59Z')).toMatchObject([{ model: 'qwen' }]);
  });

  test('nodes: calls, and the newest samples of the processes that are there', async () => {
    const [n1, n2, n9] = await rowsOf('nodes');
    expect(n1).toMatchObject({
      node: 'n1',
      calls: 3,
      errors: 1,
      processes: 2,
      cpu_cores: 0.75,
      rss_bytes: 300,
      running_work: 3,
      sampled_at: '2026-11-21T10:05:01.000Z',
      p50_ms: about(800),
    });
    expect(n2).toMatchObject({ node: 'n2', calls: 1, processes: 0, sampled_at: null });
    expect(n9).toMatchObject({ node: 'n9', calls: 0, processes: 1, p50_ms: null });
  });

  test('agents: the same of all projects as of each', async () => {
    const all = await rowsOf('agents');
    const model = all.find(({ agent, model }) => agent === 'model:generate' && model === 'qwen');
    expect(model).toMatchObject({
      nodes: ['n1'],
      events: 3,
      tasks: 2,
      calls: 3,
      errors: 1,
      output_tokens: 150,
      cost_usd: 0.005,
      first_day: '2026-11-21',
    });
    expect(await rowsOf('agents', 'project_id=p')).toContainEqual(model);
    expect((await rowsOf('agents', 'project_id=other')).map(({ agent }) => agent)).toEqual(['/effects/generation', 'model:generate']);
  });

  test('costs: of each accepted artifact, what was rejected included', async () => {
    expect(await rowsOf('costs')).toMatchObject([
      {
        project_id: 'p',
        day: '2026-11-21',
        calls: 3,
        cost_usd: 0.005,
        accepted: 2,
        rejected: 1,
        accepted_artifacts: 3,
        cost_per_accepted_artifact_usd: 0.001666667,
      },
      { project_id: 'other', day: '2026-11-20', cost_usd: 0.5, accepted_artifacts: 1, cost_per_accepted_artifact_usd: 0.5 },
    ]);
  });

  test('failures', async () => {
    expect(await rowsOf('failures')).toEqual([
      {
        model: 'qwen',
        prompt_version: 'generate.1',
        status: 'rejected',
        error_code: 'checks_failed',
        executions: 1,
        share: 0.3333,
        tasks: 1,
        reasons: ['add(1, 2) gave 4'],
      },
    ]);
  });

  test('first-pass yield', async () => {
    expect(await rowsOf('first-pass-yield')).toEqual([
      {
        model: 'qwen',
        prompt_version: 'generate.1',
        tier: 'small',
        first_attempts: 2,
        accepted_at_first: 1,
        first_pass_yield: 0.5,
        attempts: 3,
        accepted: 2,
        attempts_per_accepted: 1.5,
      },
      {
        model: 'gpt',
        prompt_version: 'generate.2',
        tier: 'small',
        first_attempts: 1,
        accepted_at_first: 1,
        first_pass_yield: 1,
        attempts: 1,
        accepted: 1,
        attempts_per_accepted: 1,
      },
    ]);
  });

  test('prompts', async () => {
    expect(await rowsOf('prompts')).toMatchObject([
      {
        prompt_version: 'generate.1',
        model: 'qwen',
        executions: 3,
        accepted: 2,
        rejected: 1,
        failed: 0,
        acceptance: 0.6667,
        first_pass_yield: 0.5,
        p50_ms: about(700),
      },
      { prompt_version: 'generate.2', model: 'gpt', acceptance: 1 },
    ]);
  });

  test('projects', async () => {
    expect(await rowsOf('projects', 'project_id=p')).toMatchObject([
      { project_id: 'p', created: 2, completed: 2, accepted: 2, rejected: 1, cost_usd: 0.005, p50_ms: about(5_000), p99_ms: about(5_000) },
    ]);
  });

  test('slowest', async () => {
    const [first, second] = await rowsOf('slowest');
    expect(first).toMatchObject({ task_id: 't2', total_ms: 10_000, queue_ms: 5_000, model_ms: 700, after_ms: 200 });
    expect(second).toMatchObject({ total_ms: 1_000, queue_ms: 100 });
  });
});
