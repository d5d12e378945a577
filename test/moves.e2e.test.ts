// Projects that move between a core and two edge nodes, under load and SIGKILLs: every task ends once, whoever decides it, and all nodes tell the same.
//
// DATS_MOVES sets how often a project is moved; DATS_SEED repeats the choices of a run; DATS_MOVES_KEEP names a folder for the data of one whose tasks did not end.
import { cpSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { isTerminal, LIFECYCLE } from '../schemas/index.js';
import type { Recorded } from '../streams/index.js';
import type { Api } from './support/api.js';
import { eventually } from './support/eventually.js';
import { follow } from './support/follower.js';
import { CORE, type LinkedNode, openLinkedNodes } from './support/linked-nodes.js';
import { LOAD_SCRIPT, type Load, startLoad } from './support/load.js';
import { disagreements, homeOf, movedTaskViolations, once, told, trailOf } from './support/moved-projects.js';
import { cleanUp } from './support/node-process.js';
import { finalViewsOf, misfitsOf } from './support/outcomes.js';
import { type Random, seededRandom, testSeed } from './support/random.js';

const MOVES = Number(process.env['DATS_MOVES'] ?? 12);
const PARTITIONS = 2;
const MAX_RUNNING = 8;
const EDGES = ['edge-1', 'edge-2'];
/** A project, and at which node its tasks are asked for: its home at first, or not. */
const ENTRIES: readonly (readonly [project: string, node: string])[] = [
  ['alpha', CORE],
  ['beta', 'edge-1'],
  ['edge-1-gamma', CORE],
  ['edge-2-delta', 'edge-2'],
];
const PROJECTS = ENTRIES.map(([project]) => project);
const LANES = 4;
const LIMIT_MS = 30_000;
/** Between two moves, and between two kills; milliseconds. */
const MOVE_MS = [200, 1_500] as const;
const LIFE_MS = [100, 1_500] as const;

const CONFIG = {
  models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }],
  scheduling: { max_running_per_project: MAX_RUNNING, backoff_base_ms: 20, backoff_max_ms: 100 },
  slots: { qa: 2 },
  link: { flush_ms: 5, retry_max_ms: 500 },
};

afterEach(cleanUp);

/** That it falls anywhere is the point: the instant is drawn, not awaited. */
const drawn = (random: Random, [from, to]: readonly [number, number]): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, random.int(from, to)));

/** Asks each project's tasks at one node, and about a task where it was asked for. */
const spread = (nodes: readonly LinkedNode[]): Pick<Api, 'submit' | 'cancel'> => {
  const at = (id: string): Api => nodes.find((node) => node.id === id)!.api;
  const askedAt = new Map<string, Api>();
  const later = { status: 503, headers: new Headers(), body: {} as never };
  return {
    submit: async (body, key) => {
      const api = at(new Map(ENTRIES).get((body as { project_id: string }).project_id)!);
      const answer = await api.submit(body, key).catch(() => later);
      if (answer.status === 202) askedAt.set(answer.body.task_id, api);
      return answer;
    },
    cancel: (id) =>
      askedAt
        .get(id)!
        .cancel(id)
        .catch(() => later),
  };
};

const moveAbout = async (nodes: readonly LinkedNode[], random: Random): Promise<number> => {
  let asked = 0;
  while (asked < MOVES) {
    await drawn(random, MOVE_MS);
    const project = random.pick(PROJECTS);
    const to = random.pick(nodes).id;
    // A node that is being killed does not answer; a project on its way stays on it.
    const answer = await random
      .pick(nodes)
      .api.ask('POST', `/api/v1/projects/${project}/move`, { to })
      .catch(() => undefined);
    if (answer?.status === 202) asked++;
  }
  return asked;
};

const killAbout = async (nodes: readonly LinkedNode[], random: Random, signal: AbortSignal): Promise<number> => {
  let kills = 0;
  while (!signal.aborted) {
    await drawn(random, LIFE_MS);
    await random.pick(nodes).crash();
    kills++;
  }
  return kills;
};

/** What a failed run was about, at each node. */
const showTrail = async (nodes: readonly LinkedNode[], tasks: Parameters<typeof trailOf>[1]) => {
  for (const node of nodes) {
    await node.stop();
    console.error(`at ${node.id}:\n${trailOf(await node.lifecycle(), tasks)}`);
  }
  if (process.env['DATS_MOVES_KEEP'] !== undefined) cpSync(nodes[0]!.folder, process.env['DATS_MOVES_KEEP'], { recursive: true });
};

