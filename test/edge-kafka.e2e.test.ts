// Edge nodes around a core of several processes on Kafka and Redis: lines are cut and processes of both sides are killed under load, a setting is changed and a project
// moves meanwhile. Nothing is lost, nothing doubled, both sides are connected again within 30 s, and the core has every record of the edge nodes once, in order.
//
// E1. What is asked at one side for a project of the other ends there, once; also what is asked while the line is cut. E2. A cut-off edge node works on. E3. Every gateway
// knows who is connected and who is lost. DATS_EDGE_KAFKA_KILLS and
// DATS_EDGE_KAFKA_MOVES make a long run (`npm run chaos`); DATS_SEED repeats the choices.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { isTerminal, LIFECYCLE, NODES, OUTBOX, partitionOf, type Topic } from '../schemas/index.js';
import type { Recorded } from '../streams/index.js';
import { openRedisViewStore } from '../streams/redis/index.js';
import { addressOf, describeWith } from '../streams/testing/servers.js';
import type { Api } from './support/api.js';
import { copyViolations, linkedIn, readLinked } from './support/copies.js';
import { cutOnce } from './support/cuttable-proxy.js';
import { diagnosisOf } from './support/diagnosis.js';
import { EDGE_PARTITIONS, type EdgeNode, lineHealth } from './support/edge-world.js';
import { eventually } from './support/eventually.js';
import { type Follower, follow } from './support/follower.js';
import { MAX_RUNNING, ownersOf, PARTITIONS } from './support/installation.js';
import { CORE, type KafkaCore, linked, nodesAt, openKafkaCore } from './support/kafka-core.js';
import { type Load, startLoad } from './support/load.js';
import { disagreements, homeOf, movedTaskViolations, once, told, trailOf } from './support/moved-projects.js';
import { tidy } from './support/node-process.js';
import { finalViewsOf, misfitsOf } from './support/outcomes.js';
import { type Random, seededRandom, testSeed } from './support/random.js';
import { repeatedKinds, repetitions, restoredCores } from './support/repetitions.js';
import { change, schedulingOf } from './support/settings.js';
import { readWholeLog } from './support/whole-log.js';

const KILLS = Number(process.env['DATS_EDGE_KAFKA_KILLS'] ?? 4);
/** Of one project, each with a kill of whoever decides it at the core. */
const MOVES = Number(process.env['DATS_EDGE_KAFKA_MOVES'] ?? 1);
const EDGES = ['edge-1', 'edge-2'] as const;
/** The project that moves. */
const VAN = 'edge-1-van';
/** Where it goes from the core, in turn. */
const STOPS = ['edge-2', CORE, 'edge-1', CORE] as const;
/** Who asks for tasks of which projects: an edge node for its own and for the core's, the core for an edge node's and for its own. */
const ENTRIES: readonly { readonly at: string; readonly projects: readonly string[] }[] = [
  { at: 'edge-1', projects: ['edge-1', VAN, 'website'] },
  { at: 'edge-2', projects: ['edge-2'] },
  { at: CORE, projects: ['edge-1-docs'] },
  { at: CORE, projects: ['edge-2-docs'] },
  { at: CORE, projects: ['shop'] },
];
const PROJECTS = ENTRIES.flatMap(({ projects }) => projects);
/** From one task to the next of each of them, in milliseconds: under load, and fast enough to recover. */
const PAUSE_MS = 150;
const CONNECTED_WITHIN_MS = 30_000;
const ENDED_WITHIN_MS = 60_000;
/** A line is down, and a process runs before the next one is killed, for so long; milliseconds. */
const DOWN_MS = [10, 1_500] as const;
const UP_MS = [100, 1_000] as const;
/** From the request of a move to the kill. */
const MOVING_MS = [0, 300] as const;
/** Tasks that must end while the line is cut. */
const OUTAGE_TASKS = 10;
/** The setting that is changed: below MAX_RUNNING. */
const FEWER_RUNNING = 8;
const RUN_LIMIT_MS = 60 * 60_000;

interface Station {
  readonly load: Load;
  readonly projects: readonly string[];
}

