// Edge nodes whose line to the core is cut, again and again, while they work and while they and the core are killed (quality.md R3): nothing is lost, nothing is
// doubled, the order of every project is the same on both sides, work goes on while cut off, and the line is used again within 30 s of its return.
//
// DATS_EDGE_EVENTS, DATS_EDGE_CUTS and DATS_EDGE_FLAPS make a long run (`npm run chaos`); DATS_SEED repeats the choices. Eight hours of flapping are many short
// cuts, not many hours: what can go wrong does so at a cut or a return, and a wait of hours is one of ten seconds, again and again.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { TaskView } from '../schemas/index.js';
import { copyViolations, readLinked } from './support/copies.js';
import { cutOnce } from './support/cuttable-proxy.js';
import { EDGE_PARTITIONS, type EdgeNode, type EdgeWorld, lineHealth, MAX_RUNNING, openEdgeWorld } from './support/edge-world.js';
import { eventually } from './support/eventually.js';
import { type Follower, follow } from './support/follower.js';
import { violationsOf } from './support/invariants.js';
import { type Load, startLoad } from './support/load.js';
import { tidy } from './support/node-process.js';
import { finalViewsOf, misfitsOf } from './support/outcomes.js';
import { type Random, seededRandom, testSeed } from './support/random.js';
import { readWholeLog } from './support/whole-log.js';

const EVENTS = Number(process.env['DATS_EDGE_EVENTS'] ?? 1_500);
const CUTS = Number(process.env['DATS_EDGE_CUTS'] ?? 9);
const FLAPS = Number(process.env['DATS_EDGE_FLAPS'] ?? 30);
const LANES = 3;
/** From the line's return until it is used again, in milliseconds. */
const BACK_WITHIN_MS = 30_000;
/** And until the core shows all that had ended by then, with the load going on: as much as two cores can do. */
const DELIVERED_WITHIN_MS = 180_000;
const ENDED_WITHIN_MS = 60_000;
/** A line is down, and well again, for so long; milliseconds. */
const DOWN_MS = [10, 1_500] as const;
const UP_MS = [100, 1_200] as const;
/** The outage in which work must go on. */
const OUTAGE_TASKS = 10;

const turn = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Station {
  readonly edge: EdgeNode;
  readonly projects: readonly string[];
  readonly load: Load;
  readonly ended: ReadonlySet<string>;
  readonly followers: readonly Follower[];
}

const stationAt = (edge: EdgeNode, random: Random): Station => {
  const projects = [edge.id, `${edge.id}-docs`, `${edge.id}-code`];
  const load = startLoad(edge.api, random, projects, LANES);
  const ended = new Set<string>();
  const followers = projects.map((project) =>
    follow(edge.api, project, ({ type, event }) => {
      if (type !== 'dats.task.completed' && type !== 'dats.task.failed' && type !== 'dats.task.cancelled') return;
      ended.add(event.subject);
      load.ended(event.subject);
    }),
  );
  return { edge, projects, load, ended, followers };
};

const eventsAt = (stations: readonly Station[]): number =>
  stations.reduce((sum, { followers }) => sum + followers.reduce((all, { received }) => all + received.length, 0), 0);

/** The lines are well: both sides come to say so. @returns milliseconds that it took */
const back = async ({ nodeView }: EdgeWorld, stations: readonly Station[]): Promise<number> => {
  const [began, at] = [performance.now(), new Date().toISOString()];
  for (const { edge } of stations)
    await eventually(`${edge.id} back`, BACK_WITHIN_MS, async () => {
      const { state, seen_at } = await nodeView(edge.id);
      return state === 'connected' && seen_at !== null && seen_at > at && (await lineHealth(edge)).ok;
    });
  const ms = performance.now() - began;
  expect(ms).toBeLessThan(BACK_WITHIN_MS);
  return ms;
};

/** The lines are well: the core comes to show the end of all that has ended at the edges, while more goes on there. @returns milliseconds that it took */
const delivered = async ({ core }: EdgeWorld, stations: readonly Station[]): Promise<number> => {
  const ids = stations.flatMap(({ ended }) => [...ended]);
  const began = performance.now();
  await finalViewsOf(core.api, ids, DELIVERED_WITHIN_MS);
  return performance.now() - began;
};

