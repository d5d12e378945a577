import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArtifactRef, type DataOf, type EventOf, isTerminal, type TaskError } from '../../schemas/index.js';
import { isCopy, type Recorded } from '../../streams/index.js';
import type { Arrival } from '../host/index.js';
import { creation, output } from '../testing/pipeline-world.js';
import { CORE, eventIn, type MovingNode, openMovingWorld, type WorkItem } from './testing/moving-world.js';

const EDGES = ['edge-1', 'edge-2'];
/** Homes of theirs at first: the core, the core, and two edges. */
const PROJECTS = ['p', 'q', 'edge-1-r', 'edge-2-s'];

const TEXT = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
const plan = (id: string): DataOf<'dats.task.decomposed'> => ({
  task_id: id,
  planner: { name: 't', version: '1' },
  children: [0, 1].map((n) => ({ task_id: `${id}${n}`, title: 't', description: TEXT, depends_on: n === 1 ? [`${id}0`] : [] })),
});
const WORKER = '/effects/test';

/** Says what becomes of a work item, where it is done. */
const respond = ({ node, work }: WorkItem, outcome: string): void => {
  const { task_id, attempt, kind } = work.data;
  const say = <T extends Parameters<MovingNode['append']>[0]>(type: T, data: DataOf<T>): unknown =>
    node.append(type, data, work.projectid, WORKER);
  const error: TaskError = { code: 'model_error', message: 'e', retryable: true };
  if (kind === 'decompose') say('dats.task.decomposed', plan(task_id));
  else if (outcome === 'fail') say('dats.task.attempt.failed', { task_id, attempt, stage: kind === 'check' ? 'qa' : 'generation', error });
  else if (kind === 'generate') {
    say('dats.task.started', { task_id, attempt, node: node.id, worker: 'w', fence: '1' } as DataOf<'dats.task.started'>);
    say('dats.task.output.created', output(work.data));
  } else if (outcome === 'reject')
    say('dats.task.rejected', { task_id, attempt, profile: 'syntax', checks: [], score: 0, reasons: ['no'], retryable: true });
  else say('dats.task.validated', { task_id, attempt, profile: 'syntax', checks: [], score: 1 });
};

/** An entry with places named by the event that stands there, and numbers that only order by their rank. */
const comparable = (node: MovingNode, entries: ReadonlyMap<string, string>, project: string): unknown => {
  const name = (offset: unknown): unknown => (typeof offset === 'number' ? node.at(offset)?.headers.id : offset);
  const refs = (list: unknown): unknown => (list as { at: number }[]).map((ref) => ({ ...ref, at: name(ref.at) }));
  const ours = [...entries].flatMap(([key, json]) => {
    const value = JSON.parse(json) as Record<string, unknown>;
    const isOurs = key.startsWith('scheduling/t/') || key.startsWith('scheduling/c/');
    return isOurs && value.project === project ? [[key, value] as const] : [];
  });
  const rank = (field: string) => {
    const all = ours.map(([, value]) => value[field]).filter((n): n is number => typeof n === 'number');
    return new Map(all.sort((a, b) => a - b).map((n, i) => [n, i]));
  };
  const [queued, closed] = [rank('queuedAt'), rank('n')];
  return Object.fromEntries(
    ours.map(([key, value]) => [
      key,
      {
        ...value,
        ...Object.fromEntries(['at', 'parentAt', 'output', 'rejected'].filter((f) => f in value).map((f) => [f, name(value[f])])),
        ...Object.fromEntries(['inputs', 'artifacts', 'others'].filter((f) => f in value).map((f) => [f, refs(value[f])])),
        ...('queuedAt' in value ? { queuedAt: queued.get(value.queuedAt as number) } : {}),
        ...('n' in value ? { n: closed.get(value.n as number) } : {}),
      },
    ]),
  );
};

