// Provenance, lists and lineage through the API, on the embedded engine.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Execution, Lineage, Problem, Provenance } from '../../schemas/index.js';
import { call, execution, type History, mark, openHistory } from '../testing/history.js';
import { openWorld, type World } from '../testing/world.js';

let history: History;
let world: World;

beforeAll(async () => {
  history = await openHistory();
  world = await openWorld({ history: { analytics: history.analytics } });
  // spec -> code (rejected, then accepted) -> docs; and two tasks that took from each other.
  await history.insert(
    ...execution({ task: 'spec', at: '2026-11-21T09:00:00.000Z', artifacts: { 'spec.md': 'a-spec' } }),
    ...execution({
      task: 'code',
      attempt: 1,
      status: 'rejected',
      at: '2026-11-21T10:00:00.000Z',
      artifacts: { 'src/add.py': 'a-code-1' },
      consumed: { 'a-spec': 'spec' },
    }),
    ...execution({
      task: 'code',
      attempt: 2,
      at: '2026-11-21T10:05:00.000Z',
      artifacts: { 'src/add.py': 'a-code-2', 'src/util.py': 'a-util' },
      consumed: { 'a-spec': 'spec', 'a-unknown': 'elsewhere' },
      over: { confidence: 0.75, score: 0.9 },
    }),
    ...execution({
      task: 'docs',
      at: '2026-11-21T10:10:00.000Z',
      artifacts: { 'docs.md': 'a-docs' },
      consumed: { 'a-code-2': 'code', 'a-util': 'code' },
    }),
    ...execution({
      task: 'ring-1',
      project: 'ring',
      at: '2026-11-21T08:00:00.000Z',
      artifacts: { 'one.py': 'a-ring-1' },
      consumed: { 'a-ring-2': 'ring-2' },
    }),
    ...execution({
      task: 'ring-2',
      project: 'ring',
      at: '2026-11-21T08:00:01.000Z',
      artifacts: { 'two.py': 'a-ring-2' },
      consumed: { 'a-ring-1': 'ring-1' },
    }),
    ...execution({
      task: 'late',
      status: 'timed_out',
      at: '2026-11-21T10:20:00.000Z',
      over: {
        profile: '',
        score: null,
        model: '',
        provider: '',
        started_at: 0,
        output_at: 0,
        duration_ms: 0,
        error_code: 'timeout',
        error_message: 'took too long',
        checks_passed: [],
        checks_failed: [],
        reasons: [],
      },
    }),
    call({ task: 'code', attempt: 2 }),
    call({ task: 'code', attempt: 2, over: { id: 'again', cost_usd: '0.000500000' } }),
    call({ task: 'docs', over: { cost_usd: 0, price_version: '' } }),
    call({ task: 'spec', over: { cost_usd: 0, price_version: 'free' } }),
    mark('a-util', 'suspect'),
    mark('a-spec', 'tainted'),
    mark('a-spec', 'revalidated', '2026-11-21T12:00:00.000Z'),
  );
});
afterAll(async () => {
  await world?.close();
  await history?.close();
});

const read = async <T>(path: string): Promise<T> => {
  const response = await world.app.request(`/api/v1/provenance${path}`);
  const body = await response.text();
  expect(response.status, body).toBe(200);
  return JSON.parse(body) as T;
};