/** What is to be said of the return of the lines. */
const returned = async (world: EdgeWorld, stations: readonly Station[]): Promise<string> => {
  const [backMs, ms] = await Promise.all([back(world, stations), delivered(world, stations)]);
  return `${Math.round(backMs)} ms after the last return the lines were used again, after ${Math.round(ms)} ms the core had what had ended until then`;
};

/** All but the places, which each log has its own. */
const shown = ({ first_offset: _first, last_offset: _last, ...view }: TaskView): object => view;

/** Views that are not the same at both sides, each pair of them. */
const differing = (there: readonly TaskView[], here: readonly TaskView[]): readonly object[] =>
  there.flatMap((view, i) => (isDeepStrictEqual(shown(view), shown(here[i]!)) ? [] : [{ core: shown(view), edge: shown(here[i]!) }]));

/** Both sides stopped: what is on disk. */
const judge = async (world: EdgeWorld, stations: readonly Station[]): Promise<string> => {
  const { core } = world;
  const idsOf = ({ load }: Station) => load.acknowledged.map(({ task_id }) => task_id);
  const pairs = await Promise.all(
    stations.map(async (station) => ({
      station,
      here: await finalViewsOf(station.edge.api, idsOf(station), ENDED_WITHIN_MS),
      there: await finalViewsOf(core.api, idsOf(station), ENDED_WITHIN_MS),
    })),
  );
  for (const { station, here, there } of pairs) {
    expect(station.load.surprises).toEqual([]);
    expect(misfitsOf(station.load.acknowledged, here)).toEqual([]);
    expect(differing(there, here)).toEqual([]);
    for (const follower of station.followers) follower.stop();
    await Promise.all(station.followers.map(({ done }) => done));
  }
  // What is said last (a sample, a beat) is on its way still; a node that is told to end does not wait for it.
  for (const { edge } of stations)
    await eventually(`nothing left to send at ${edge.id}`, DELIVERED_WITHIN_MS, async () =>
      (await lineHealth(edge)).detail?.includes(' 0 records'),
    );
  for (const { edge } of stations) expect(await edge.end('SIGTERM')).toBe(0);
  expect(await core.end('SIGTERM')).toBe(0);
  expect(world.deaths).toEqual([]);
  const atCore = await readLinked(join(core.dataDir, 'log'), EDGE_PARTITIONS);
  let records = 0;
  for (const { station, here } of pairs) {
    const { edge, projects, load } = station;
    const { events, letters } = await readWholeLog(edge.dataDir, EDGE_PARTITIONS);
    expect(letters).toEqual([]);
    const acknowledged = load.acknowledged;
    expect(violationsOf(events, { partitions: EDGE_PARTITIONS, maxRunning: MAX_RUNNING, acknowledged, views: here })).toEqual([]);
    const atEdge = await readLinked(join(edge.dataDir, 'log'), EDGE_PARTITIONS);
    records += atEdge.length;
    expect(copyViolations(edge.id, [{ epoch: 1, records: atEdge, lost: false }], atCore, (project) => projects.includes(project))).toEqual(
      [],
    );
  }
  const own = atCore.filter(({ topic, headers }) => topic === 'dats.lifecycle' && headers['linkedfrom'] === undefined);
  expect(own.map(({ type }) => type)).toEqual([]);
  return `${pairs.reduce((sum, { here }) => sum + here.length, 0)} tasks, ${records} records`;
};

const openStations = async (seed: number, retryMaxMs?: number) => {
  const random = seededRandom(seed);
  // Samples would be sent for ever: nothing would ever be all there.
  const world = await openEdgeWorld({
    edges: ['edge-1', 'edge-2'],
    config: { telemetry: { sample_s: 3_600 } },
    ...(retryMaxMs === undefined ? {} : { retryMaxMs }),
  });
  const stations = world.edges.map((edge) => stationAt(edge, random));
  return { random, world, stations };
};

