// SIGKILL at random points under load: nothing acknowledged is lost, nothing happens twice, every project's order holds (quality.md R1).
//
// DATS_SEED repeats the choices of a run; DATS_CRASH_KILLS sets the kills of each variant; DATS_CRASH_KEEP names a folder for the data of a failed run.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Api, apiOf } from './support/api.js';
import { eventually } from './support/eventually.js';
import { type Fleet, startFleet } from './support/fleet.js';
import { type Follower, follow } from './support/follower.js';
import { violationsOf } from './support/invariants.js';
import { type Acknowledged, LOAD_SCRIPT, type Load, startLoad } from './support/load.js';
import { freePort, type TestFolder, testFolder, tidy } from './support/node-process.js';
import { finalViewsOf, misfitsOf } from './support/outcomes.js';
import { type Random, seededRandom, testSeed } from './support/random.js';
import { readWholeLog } from './support/whole-log.js';

const KILLS = Number(process.env['DATS_CRASH_KILLS'] ?? 12);
const PARTITIONS = 4;
const MAX_RUNNING = 10;
const PROJECTS = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'];
/** From the last kill until every acknowledged task has ended, in milliseconds. */
const ENDED_WITHIN_MS = 60_000;
/** A process lives so long between its start and its SIGKILL, in milliseconds: from the middle of its start to well under way. */
const LIFE_MS = [50, 1_600] as const;
const LANES = 6;
/** Until the view of a task that has ended says so, in milliseconds. */
const FINAL_WITHIN_MS = 10_000;

const servers = (port: number) => ({
  version: 1,
  node: { id: 'crash', data_dir: './data' },
  gateway: { port },
  log: { partitions: PARTITIONS },
  models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }],
  scheduling: { max_running_per_project: MAX_RUNNING, backoff_base_ms: 20, backoff_max_ms: 100 },
  slots: { qa: 4 },
});

interface World {
  readonly folder: TestFolder;
  readonly api: Api;
  readonly fleet: Fleet;
  readonly random: Random;
  readonly load: Load;
  readonly followers: readonly Follower[];
  readonly ended: ReadonlySet<string>;
}

const openWorld = async (members: readonly string[], seed: number): Promise<World> => {
  const port = await freePort();
  const folder = testFolder(servers(port), { 'script.json': LOAD_SCRIPT });
  const api = apiOf(`http://127.0.0.1:${port}`);
  const fleet = startFleet(folder.config, members);
  const random = seededRandom(seed);
  const load = startLoad(api, random, PROJECTS, LANES);
  const ended = new Set<string>();
  const followers = PROJECTS.map((project) =>
    follow(api, project, ({ type, event }) => {
      if (type !== 'dats.task.completed' && type !== 'dats.task.failed' && type !== 'dats.task.cancelled') return;
      ended.add(event.subject);
      load.ended(event.subject);
    }),
  );
  return { folder, api, fleet, random, load, followers, ended };
};

/** The instant of a kill is drawn, not awaited: that it falls anywhere is the point. */
const lifetime = (random: Random): Promise<void> => new Promise((resolve) => setTimeout(resolve, random.int(...LIFE_MS)));

const killUnderLoad = async ({ fleet, random, load, api }: World): Promise<void> => {
  const enough = new AbortController();
  const running = load.run(enough.signal);
  running.catch(() => undefined);
  await eventually('the first acknowledged task', 60_000, () => load.acknowledged.length > 0);
  for (let kills = 0; kills < KILLS; kills++) {
    const before = load.acknowledged.length;
    await lifetime(random);
    expect(fleet.deaths).toEqual([]);
    await fleet.crash(random.int(0, fleet.members.length - 1));
    // Every third kill waits for progress first, so that no run consists of starts alone.
    if (kills % 3 === 2) await eventually('progress between kills', 60_000, () => load.acknowledged.length > before);
  }
  await eventually('a ready node after the last kill', 60_000, async () => (await fetch(`${api.url}/health/ready`)).ok);
  enough.abort();
  await running;
};

/** What a failed run was about. */
const showState = ({ folder }: World, open: readonly Acknowledged[]): void => {
  console.error(
    `${open.length} acknowledged tasks had not ended: ${open
      .map(({ key, kind, task_id, project_id }) => `${key} ${kind} ${task_id} ${project_id}`)
      .slice(0, 10)
      .join(', ')}`,
  );
  if (process.env['DATS_CRASH_KEEP'] !== undefined) cpSync(folder.dir, process.env['DATS_CRASH_KEEP'], { recursive: true });
};

const crashes = async (members: readonly string[], seed: number): Promise<void> => {
  const world = await openWorld(members, seed);
  const { fleet, load, api, followers, ended, folder } = world;
  const began = performance.now();
  const open = () => load.acknowledged.filter(({ task_id }) => !ended.has(task_id));
  try {
    await killUnderLoad(world);
    await eventually('the end of every acknowledged task', ENDED_WITHIN_MS, () => open().length === 0);
    expect(load.surprises).toEqual([]);
    const tasks = load.acknowledged;
    const views = await finalViewsOf(
      api,
      tasks.map(({ task_id }) => task_id),
      FINAL_WITHIN_MS,
    );
    for (const follower of followers) follower.stop();
    await Promise.all(followers.map(({ done }) => done));
    expect(fleet.deaths).toEqual([]);
    expect(await fleet.stop()).toEqual(members.map(() => 0));

    const { events, deadLetters } = await readWholeLog(join(folder.dir, 'data'), PARTITIONS);
    expect(violationsOf(events, { partitions: PARTITIONS, maxRunning: MAX_RUNNING, acknowledged: tasks, views })).toEqual([]);
    expect(deadLetters).toBe(0);
    expect(misfitsOf(tasks, views)).toEqual([]);
    expect(new Set(tasks.map(({ task_id }) => task_id)).size).toBe(tasks.length);
    PROJECTS.forEach((project, i) => {
      const { received } = followers[i]!;
      const logged = events.filter(({ topic, event }) => topic === 'dats.lifecycle' && event.projectid === project);
      expect(received.map(({ id }) => id)).toEqual(logged.slice(0, received.length).map(({ event }) => event.id));
    });
    const seconds = Math.round((performance.now() - began) / 1000);
    const reconnects = followers.reduce((sum, follower) => sum + follower.reconnects(), 0);
    console.info(
      `${members.length} process(es): ${KILLS} kills, ${tasks.length} tasks, ${events.length} events, ${reconnects} resumed streams, ${seconds} s`,
    );
  } catch (error) {
    showState(world, open());
    throw error;
  } finally {
    for (const follower of followers) follower.stop();
    await Promise.allSettled(followers.map(({ done }) => done));
  }
};

describe(`${KILLS} SIGKILLs under load`, () => {
  afterEach(tidy);

  it('of a node in one process lose nothing and repeat nothing', () => crashes(['all'], testSeed('one process')));

  it('of a gateway, two deciders and two workers in processes of their own lose nothing and repeat nothing', () =>
    crashes(['gateway', 'deciders', 'deciders', 'workers', 'workers'], testSeed('five processes')));
});