interface Run {
  readonly world: KafkaCore;
  readonly random: Random;
  readonly stations: readonly Station[];
  /** Tasks whose end the core has shown. */
  readonly ended: ReadonlySet<string>;
  readonly followers: readonly Follower[];
  /** What happened when, in seconds from the start. */
  readonly notes: readonly string[];
  note(what: string): void;
}

afterEach(tidy);

const start = async (seed: number): Promise<Run> => {
  const began = performance.now();
  const notes: string[] = [];
  const random = seededRandom(seed);
  const servers = { kafka: { brokers: addressOf('kafka') }, redis: { url: addressOf('redis') } };
  // Samples would be sent for ever: nothing would ever be all there.
  const config = { telemetry: { sample_s: 3_600 } };
  const world = await openKafkaCore({ servers, edges: EDGES, config });
  const askedAt = (node: string) => world.edges.find(({ id }) => id === node)?.api ?? world.core.gateways;
  const stations = ENTRIES.map(({ at, projects }) => ({ projects, load: startLoad(askedAt(at), random, projects, 1, PAUSE_MS) }));
  const ended = new Set<string>();
  const followers = stations.flatMap(({ load, projects }) =>
    projects.map((project) =>
      follow(world.core.gateways, project, ({ type, event }) => {
        if (!isTerminal(type)) return;
        ended.add(event.subject);
        load.ended(event.subject);
      }),
    ),
  );
  const note = (what: string): void => void notes.push(`${((performance.now() - began) / 1_000).toFixed(1)} s: ${what}`);
  note('all are ready');
  return { world, random, stations, ended, followers, notes, note };
};

/** What a failed run was about, at each node. */
const showTrail = async ({ world: { core, edges } }: Run, tasks: Parameters<typeof trailOf>[1]): Promise<void> => {
  console.error(`at ${CORE}:\n${trailOf(await linkedIn(core.log), tasks)}`);
  for (const edge of edges) {
    await edge.end('SIGTERM');
    console.error(`at ${edge.id}:\n${trailOf(await readLinked(join(edge.dataDir, 'log'), EDGE_PARTITIONS), tasks)}`);
  }
};

/** With the load running meanwhile; what is acknowledged has ended, and the core shows it, when it resolves. */
const underLoad = async (run: Run, body: () => Promise<void>): Promise<void> => {
  const { stations, ended } = run;
  const enough = new AbortController();
  const running = Promise.all(stations.map(({ load }) => load.run(enough.signal)));
  running.catch(() => undefined);
  try {
    await eventually('the first tasks of all', ENDED_WITHIN_MS, () =>
      stations.every(({ load }) => load.acknowledged.some(({ task_id }) => ended.has(task_id))),
    );
    await body();
  } finally {
    enough.abort();
  }
  await running;
  const open = () => stations.flatMap(({ load }) => load.acknowledged).filter(({ task_id }) => !ended.has(task_id));
  await eventually('the end of every acknowledged task', ENDED_WITHIN_MS, () => open().length === 0).catch(async (cause: unknown) => {
    await showTrail(run, open().slice(0, 10));
    const left = open().map(({ key, kind, task_id, project_id }) => `${key} ${kind} ${task_id} of ${project_id}`);
    throw new Error(`${left.length} tasks have not ended: ${left.slice(0, 10).join(', ')}`, { cause });
  });
};

const probing = (project_id: string) => ({ project_id, description: '[script:instant] probe', options: { qa_profile: 'syntax' } });

/** The core shows the end of what is asked for. @returns milliseconds */
const probe = async ({ world: { core } }: Run, what: string, limitMs: number, submit: () => Promise<string>): Promise<number> => {
  const began = performance.now();
  const task = await eventually(`an answer to ${what}`, limitMs, submit);
  const view = await eventually(`the end of ${what}`, limitMs, async () => {
    const found = await core.gateways.task(task);
    return isTerminal(`dats.task.${found.state}`) && found;
  });
  expect(view.state, what).toBe('completed');
  return performance.now() - began;
};

