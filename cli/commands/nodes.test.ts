import { afterEach, describe, expect, it } from 'vitest';
import type { NodeView, NodeVitals, Problem } from '../../schemas/index.js';
import { answerJson } from '../testing.js';
import { NOW, openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

const GIB = 1024 ** 3;
const VITALS: NodeVitals = {
  admission: 'open',
  uptime_s: 1,
  cpu_ratio: 0.1,
  load_1m: 0.2,
  rss_bytes: 1,
  memory_free_bytes: 1,
  memory_total_bytes: 2,
  gpus: [],
  models: [],
  lag: {},
  running_work: 0,
};
const CORE: NodeView = {
  id: 'core',
  role: 'core',
  url: 'http://core.example:8080',
  state: 'here',
  seen_at: null,
  admission: 'open',
  epoch: 1,
  store_id: 's',
  projects: ['*'],
  backlog: null,
  running_work: 0,
  vitals: {
    ...VITALS,
    lag: { core: 0, workers: 0 },
    models: [
      { id: 'a', ok: true },
      { id: 'b', ok: false },
    ],
  },
  cursors: {},
  abilities: null,
};
const EDGE: NodeView = {
  ...CORE,
  id: 'edge-1',
  role: 'edge',
  url: null,
  state: 'connected',
  seen_at: new Date(NOW - 4_000).toISOString(),
  epoch: 2,
  projects: ['edge-1', 'edge-1-*'],
  backlog: 12,
  running_work: 2,
  vitals: {
    ...VITALS,
    lag: { core: 1, workers: 3 },
    gpus: [
      { index: 0, name: 'A', utilisation_ratio: 0.8, memory_used_bytes: 18.5 * GIB, memory_total_bytes: 24 * GIB, temperature_c: 61 },
      { index: 1, name: 'B' },
    ],
    models: [{ id: 'qwen', ok: true, loaded: true }],
  },
};
const LOST: NodeView = {
  ...EDGE,
  id: 'edge-2',
  state: 'lost',
  seen_at: new Date(NOW - 7_200_000).toISOString(),
  vitals: null,
  admission: null,
  epoch: null,
  running_work: null,
  backlog: null,
  projects: ['van'],
};
const problem = (status: number, slug: string, detail: string): Problem => ({
  type: `/problems/${slug}`,
  title: slug,
  status,
  detail,
  correlation_id: 'c',
  retryable: status >= 500,
});

interface Server {
  self?: string;
  nodes?: () => readonly NodeView[];
  home?: () => object;
  task?: (asked: number) => { readonly status: number; readonly body: unknown };
  home_of_task?: string;
}
const serve = ({ self = 'core', nodes = () => [CORE, EDGE, LOST], home, task, home_of_task }: Server = {}): Promise<void> => {
  let asked = 0;
  return dats.serve((request, response) => {
    const path = request.url!.split('?', 1)[0]!;
    if (path === '/api/v1/nodes') answerJson(response, 200, { self, nodes: nodes() });
    else if (path.endsWith('/home')) answerJson(response, 200, home!());
    else if (path.endsWith('/move')) answerJson(response, 202, { project_id: 'docs', home: 'core', moving_to: 'edge-1' });
    else if (path === '/api/v1/tasks')
      answerJson(response, 202, {
        task_id: 't-1',
        project_id: 'edge-1-docs',
        status: 'pending',
        created_at: '2026-11-21T10:00:00.000Z',
        estimated_completion: null,
        position: null,
        ...(home_of_task === undefined ? {} : { home: home_of_task }),
      });
    else if (path === '/api/v1/tasks/t-1/events') response.writeHead(204).end();
    else if (path === '/api/v1/tasks/t-1') {
      const { status, body } = task!(asked++);
      answerJson(response, status, body, { 'retry-after': '1' });
    } else if (path === '/api/v1/nodes/edge-9/cordon') answerJson(response, 404, problem(404, 'node-not-found', 'no node "edge-9"'));
    else answerJson(response, 202, { node_id: 'edge-1', admission: 'draining', here: false });
  });
};

describe('dats nodes', () => {
  it('shows how each is, and says "no GPU" where there is none, and nothing where nobody knows', async () => {
    await serve();
    expect((await dats(['nodes'])).out.split('\n')).toEqual([
      'NODE    ROLE  STATE      SEEN     EPOCH  WORK  RUNNING  WAITING  TO SEND  GPU                                   MODELS         PROJECTS',
      'core    core  here       now      1      open  0        0        -        no GPU                                1 of 2 answer  *',
      'edge-1  edge  connected  4 s ago  2      open  2        4        12       80% 18.5/24.0 GiB 61 C; says nothing  qwen           edge-1, edge-1-*',
      'edge-2  edge  lost       2 h ago  -      -     -        -        -        -                                     -              van',
      '',
    ]);
  });

  it('gives the answer as it is with --json, and says at an edge node who knows more', async () => {
    await serve({ self: 'edge-1' });
    const { out } = await dats(['nodes', '--json']);
    expect(JSON.parse(out)).toEqual({ self: 'edge-1', nodes: [CORE, EDGE, LOST] });
    expect((await dats(['nodes'])).err).toContain('the core knows how the others are');
  });
});

describe('dats node', () => {
  it('asks, and says whether the node has it', async () => {
    await serve();
    const { code, out, err } = await dats(['node', 'cordon', 'edge-1', '--reason', 'a new driver', '--by', 'ada']);
    expect([code, out]).toEqual([0, 'asked: edge-1 takes no new work; what runs there goes on\n']);
    expect(err).toContain('over its line');
    expect(dats.posted('nodes/edge-1/cordon')).toEqual([{ body: { reason: 'a new driver', by: 'ada' }, keyed: false }]);
    expect(await dats(['node', 'uncordon', 'edge-1', '--json'])).toMatchObject({ code: 0 });
  });

  it('is refused for a node that there is not', async () => {
    await serve();
    expect(await dats(['node', 'cordon', 'edge-9'])).toMatchObject({ code: 1, err: expect.stringContaining('no node "edge-9"') });
  });

  it('drains until it can be stopped, and tells what is still to be done', async () => {
    const steps: NodeView[] = [
      EDGE,
      EDGE,
      { ...EDGE, state: 'lost' },
      { ...EDGE, running_work: 0, backlog: 5, vitals: { ...VITALS, lag: { core: 0 } } },
      { ...EDGE, admission: 'drained' },
    ];
    let at = 0;
    await serve({ nodes: () => [steps[Math.min(at++, steps.length - 1)]!] });
    const { code, out, err } = await dats(['node', 'drain', 'edge-1', '--wait']);
    expect([code, out]).toEqual([0, 'edge-1 is drained: its processes can be stopped; after the next start: dats node uncordon edge-1\n']);
    expect(err.split('\n')).toEqual([
      'edge-1: 2 running, 4 waiting to be done, 12 to send',
      'edge-1: it is cut off; it gets this when its line is back',
      'edge-1: 0 running, 0 waiting to be done, 5 to send',
      '',
    ]);
  });
});

describe('dats project', () => {
  it('says which node decides it', async () => {
    await serve({ home: () => ({ project_id: 'docs', home: 'edge-1', moving_to: null }) });
    expect((await dats(['project', 'home', 'docs'])).out).toBe('docs is decided by edge-1\n');
  });

  it('moves, and waits until it is there', async () => {
    let looks = 0;
    await serve({
      home: () =>
        looks++ < 2 ? { project_id: 'docs', home: 'core', moving_to: 'edge-1' } : { project_id: 'docs', home: 'edge-1', moving_to: null },
    });
    expect((await dats(['project', 'move', 'docs', '--to', 'edge-1'])).out).toBe('docs is decided by core, and on its way to edge-1\n');
    const { code, out, err } = await dats(['project', 'move', 'docs', '--to', 'edge-1', '--reason', 'far', '--wait']);
    expect([code, out]).toEqual([0, 'docs is decided by edge-1\n']);
    expect(err).toContain('core lets what runs of it end');
    expect(dats.posted('projects/docs/move').at(-1)).toEqual({ body: { to: 'edge-1', reason: 'far' }, keyed: false });
    expect(await dats(['project', 'move', 'docs'])).toMatchObject({ code: 2 });
  });
});

describe('dats submit --wait, for a project that another node decides', () => {
  const on_its_way = { status: 503, body: problem(503, 'task-on-its-way', 'on its way') };
  const done = {
    task_id: 't-1',
    status: 'completed',
    state: 'completed',
    completed_at: 'now',
    artifacts: [],
    children: [],
    depends_on: [],
    flags: [],
    verdict: null,
    error: null,
    title: 'x',
    project_id: 'edge-1-docs',
    priority: 'normal',
    waiting_for: null,
    mode: null,
    model: null,
    execution_time_ms: null,
    parent_id: null,
  };

  it('follows it at the core, once its home has said something of it', async () => {
    await serve({ home_of_task: 'edge-1', task: (asked) => (asked < 3 ? on_its_way : { status: 200, body: done }) });
    const { code, out, err } = await dats(['submit', 'Write a poem', '--project', 'edge-1-docs', '--wait']);
    expect([code, out]).toMatchObject([0, expect.stringContaining('completed')]);
    expect(err).toContain('node edge-1 decides project edge-1-docs; waiting until it says something of the task');
  });

  it('says at the core that the home is not connected', async () => {
    await serve({ home_of_task: 'edge-2', task: () => ({ status: 200, body: done }) });
    expect((await dats(['submit', 'x', '--wait'])).err).toContain('which is not connected now: the task is on disk here');
  });

  it('says at an edge node that the core decides it and has it, and where to follow it', async () => {
    await serve({
      self: 'edge-1',
      home_of_task: 'core',
      nodes: () => [
        { ...CORE, state: 'connected' },
        { ...EDGE, state: 'here', backlog: 0 },
      ],
    });
    expect(await dats(['submit', 'x', '--wait'])).toMatchObject({
      code: 1,
      out: 'the core (http://core.example:8080) decides project edge-1-docs, and has the task; follow it there: dats watch t-1 --url http://core.example:8080\n',
    });
  });

  it('says at an edge node that is cut off that the task is kept', async () => {
    await serve({
      self: 'edge-1',
      home_of_task: 'core',
      nodes: () => [
        { ...CORE, state: 'away' },
        { ...EDGE, state: 'here', backlog: 3 },
      ],
    });
    const { code, out } = await dats(['submit', 'x', '--wait', '--json']);
    expect([code, JSON.parse(out)]).toEqual([1, { task_id: 't-1', project_id: 'edge-1-docs', home: 'core', at_core: false }]);
    expect((await dats(['submit', 'x', '--wait'])).out).toContain('the task is on disk here and goes there when the line is up');
  });
});