/** Whoever does the work finds there what it reads. */
const checkPlaces = ({ node, work: { data, projectid } }: WorkItem): void => {
  const at = (offset: number): EventOf<'dats.task.created'> => {
    const record = node.at(offset)!;
    expect(record.key).toBe(projectid);
    return eventIn(record) as EventOf<'dats.task.created'>;
  };
  const { created, parent, inputs, output: made, rejected } = data.context;
  const said = at(created) as { readonly type: string; readonly data: { readonly task_id: string; readonly children?: unknown[] } };
  if (said.type === 'dats.task.created') expect(said.data.task_id).toBe(data.task_id);
  else expect(JSON.stringify(said.data.children)).toContain(`"${data.task_id}"`);
  if (parent !== undefined) expect(at(parent)).toMatchObject({ type: 'dats.task.created' });
  if (made !== undefined) expect(at(made)).toMatchObject({ type: 'dats.task.output.created', data: { task_id: data.task_id } });
  if (rejected !== undefined) expect(at(rejected)).toMatchObject({ data: { task_id: data.task_id } });
  for (const { at: place, artifact_id } of inputs) expect(at(place)).toMatchObject({ data: { artifacts: [{ artifact_id }] } });
};

const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      project: fc.nat(PROJECTS.length - 1),
      priority: fc.constantFrom('low', 'normal', 'urgent'),
      deps: fc.array(fc.nat(40), { maxLength: 2 }),
      input: fc.option(fc.nat(40)),
      decompose: fc.boolean(),
      /** At a node that may not be the home. */
      astray: fc.option(fc.nat(2), { freq: 6 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      outcome: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'reject', 'again'),
      which: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('move' as const), project: fc.nat(PROJECTS.length - 1), to: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), node: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('carry' as const), node: fc.nat(1), count: fc.integer({ min: 1, max: 200 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 10, max: 4_000 }) }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('step' as const), node: fc.nat(2), count: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), node: fc.nat(2) }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

interface Task {
  readonly id: string;
  readonly project: string;
}

const play = (actions: readonly Action[]) => {
  let arrivals = 0;
  const world = openMovingWorld(EDGES, (node, arrival: Arrival, before) => {
    arrivals++;
    const project = arrival.moved[0].projectid;
    const old = world.node((arrival.moved[0] as EventOf<'dats.project.moved'>).data.from);
    const fold = node.fresh();
    fold.replayArrival(arrival);
    const entries = new Map([...fold.changes()].flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])));
    expect(comparable(node, entries, project)).toEqual(comparable(old, before, project));
    expect([...entries.keys()].filter((key) => key.startsWith('routing/'))).toEqual([]);
  });
  const tasks: Task[] = [];
  const astray: { readonly node: MovingNode; readonly record: Recorded }[] = [];
  /** Where whoever asks now believes the home to be: as the nodes know it. */
  const homeOf = (project: string): MovingNode =>
    world.nodes.find((node) => node.homeOf(project) === node.id) ?? world.node(world.core.homeOf(project));
  const ask = <T extends Parameters<MovingNode['append']>[0]>(node: MovingNode, type: T, data: DataOf<T>, project: string): void => {
    node.append(type, data, project);
    if (node.homeOf(project) !== node.id) astray.push({ node, record: node.log.at(-1)! });
  };
  let answered = 0;
  let checked = 0;
  const work = (outcome: string, which: number): void => {
    const item = world.work[outcome === 'again' ? which % Math.max(1, answered) : answered++];
    if (item !== undefined) respond(item, outcome);
  };
  const releaseAll = (node: MovingNode): void => {
    for (const [key, json] of node.saved) {
      const move = key.startsWith('scheduling/m/') ? (JSON.parse(json) as { to: string; released?: true }) : undefined;
      const project = key.slice('scheduling/m/'.length);
      if (move !== undefined && !move.released)
        node.append('dats.project.released', { project_id: project, to: move.to }, project, '/deciders/cascade');
    }
  };
  const look = (): void => {
    for (; checked < world.work.length; checked++) checkPlaces(world.work[checked]!);
  };
  const sendAstray = (): void => {
    for (const { record } of astray.splice(0)) {
      const home = homeOf(record.key);
      home.deliver(eventIn(record));
      if (home.homeOf(record.key) !== home.id) astray.push({ node: home, record: home.log.at(-1)! });
    }
  };
  const doOne = (a: Action): void => {
    switch (a.kind) {
      case 'submit': {
        const project = PROJECTS[a.project]!;
        const deps = a.deps.flatMap((n) => (tasks[n]?.project === project ? [tasks[n].id] : []));
        const id = `t${tasks.length}.`;
        const made = a.input === null ? undefined : tasks[a.input];
        const inputs = made?.project === project ? madeBy(homeOf(project), made.id) : [];
        const node = a.astray === null ? homeOf(project) : world.nodes[a.astray]!;
        tasks.push({ id, project });
        const details = { priority: a.priority as 'low', depends_on: [...new Set(deps)], options: { decompose: a.decompose }, inputs };
        return ask(node, 'dats.task.created', creation(id, details), project);
      }
      case 'work':
        return work(a.outcome, a.which);
      case 'cancel': {
        const task = tasks[a.which];
        if (task !== undefined && !astray.some(({ record }) => record.headers.subject === task.id))
          ask(homeOf(task.project), 'dats.task.cancel.requested', { task_id: task.id, reason: 'r', by: 'b' }, task.project);
        return;
      }
      case 'move': {
        const project = PROJECTS[a.project]!;
        return ask(
          homeOf(project),
          'dats.project.move.requested',
          { project_id: project, to: [CORE, ...EDGES, 'nobody'][a.to]!, by: 'b' },
          project,
        );
      }
      case 'release':
        return releaseAll(world.nodes[a.node]!);
      case 'carry':
        return world.carry(world.node(EDGES[a.node]!), a.count);
      case 'time':
        world.now += a.ms;
        return;
      case 'step':
        return world.nodes[a.node]!.step(a.count);
      case 'restart':
        return world.nodes[a.node]!.restart();
    }
  };
  for (const a of actions) {
    doOne(a);
    look();
  }
  const isOpen = (): boolean =>
    world.nodes.some((node) => node.read < node.log.length || [...node.saved.keys()].some((key) => /^scheduling\/[tm]\//.test(key))) ||
    astray.length > 0;
  let rounds = 0;
  for (; rounds < 3_000 && (isOpen() || rounds < 20); rounds++) {
    sendAstray();
    while (answered < world.work.length) work('ok', 0);
    world.now += 500;
    for (const node of world.nodes) {
      releaseAll(node);
      node.step();
      if (node.id !== CORE) world.carry(node);
    }
    look();
  }
  return { world, tasks, arrivals };
};

/** What a node shows of a task. */
const madeBy = (node: MovingNode, task_id: string): ArtifactRef[] => {
  const record = node.log.find(({ type, headers }) => type === 'dats.task.output.created' && headers.subject === task_id);
  if (record === undefined) return [];
  const { artifacts } = (eventIn(record) as EventOf<'dats.task.output.created'>).data;
  return artifacts.map(({ artifact_id, path, sha256 }) => ({ artifact_id, task_id, path, sha256, at: record.offset }));
};

const sorted = (entries: ReadonlyMap<string, string>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));