describe('a record', () => {
  test.each(['prov-code-2', 'a-code-2', 'a-util', 'code'])('is found by %s', async (id) => {
    expect(await read<Provenance>(`/${id}`)).toMatchObject({ provenance_id: 'prov-code-2', attempt: 2, status: 'accepted' });
  });

  test('says everything', async () => {
    expect(await read<Provenance>('/prov-code-2')).toEqual({
      provenance_id: 'prov-code-2',
      project_id: 'p',
      task_id: 'code',
      parent_id: null,
      attempt: 2,
      status: 'accepted',
      model: 'qwen',
      provider: 'ollama',
      model_digest: null,
      scripted: false,
      prompt_version: 'generate.1',
      prompt_sha256: 'ab'.repeat(32),
      config_version: 'c0ffee',
      mode: 'new_project',
      priority: 'normal',
      tier: 'small',
      domain: 'code',
      node: 'n1',
      worker: 'n1:1',
      fence: '7',
      ready_at: '2026-11-21T10:04:59.000Z',
      started_at: '2026-11-21T10:04:59.100Z',
      output_at: '2026-11-21T10:04:59.800Z',
      finished_at: '2026-11-21T10:05:00.000Z',
      duration_ms: 700,
      queue_ms: 100,
      total_ms: 1_000,
      input_tokens: 100,
      output_tokens: 50,
      cost_usd: 0.003,
      decision: null,
      calls: [],
      confidence: 0.75,
      score: 0.9,
      verification: { profile: 'tests', score: 0.9, passed: ['syntax:python'], failed: [], reasons: [] },
      error_code: null,
      error: null,
      artifacts: [
        { artifact_id: 'a-code-2', path: 'src/add.py', type: 'python', sha256: 'cd'.repeat(32), bytes: 42, taint: 'clean' },
        { artifact_id: 'a-util', path: 'src/util.py', type: 'python', sha256: 'cd'.repeat(32), bytes: 42, taint: 'suspect' },
      ],
      consumed: [
        { artifact_id: 'a-spec', task_id: 'spec', path: 'spec.md' },
        { artifact_id: 'a-unknown', task_id: 'elsewhere', path: null },
      ],
      taint: 'suspect',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      correlation_id: 'corr-code',
      event: { id: 'end-code-2', topic: 'dats.lifecycle', partition: 0, offset: expect.any(Number) },
    });
  });

  test('of an attempt that was not accepted is found by its own ids', async () => {
    expect(await read<Provenance>('/a-code-1')).toMatchObject({
      attempt: 1,
      status: 'rejected',
      cost_usd: null,
      verification: { failed: ['tests:python'], reasons: ['add(1, 2) gave 4'] },
    });
  });

  test('of an attempt without an output has null where nothing was', async () => {
    expect(await read<Provenance>('/late')).toMatchObject({
      status: 'timed_out',
      model: null,
      started_at: null,
      output_at: null,
      queue_ms: null,
      total_ms: 1_000,
      duration_ms: null,
      verification: null,
      error: { code: 'timeout', message: 'took too long' },
      artifacts: [],
      taint: 'clean',
    });
  });

  test('has no cost where no price is known, and 0 where the price is 0', async () => {
    expect((await read<Provenance>('/docs')).cost_usd).toBeNull();
    expect((await read<Provenance>('/spec')).cost_usd).toBe(0);
  });

  test('of an artifact that was cleared again is clean', async () => {
    expect((await read<Provenance>('/spec')).taint).toBe('clean');
  });

  test('that nobody knows is 404, one that is on its way is 404 with the time to come back', async () => {
    const missing = await world.app.request('/api/v1/provenance/nothing');
    expect(missing.status).toBe(404);
    expect(((await missing.json()) as Problem).type).toBe('/problems/provenance-not-found');
    const task = await world.submit({ description: 'x', project_id: 'p' });
    for (const path of [`/api/v1/provenance/${task}`, `/api/v1/provenance/${task}/lineage`]) {
      const early = await world.app.request(path);
      const problem = (await early.json()) as Problem;
      expect([early.status, problem.type, problem.retryable]).toEqual([404, '/problems/provenance-pending', true]);
      expect(early.headers.get('retry-after')).toBe('1');
    }
  });

  test('of an artifact whose attempt has no verdict yet is pending', async () => {
    await history.insert(execution({ task: 'open', artifacts: { 'open.py': 'a-open' } })[0]!);
    const response = await world.app.request('/api/v1/provenance/a-open');
    expect(((await response.json()) as Problem).type).toBe('/problems/provenance-pending');
  });

  test.each(["'", '\\', "' OR 1=1 --", '{id:String}', '%27;DROP', '😀'])('is not found by %s', async (id) => {
    const response = await world.app.request(`/api/v1/provenance/${encodeURIComponent(id)}`);
    expect(response.status).toBe(404);
  });
});