/** With the load running meanwhile; what is acknowledged has ended when it resolves. */
const underLoad = async (stations: readonly Station[], body: () => Promise<void>): Promise<void> => {
  const enough = new AbortController();
  const running = Promise.all(stations.map(({ load }) => load.run(enough.signal)));
  running.catch(() => undefined);
  try {
    await eventually('the first tasks', ENDED_WITHIN_MS, () => stations.every(({ ended }) => ended.size > 0));
    await body();
  } finally {
    enough.abort();
  }
  await running;
  await eventually('the end of every acknowledged task', ENDED_WITHIN_MS, () =>
    stations.every(({ load, ended }) => load.acknowledged.every(({ task_id }) => ended.has(task_id))),
  );
};

const closing = async (world: EdgeWorld, stations: readonly Station[], error?: unknown): Promise<void> => {
  for (const { followers } of stations) for (const follower of followers) follower.stop();
  await Promise.allSettled(stations.flatMap(({ followers }) => followers.map(({ done }) => done)));
  if (error !== undefined && process.env['DATS_CRASH_KEEP'] !== undefined)
    for (const { folder, id } of [world.core, ...world.edges])
      cpSync(folder.dir, join(process.env['DATS_CRASH_KEEP'], id), { recursive: true, filter: (path) => !path.endsWith('.sock') });
  await world.close();
};

afterEach(tidy);

describe('edge nodes', () => {
  it(`work through ${CUTS} cuts and kills on both sides, and the core has everything once`, async () => {
    const { random, world, stations } = await openStations(testSeed('edge cuts'));
    let failure: unknown;
    try {
      const done: Record<string, number> = {};
      let took = '';
      const note = (harm: string): void => {
        done[harm] = (done[harm] ?? 0) + 1;
      };
      await underLoad(stations, async () => {
        // An outage in which work goes on.
        const [{ edge, ended }] = stations as [Station];
        await edge.line.refuse();
        const before = ended.size;
        await eventually('work that goes on while cut off', ENDED_WITHIN_MS, () => ended.size >= before + OUTAGE_TASKS);
        await eventually('that it says so', ENDED_WITHIN_MS, async () => (await lineHealth(edge)).detail?.startsWith('cut off'));
        await edge.line.pass();
        for (let cut = 0; cut < CUTS; cut++) {
          await turn(random.int(...UP_MS));
          expect(world.deaths).toEqual([]);
          const cutting = Promise.all(
            stations.filter(() => random.next() < 0.7).map((station) => cutOnce(station.edge.line, random, DOWN_MS)),
          );
          // Harm overlaps: a process is killed while a line is down.
          if (cut % 3 === 1) await world.core.crash().then(() => note('core killed'));
          if (cut % 3 === 2)
            await random
              .pick(stations)
              .edge.crash()
              .then(() => note('edge killed'));
          for (const harm of await cutting) note(harm);
        }
        took = await returned(world, stations);
        await eventually(`${EVENTS} events`, 600_000, () => eventsAt(stations) >= EVENTS);
      });
      const sum = await judge(world, stations);
      console.info(`${JSON.stringify(done)}; ${sum}; ${took}`);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      await closing(world, stations, failure);
    }
  });

  it(`survive ${FLAPS} short cuts in a row`, async () => {
    // A short wait between tries, so that every return is a reconnection: at the default one of ten seconds, this many take hours.
    const { random, world, stations } = await openStations(testSeed('edge flapping'), 200);
    let failure: unknown;
    let took = '';
    try {
      await underLoad(stations, async () => {
        const flapping = stations.map(async ({ edge }) => {
          for (let i = 0; i < FLAPS; i++) {
            await cutOnce(edge.line, random, [5, 100]);
            await turn(random.int(0, 250));
          }
        });
        await Promise.all(flapping);
        took = await returned(world, stations);
      });
      const made = world.edges.map(({ line }) => line.made);
      const sum = await judge(world, stations);
      console.info(`${FLAPS} cuts each, ${made.join(' and ')} connections; ${sum}; ${took}`);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      await closing(world, stations, failure);
    }
  });
});