const ONCE_FAILED = [
  [-406392368, '48'],
  [-406392368, '62'],
  [530002839, '249'],
  [269619976, '1423'],
] as const;

describe('projects that move between nodes, under random histories', () => {
  it('stand at their new home as they stood, end every task once, find what they read, and are the same when they are folded again', () => {
    let arrivals = 0;
    const history = fc.property(fc.array(action, { minLength: 80, maxLength: 400 }), (actions) => {
      const played = play(actions);
      arrivals += played.arrivals;
      const { world, tasks } = played;
      const ends = new Map<string, string[]>();
      const attempts = new Map<string, number>();
      for (const node of world.nodes)
        for (const record of node.log) {
          if (isCopy(record)) continue;
          const { subject = '' } = record.headers;
          if (isTerminal(record.type as 'dats.task.failed')) ends.set(subject, [...(ends.get(subject) ?? []), node.id]);
          if (record.type !== 'dats.task.ready') continue;
          const key = `${subject} ${(eventIn(record) as EventOf<'dats.task.ready'>).data.attempt}`;
          attempts.set(key, (attempts.get(key) ?? 0) + 1);
        }
      for (const { id } of tasks) expect(ends.get(id), id).toHaveLength(1);
      expect([...attempts].filter(([, count]) => count !== 1)).toEqual([]);
      for (const node of world.nodes) expect(sorted(node.rebuilt()), node.id).toEqual(sorted(node.saved));
    });
    const holds = (options: fc.Parameters<[Action[]]>): void => fc.assert(history, { ...options, endOnFailure: true });
    // Histories that once failed: a task that came twice around the request of a move; inputs that no task went on with, named at another node.
    for (const [seed, path] of ONCE_FAILED) holds({ seed, path });
    holds({ numRuns: Number(process.env['DATS_RUNS'] ?? 120) });
    expect(arrivals).toBeGreaterThan(50);
  });
});