/** Asked for at the core, decided at the edge node, seen at the core: by the line both ways. @returns milliseconds until all of them have been through */
const reconnected = async (run: Run, edges: readonly EdgeNode[] = run.world.edges): Promise<number> => {
  const { world } = run;
  const ask = async (edge: EdgeNode): Promise<number> => {
    const ms = await probe(run, `a task for ${edge.id}`, CONNECTED_WITHIN_MS, async () => {
      const { status, body } = await world.core.gateways.submit(probing(`${edge.id}-probe`));
      if (status !== 202) throw new Error(JSON.stringify(body));
      return body.task_id;
    });
    await linked(world, edge, CONNECTED_WITHIN_MS);
    return ms;
  };
  return Math.max(...(await Promise.all(edges.map(ask))));
};

/** E1, E2. The setting that is changed meanwhile is in force there when the line is back. */
const outage = async (run: Run): Promise<void> => {
  const { world, ended, note } = run;
  const edge = world.edges[0]!;
  const here = new Set<string>();
  const followed = follow(edge.api, 'edge-1', ({ type, event }) => void (isTerminal(type) && here.add(event.subject)));
  try {
    await edge.line.refuse();
    await eventually('that it says so', CONNECTED_WITHIN_MS, async () => (await lineHealth(edge)).detail?.startsWith('cut off'));
    const before = here.size;
    const kept = await world.core.apis[1]!.submitted(probing('edge-1-docs'));
    const sent = await edge.api.submitted(probing('website'));
    const changed = await change(world.core.apis[0]!, 'scheduling', schedulingOf(FEWER_RUNNING), '"0"');
    expect(changed.status).toBe(200);
    await eventually('work that goes on while cut off', ENDED_WITHIN_MS, () => here.size >= before + OUTAGE_TASKS);
    expect([ended.has(kept), ended.has(sent)]).toEqual([false, false]);
    await edge.line.pass();
    note(`${Math.round(await reconnected(run, [edge]))} ms after an outage`);
    await eventually('what both sides asked of each other meanwhile', ENDED_WITHIN_MS, () => ended.has(kept) && ended.has(sent));
    await inForce(edge);
  } finally {
    followed.stop();
    await followed.done;
  }
};

const inForce = ({ id, api }: EdgeNode): Promise<unknown> =>
  eventually(`the setting at ${id}`, CONNECTED_WITHIN_MS, async () => {
    const { body } = await api.ask<{ version: number; value: { max_running_per_project: number } }>('GET', '/api/v1/config/scheduling');
    return body.version === 1 && body.value.max_running_per_project === FEWER_RUNNING;
  });

const VICTIMS = ['edge', 'gateway', 'receiver', 'decider'] as const;

/** SIGKILL to one of them, and its start again. */
const killed = async ({ world, random }: Run, victim: (typeof VICTIMS)[number]): Promise<void> => {
  const { core, edges } = world;
  const edge = random.pick(edges);
  if (victim === 'edge') return edge.crash();
  const member = {
    gateway: () => world.gatewayOf(edge),
    receiver: () => eventually(`who takes in what ${edge.id} sends`, CONNECTED_WITHIN_MS, () => world.receiverOf(edge)),
    decider: () => random.pick(core.indexes.deciders),
  }[victim]();
  await core.fleet.crash(await member);
};

/** Each kind of kill as often as the others, while lines are cut. */
const harm = async (run: Run): Promise<void> => {
  const { world, random, note } = run;
  for (let done = 0; done < KILLS; done++) {
    await pause(random.int(...UP_MS));
    const victim = VICTIMS[done % VICTIMS.length]!;
    const cutting = world.edges.filter(() => random.next() < 0.5).map((edge) => cutOnce(edge.line, random, DOWN_MS));
    await killed(run, victim);
    const cuts = await Promise.all(cutting);
    note(`${Math.round(await reconnected(run))} ms after ${[`a kill of the ${victim}`, ...cuts].join(', ')}`);
    expect(world.deaths()).toEqual([]);
  }
};

