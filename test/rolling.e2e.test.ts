// A rolling restart of an installation on Kafka under a steady load: every process in its turn gets SIGTERM and is started again, and clients see latency and
// nothing else (quality.md R1, R6).
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { isTerminal } from '../schemas/index.js';
import { describeWith } from '../streams/testing/servers.js';
import { eventually } from './support/eventually.js';
import { type Follower, follow } from './support/follower.js';
import {
  allReady,
  atWork,
  GROUPS,
  type Installation,
  MAX_RUNNING,
  openInstallation,
  ownersOf,
  PARTITIONS,
  PROJECTS,
  READY_LIMIT_MS,
  type Servers,
  startServers,
} from './support/installation.js';
import { violationsOf } from './support/invariants.js';
import { LOAD_SCRIPT } from './support/load.js';
import { tidy } from './support/node-process.js';
import { type OpenLoop, percentile, startOpenLoop } from './support/open-loop.js';
import { finalViewsOf } from './support/outcomes.js';
import { readLog } from './support/whole-log.js';

const MEMBERS = ['gateway', 'gateway', 'deciders', 'deciders', 'workers', 'workers'];
const TASKS_PER_SECOND = 10;
/** Tasks that must end before the roll, and between two restarts: the load goes on, and nothing is restarted while nothing works. */
const TASKS_BETWEEN = 10;
const PROGRESS_WITHIN_MS = 60_000;
/** The aim is 150 ms on a quiet machine; what is asserted is only that nobody waits for a timeout. */
const P95_LIMIT_MS = 10_000;
let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
});
afterAll(() => servers.close());
afterEach(tidy);

/** How many processes share each group's partitions. */
const sharers = (installation: Installation): Promise<readonly number[]> =>
  Promise.all(Object.values(GROUPS).map(async ([group, topics]) => ownersOf(await installation.log.lag(group, topics)).size));

const roll = async (installation: Installation, load: OpenLoop): Promise<void> => {
  const { fleet } = installation;
  for (const member of fleet.members.keys()) {
    const before = load.latencies().length;
    await eventually('tasks that end between restarts', PROGRESS_WITHIN_MS, () => load.latencies().length >= before + TASKS_BETWEEN);
    expect(await fleet.leave(member, 'SIGTERM'), `exit code of ${fleet.members[member]} ${member}`).toBe(0);
    fleet.enter(member);
    await atWork(installation, member);
    expect(fleet.deaths).toEqual([]);
  }
};

describeWith(['kafka', 'redis'], 'a rolling restart', () => {
  it('of every process loses nothing, repeats nothing, and the load is shared before and after', async () => {
    const installation = await openInstallation({ servers, members: MEMBERS, script: LOAD_SCRIPT });
    const { apis, gateways, log, fleet } = installation;
    let followers: readonly Follower[] = [];
    try {
      await allReady(apis);
      for (const member of fleet.members.keys()) await atWork(installation, member);
      await eventually('two processes to share each group', READY_LIMIT_MS, async () =>
        (await sharers(installation)).every((n) => n === 2),
      );
      const load = startOpenLoop({
        gateways,
        perSecond: TASKS_PER_SECOND,
        bodyOf: (serial) => ({
          project_id: PROJECTS[serial % PROJECTS.length]!,
          description: `[script:${serial % 2 === 0 ? 'instant' : 'slow'}] task ${serial}`,
          options: { qa_profile: 'syntax' },
        }),
      });
      const ended = new Set<string>();
      followers = PROJECTS.map((project) =>
        follow(gateways, project, ({ type, event }) => {
          if (!isTerminal(type)) return;
          ended.add(event.subject);
          load.ended(event.subject);
        }),
      );
      const began = performance.now();
      await roll(installation, load);
      await load.stop();
      const tasks = load.acknowledged;
      await eventually('the end of every task', PROGRESS_WITHIN_MS, () => tasks.every(({ task_id }) => ended.has(task_id)));
      const seconds = Math.round((performance.now() - began) / 1_000);
      await eventually('two processes to share each group again', READY_LIMIT_MS, async () =>
        (await sharers(installation)).every((n) => n === 2),
      );

      const { events, letters } = await readLog(log);
      const views = await finalViewsOf(
        gateways,
        tasks.map(({ task_id }) => task_id),
        PROGRESS_WITHIN_MS,
      );
      const expected = { partitions: PARTITIONS, maxRunning: MAX_RUNNING, gaps: true, acknowledged: tasks, views };
      const workers = new Set(events.filter(({ event }) => event.type === 'dats.task.output.created').map(({ event }) => event.actor));
      const latencies = load.latencies();
      console.info(
        `rolling restart: ${JSON.stringify({
          processes: MEMBERS.length,
          due: load.due(),
          acknowledged: tasks.length,
          ended: latencies.length,
          seconds,
          p50_ms: Math.round(percentile(latencies, 0.5)),
          p95_ms: Math.round(percentile(latencies, 0.95)),
          longest_ms: Math.round(Math.max(...latencies)),
          workers_that_worked: workers.size,
        })}`,
      );
      expect(load.surprises).toEqual([]);
      expect(tasks.length).toBe(load.due());
      expect(violationsOf(events, expected)).toEqual([]);
      expect(letters).toEqual([]);
      // A restart in order costs no attempt.
      expect(views.map(({ state, attempt }) => `${state} ${attempt}`)).toEqual(tasks.map(() => 'completed 1'));
      // Each worker process, before its restart and after it.
      expect(workers.size).toBe(4);
      expect(percentile(latencies, 0.95)).toBeLessThan(P95_LIMIT_MS);
      expect(await fleet.stop()).toEqual(MEMBERS.map(() => 0));
    } finally {
      for (const follower of followers) follower.stop();
      await Promise.allSettled(followers.map(({ done }) => done));
      await installation.close();
    }
  });
});