describe('the list', () => {
  const ids = async (query: string): Promise<string[]> =>
    (await read<{ executions: Execution[] }>(`?${query}`)).executions.map(({ provenance_id }) => provenance_id);

  test('is newest first, of all projects or of one', async () => {
    expect(await ids('')).toEqual([
      'prov-late-1',
      'prov-docs-1',
      'prov-code-2',
      'prov-code-1',
      'prov-spec-1',
      'prov-ring-2-1',
      'prov-ring-1-1',
    ]);
    expect(await ids('project_id=ring')).toEqual(['prov-ring-2-1', 'prov-ring-1-1']);
  });

  test.each([
    ['status=rejected', ['prov-code-1']],
    ['task_id=code', ['prov-code-2', 'prov-code-1']],
    ['taint=suspect', ['prov-code-2']],
    ['taint=tainted', []],
    ['taint=clean&project_id=p&status=accepted', ['prov-docs-1', 'prov-spec-1']],
    ['q=util', ['prov-code-2']],
    ["q='", []],
    ['since=2026-11-21T10:05:00Z&until=2026-11-21T10:10:00Z', ['prov-code-2']],
    ['since=2026-11-21T11:05:00%2B01:00&until=2026-11-21T11:10:00%2B01:00', ['prov-code-2']],
    ['model=qwen&prompt_version=generate.1&node=n1&project_id=ring', ['prov-ring-2-1', 'prov-ring-1-1']],
    ['since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z&status=rejected', ['prov-code-1']],
    ['model=other', []],
  ])('%s', async (query, expected) => {
    expect(await ids(query)).toEqual(expected);
  });

  test('refuses what it does not know', async () => {
    for (const query of ['cursor=x', 'cursor=WyJ4IiwieSJd', 'taint=odd', 'since=yesterday', 'limit=0', 'limit=1001', 'projct=x'])
      expect((await world.app.request(`/api/v1/provenance?${query}`)).status, query).toBe(400);
  });

  test('in pages of any size gives each once and in the same order, also where many ended at the same time', async () => {
    const same = Array.from({ length: 40 }, (_, i) =>
      execution({
        project: i % 2 === 0 ? 'many' : 'more',
        task: `m${String(i).padStart(2, '0')}`,
        at: `2026-11-01T00:00:0${Math.floor(i / 15)}.000Z`,
      }),
    );
    await history.insert(...same.flat());
    for (const filter of ['project_id=many&', 'until=2026-11-02T00:00:00Z&'])
      for (const limit of [1, 3, 7, 40, 1_000]) {
        const all = await ids(`${filter}limit=1000`);
        const seen: string[] = [];
        for (let path: string | undefined = `/api/v1/provenance?${filter}limit=${limit}`; path !== undefined; ) {
          const response: Response = await world.app.request(path);
          const page = (await response.json()) as { executions: Execution[]; next_cursor: string | null };
          expect(page.executions.length).toBeLessThanOrEqual(limit);
          seen.push(...page.executions.map(({ provenance_id }) => provenance_id));
          path = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
          expect(path === undefined).toBe(page.next_cursor === null);
        }
        expect(all.length).toBe(filter.startsWith('project') ? 20 : 40);
        expect(seen).toEqual(all);
      }
  });
});

describe('lineage', () => {
  test('goes up from an artifact, an execution or a task, each artifact once', async () => {
    const up = await read<Lineage>('/a-docs/lineage');
    expect(up).toMatchObject({ direction: 'up', depth: 10, roots: ['a-docs'], truncated: false });
    expect(up.nodes.map(({ artifact_id, depth }) => [artifact_id, depth])).toEqual([
      ['a-docs', 0],
      ['a-code-2', 1],
      ['a-util', 1],
      ['a-spec', 2],
      ['a-unknown', 2],
    ]);
    expect(up.edges).toContainEqual({ source: 'a-spec', target: 'a-util', kind: 'consumed' });
    expect(up.edges).toHaveLength(6);
    expect(up.nodes[2]).toEqual({
      artifact_id: 'a-util',
      depth: 1,
      path: 'src/util.py',
      task_id: 'code',
      project_id: 'p',
      provenance_id: 'prov-code-2',
      attempt: 2,
      model: 'qwen',
      status: 'accepted',
      taint: 'suspect',
    });
    expect(up.nodes[4]).toMatchObject({ artifact_id: 'a-unknown', path: null, task_id: null, status: null, taint: 'clean' });
    for (const id of ['docs', 'prov-docs-1']) expect({ ...(await read<Lineage>(`/${id}/lineage`)), id: 'a-docs' }).toEqual(up);
  });

  test('goes down, to what was made of rejected attempts too', async () => {
    const down = await read<Lineage>('/a-spec/lineage?direction=down');
    expect(down.nodes.map(({ artifact_id, depth, status }) => [artifact_id, depth, status])).toEqual([
      ['a-spec', 0, 'accepted'],
      ['a-code-1', 1, 'rejected'],
      ['a-code-2', 1, 'accepted'],
      ['a-util', 1, 'accepted'],
      ['a-docs', 2, 'accepted'],
    ]);
  });

  test('stops at its depth, and at where it has been', async () => {
    expect((await read<Lineage>('/a-docs/lineage?depth=1')).nodes).toHaveLength(3);
    const ring = await read<Lineage>('/a-ring-1/lineage?depth=50');
    expect(ring.nodes.map(({ artifact_id }) => artifact_id)).toEqual(['a-ring-1', 'a-ring-2']);
    expect(ring.edges).toHaveLength(2);
  });

  test('of more artifacts than fit is cut, and says so', async () => {
    const consumed = Object.fromEntries(Array.from({ length: 10_050 }, (_, i) => [`in-${i}`, 'x']));
    await history.insert(...execution({ task: 'wide', artifacts: { 'wide.md': 'a-wide' }, consumed }));
    const wide = await read<Lineage>('/a-wide/lineage');
    expect([wide.nodes.length, wide.truncated]).toEqual([10_000, true]);
    const down = await read<Lineage>('/a-wide/lineage?direction=down');
    expect([down.nodes.length, down.truncated]).toEqual([1, false]);
  });

  test('is not there for an execution that made nothing', async () => {
    expect((await world.app.request('/api/v1/provenance/late/lineage')).status).toBe(404);
  });
});