/** E3. @param meanwhile what is done while the node is away */
const loseOne = async (run: Run, meanwhile: () => Promise<void>): Promise<void> => {
  const { world, note } = run;
  const gone = world.edges[1]!;
  const stateAt = async (api: Api) => (await nodesAt(api)).get(gone.id)?.state;
  expect(await gone.end('SIGKILL')).toBe(null);
  const began = performance.now();
  await Promise.all([
    meanwhile(),
    eventually(`${gone.id} lost, at every gateway`, ENDED_WITHIN_MS, async () =>
      (await Promise.all(world.core.apis.map(stateAt))).every((state) => state === 'lost'),
    ).then(() => note(`lost after ${Math.round(performance.now() - began)} ms`)),
  ]);
  gone.start();
  await gone.ready();
  note(`${Math.round(await reconnected(run))} ms after it was lost`);
  await inForce(gone);
};

const arrived = (api: Api, project: string, home: string): Promise<unknown> =>
  eventually(`${project} at ${home}`, ENDED_WITHIN_MS, async () => {
    const now = await homeOf(api, project);
    return now.home === home && now.moving_to === null;
  });

/** What is asked for at the edge node where it was at home first ends, wherever it is decided now. @param kill in the middle of the move */
const move = async (run: Run, to: string, kill?: () => Promise<void>): Promise<void> => {
  const { world, random, note } = run;
  const began = performance.now();
  const asked = await random.pick(world.core.apis).ask('POST', `/api/v1/projects/${VAN}/move`, { to });
  expect(asked.status).toBe(202);
  if (kill !== undefined) {
    await pause(random.int(...MOVING_MS));
    await kill();
  }
  const there = world.edges.find(({ id }) => id === to)?.api;
  for (const api of [...world.core.apis, ...(there === undefined ? [] : [there])]) await arrived(api, VAN, to);
  const took = Math.round(performance.now() - began);
  await probe(run, `a task of ${VAN} at ${to}`, ENDED_WITHIN_MS, () => world.edges[0]!.api.submitted(probing(VAN)));
  note(`${VAN} at ${to} after ${took} ms`);
};

/** SIGKILL to the process of the core that decides the project. */
const killDecider = async ({ world: { core } }: Run): Promise<void> => {
  const mine = partitionOf(VAN, PARTITIONS);
  const topics: readonly Topic[] = [LIFECYCLE];
  const member = await eventually(`who decides ${VAN}`, CONNECTED_WITHIN_MS, async () => {
    const owners = ownersOf((await core.log.lag('core', topics)).filter(({ partition }) => partition === mine));
    return core.indexes.deciders.find((one) => owners.has(core.fleet.pid(one)));
  });
  await core.fleet.crash(member);
};

/** Redis, emptied: what gateways show of tasks, of nodes and of projects that moved comes again from the log and from what its readers know. */
const emptied = async (run: Run): Promise<void> => {
  const { world, note } = run;
  const views = await openRedisViewStore({ url: addressOf('redis'), prefix: `${world.core.prefix}:` });
  await views.clear();
  await views.close();
  const began = performance.now();
  await Promise.all(world.core.apis.map((api) => arrived(api, VAN, STOPS[(MOVES - 1) % STOPS.length] ?? CORE)));
  await Promise.all(world.edges.map((edge) => linked(world, edge, CONNECTED_WITHIN_MS)));
  note(`${Math.round(performance.now() - began)} ms after the views were emptied`);
};

/** What the lifecycles do not explain, and the outboxes, with whether an edge node began to read the core's outbox again: all of it, to tell the cause from what follows. */
const repeated = async (
  { world: { core, edges } }: Run,
  atCore: readonly Recorded[],
  atEdges: ReadonlyMap<string, readonly Recorded[]>,
): Promise<readonly string[]> => {
  const found = [...repetitions(CORE, [...atCore, ...(await linkedIn(core.log, [OUTBOX]))])];
  for (const { id, dataDir } of edges) {
    const own = await readLinked(join(dataDir, 'log'), EDGE_PARTITIONS, [OUTBOX, NODES]);
    found.push(...restoredCores(id, CORE, own), ...repetitions(id, [...atEdges.get(id)!, ...own.filter(({ topic }) => topic === OUTBOX)]));
  }
  return found;
};