describe('projects that move', () => {
  it('under load and SIGKILLs, lose and double nothing', async () => {
    const random = seededRandom(testSeed('moves'));
    const nodes = await openLinkedNodes({ edges: EDGES, config: CONFIG, script: LOAD_SCRIPT, partitions: PARTITIONS });
    const [core, ...edges] = nodes as [LinkedNode, ...LinkedNode[]];
    await Promise.all(nodes.map((node) => node.start()));
    const load: Load = startLoad(spread(nodes), random, PROJECTS, LANES);
    const ended = new Set<string>();
    const followers = PROJECTS.map((project) =>
      follow(core.api, project, ({ type, event }) => {
        if (!isTerminal(type as 'dats.task.failed')) return;
        ended.add(event.subject);
        load.ended(event.subject);
      }),
    );
    const enough = new AbortController();
    const running = load.run(enough.signal);
    running.catch(() => undefined);
    await eventually('a task that has ended', LIMIT_MS, () => ended.size > 0);
    const killing = killAbout(nodes, random, enough.signal);
    killing.catch(() => undefined);
    const moves = await moveAbout(nodes, random);
    enough.abort();
    await running;
    const kills = await killing;

    const open = () => load.acknowledged.filter(({ task_id }) => !ended.has(task_id));
    await eventually('the end of every acknowledged task', LIMIT_MS, () => open().length === 0).catch(async (error: Error) => {
      const left = open().map(({ key, kind, task_id, project_id }) => `${key} ${kind} ${task_id} ${project_id}`);
      await showTrail(nodes, open().slice(0, 10));
      throw new Error(`${left.length} tasks have not ended: ${left.slice(0, 10).join(', ')}`, { cause: error });
    });
    const homes = await eventually('projects that stay', LIMIT_MS, async () => {
      const all = await Promise.all(PROJECTS.map((project) => homeOf(core.api, project)));
      const there = await Promise.all(all.map(({ home, project_id }) => homeOf(nodes.find(({ id }) => id === home)!.api, project_id)));
      return [...all, ...there].every(({ moving_to }) => moving_to === null) && there.every(({ home }, i) => home === all[i]!.home) && all;
    });
    expect(load.surprises).toEqual([]);
    const tasks = load.acknowledged;
    const views = await finalViewsOf(
      core.api,
      tasks.map(({ task_id }) => task_id),
      LIMIT_MS,
    );
    for (const { project_id, home } of homes) {
      const mine = tasks.filter((task) => task.project_id === project_id).map(({ task_id }) => task_id);
      const there = await finalViewsOf(nodes.find(({ id }) => id === home)!.api, mine, LIMIT_MS);
      const here = views.filter((view) => view.project_id === project_id);
      expect(there.map(told)).toEqual(here.map(told));
    }
    await eventually('what the edge nodes said at the core', LIMIT_MS, async () => {
      const { nodes: seen } = (await core.api.ask<{ nodes: { id: string; backlog: number | null }[] }>('GET', '/api/v1/nodes')).body;
      return seen.every(({ id, backlog }) => id === CORE || backlog === 0);
    });
    for (const follower of followers) follower.stop();
    await Promise.all(followers.map(({ done }) => done));
    for (const node of nodes) await node.stop();

    const atCore = await core.lifecycle();
    expect(movedTaskViolations(atCore, { partitions: PARTITIONS, maxRunning: MAX_RUNNING, acknowledged: tasks, views })).toEqual([]);
    expect(misfitsOf(tasks, views, PROJECTS)).toEqual([]);
    const atEdges = new Map<string, readonly Recorded[]>();
    for (const edge of edges) atEdges.set(edge.id, await edge.lifecycle());
    expect(disagreements(CORE, atCore, atEdges, PROJECTS)).toEqual([]);
    const happened = atCore.filter(({ type, topic }) => topic === LIFECYCLE && type === 'dats.project.arrived').length;
    console.info(
      `${moves} moves asked for, ${happened} made, ${kills} kills, ${tasks.length} tasks, ${atCore.length} records at the core, ${atCore.length - once(atCore).length} asked astray`,
    );
    expect(happened).toBeGreaterThan(0);
  });
});