/** All sides stopped: what their logs hold. */
const judge = async (run: Run): Promise<string> => {
  const { world, stations, followers } = run;
  const { core, edges } = world;
  const tasks = stations.flatMap(({ load }) => load.acknowledged);
  const ids = tasks.map(({ task_id }) => task_id);
  expect(stations.flatMap(({ load }) => load.surprises)).toEqual([]);
  const [views, others] = await Promise.all(core.apis.map((api) => finalViewsOf(api, ids, ENDED_WITHIN_MS)));
  expect(others).toEqual(views);
  expect(misfitsOf(tasks, views!, [VAN])).toEqual([]);
  for (const edge of edges) {
    const ofEdge = views!.filter(({ project_id }) => project_id === edge.id || project_id === `${edge.id}-docs`);
    const there = await finalViewsOf(
      edge.api,
      ofEdge.map(({ task_id }) => task_id),
      ENDED_WITHIN_MS,
    );
    expect(there.map(told)).toEqual(ofEdge.map(told));
    await eventually(`nothing left to send at ${edge.id}`, CONNECTED_WITHIN_MS, async () =>
      (await lineHealth(edge)).detail?.includes(' 0 records'),
    );
  }
  for (const follower of followers) follower.stop();
  await Promise.all(followers.map(({ done }) => done));
  for (const edge of edges) expect(await edge.end('SIGTERM')).toBe(0);
  expect(await core.fleet.stop()).toEqual(core.fleet.members.map(() => 0));
  expect(world.deaths()).toEqual([]);

  const atCore = await linkedIn(core.log);
  const lifecycle = (records: readonly Recorded[]) => records.filter(({ topic }) => topic === LIFECYCLE);
  const atEdges = new Map<string, readonly Recorded[]>();
  for (const edge of edges) {
    const records = await readLinked(join(edge.dataDir, 'log'), EDGE_PARTITIONS);
    expect((await readWholeLog(edge.dataDir, EDGE_PARTITIONS)).letters).toEqual([]);
    expect(copyViolations(edge.id, [{ epoch: 1, records }], atCore, () => true)).toEqual([]);
    const decidedUnder = lifecycle(records).filter(
      ({ type, headers }) => type === 'dats.task.ready' && /\+1$/.test(headers['configversion']!),
    );
    expect(decidedUnder.length, `decided at ${edge.id} under the changed setting`).toBeGreaterThan(0);
    atEdges.set(edge.id, lifecycle(records));
  }
  const all = lifecycle(atCore);
  expect(await repeated(run, all, atEdges)).toEqual([]);
  expect(movedTaskViolations(all, { partitions: PARTITIONS, maxRunning: MAX_RUNNING, acknowledged: tasks, views: views! })).toEqual([]);
  expect(disagreements(CORE, all, atEdges, PROJECTS)).toEqual([]);
  return `${tasks.length} tasks, ${all.length} records of the lifecycle at the core, ${all.length - once(all).length} asked astray: ${repeatedKinds(all)}`;
};

describeWith(['kafka', 'redis'], 'edge nodes around a core on Kafka', () => {
  it(`work through an outage, ${KILLS} kills on both sides and ${MOVES + 1} moves: nothing is lost, doubled or out of order`, {
    timeout: RUN_LIMIT_MS,
  }, async () => {
    const run = await start(testSeed('edge nodes and Kafka'));
    const { world, followers, note, notes } = run;
    try {
      await Promise.all(world.edges.map((edge) => linked(world, edge, CONNECTED_WITHIN_MS)));
      note('both edge nodes are connected');
      await underLoad(run, async () => {
        note('tasks end');
        await loseOne(run, async () => {
          await outage(run);
          await move(run, CORE);
        });
        await harm(run);
        for (let moves = 0; moves < MOVES; moves++) await move(run, STOPS[moves % STOPS.length]!, () => killDecider(run));
      });
      note('all tasks have ended');
      // Without the load: a task that is on its way to its home is known to the views alone.
      await emptied(run);
      note(await judge(run));
      console.info(notes.join('\n'));
    } catch (error) {
      console.error(`${notes.join('\n')}\n${await diagnosisOf(world.core.log)}`);
      throw error;
    } finally {
      for (const follower of followers) follower.stop();
      await Promise.allSettled(followers.map(({ done }) => done));
      await world.close();
    }
  });
});
