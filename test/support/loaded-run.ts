// An installation under load, followed, and what must hold of it when all is over.
import { expect } from 'vitest';
import { isTerminal, LIFECYCLE } from '../../schemas/index.js';
import { diagnosisOf } from './diagnosis.js';
import { eventually } from './eventually.js';
import type { Member } from './fleet.js';
import { type Follower, follow } from './follower.js';
import { type Installation, MAX_RUNNING, openInstallation, PARTITIONS, PROJECTS, type Servers } from './installation.js';
import { type LoggedEvent, violationsOf } from './invariants.js';
import { LOAD_SCRIPT, type Load, startLoad } from './load.js';
import { MEMORY_LIMIT_BYTES, type MemoryWatch, watchMemory } from './memory.js';
import { countsOf, finalViewsOf, misfitsOf } from './outcomes.js';
import type { Random } from './random.js';
import { readLog } from './whole-log.js';

/** From the last harm until every acknowledged task has ended, in milliseconds. */
const ENDED_WITHIN_MS = 120_000;
/** From then until the views have taken in everything. */
const VIEWS_WITHIN_MS = 60_000;
const MIB = 1024 * 1024;

export interface LoadedRun {
  readonly installation: Installation;
  readonly load: Load;
  /** Of all projects, in their order. */
  readonly followers: readonly Follower[];
  readonly memory: MemoryWatch;
  /** Tasks whose end was seen on a stream. */
  readonly ended: ReadonlySet<string>;
  /** Acknowledged tasks whose end was not seen yet. */
  open(): readonly string[];
  /** The load submits from now on. @throws, when awaited, what a submission failed with. */
  begin(): void;
  /** No new tasks; resolves when every acknowledged one has ended. */
  settle(): Promise<void>;
  /** Seconds since the start. */
  seconds(): number;
  /** What happened when, for whoever must understand a failed run. */
  note(what: string): void;
  readonly notes: readonly string[];
  close(): Promise<void>;
  /** The longest time without the end of any task while the load ran, in milliseconds. */
  longestStall(): number;
}

const gapsBetweenEnds = () => {
  let last: number | undefined;
  let longest = 0;
  return {
    end: () => {
      const now = performance.now();
      longest = Math.max(longest, now - (last ?? now));
      last = now;
    },
    longest: () => longest,
  };
};

export const startLoadedRun = async (
  servers: Servers,
  members: readonly (string | Member)[],
  random: Random,
  lanes: number,
): Promise<LoadedRun> => {
  const began = performance.now();
  const installation = await openInstallation({ servers, members, script: LOAD_SCRIPT });
  const load = startLoad(installation.gateways, random, PROJECTS, lanes);
  const ended = new Set<string>();
  const gaps = gapsBetweenEnds();
  const enough = new AbortController();
  const followers = PROJECTS.map((project) =>
    follow(installation.gateways, project, ({ type, event }) => {
      if (!isTerminal(type)) return;
      if (!enough.signal.aborted) gaps.end();
      ended.add(event.subject);
      load.ended(event.subject);
    }),
  );
  const memory = watchMemory(installation.pids);
  const notes: string[] = [];
  const seconds = (): number => Math.round((performance.now() - began) / 100) / 10;
  let running: Promise<void> | undefined;
  const open = () => load.acknowledged.flatMap(({ task_id }) => (ended.has(task_id) ? [] : [task_id]));
  return {
    installation,
    load,
    followers,
    memory,
    ended,
    notes,
    open,
    seconds,
    note: (what) => void notes.push(`${seconds()} s: ${what} (${load.acknowledged.length} acknowledged, ${ended.size} ended)`),
    begin: () => {
      running ??= load.run(enough.signal);
      running.catch(() => undefined);
    },
    settle: async () => {
      enough.abort();
      await running;
      await eventually('the end of every acknowledged task', ENDED_WITHIN_MS, () => open().length === 0);
    },
    longestStall: gaps.longest,
    close: async () => {
      enough.abort();
      await running?.catch(() => undefined);
      for (const follower of followers) follower.stop();
      await Promise.allSettled(followers.map(({ done }) => done));
      memory.stop();
      await installation.close();
    },
  };
};

/** Tasks of each project by final state, as the log says. */
const statesIn = (ends: readonly LoggedEvent[]): ReadonlyMap<string, Readonly<Record<string, number>>> => {
  const states = new Map<string, Record<string, number>>();
  for (const { event } of ends) {
    const state = event.type.slice('dats.task.'.length);
    const counts = states.get(event.projectid) ?? {};
    states.set(event.projectid, { ...counts, [state]: (counts[state] ?? 0) + 1 });
  }
  return states;
};

/** Every gateway counts what the log says: counts come from the views alone, which have then taken everything in, once. */
const viewsSettled = async ({ apis }: Installation, ends: readonly LoggedEvent[]): Promise<void> => {
  for (const api of apis)
    for (const [project, counts] of statesIn(ends))
      await eventually(`the counts of ${project} at ${api.url}: ${JSON.stringify(counts)}`, VIEWS_WITHIN_MS, async () => {
        const shown = await countsOf(api, project);
        const same = Object.keys({ ...counts, ...shown }).every((state) => shown[state] === counts[state]);
        if (!same) throw new Error(`it counts ${JSON.stringify(shown)}`);
        return true;
      });
};

const isDuplicate = (violation: string): boolean => /^I[234] /.test(violation);
const isOrderBreak = (violation: string): boolean => /^I[15679] /.test(violation);

/** Judges a run whose tasks have ended: prints the report of it, then asserts that nothing was lost, doubled or out of order. */
export const judge = async (run: LoadedRun, what: string, figures: object): Promise<void> => {
  const { installation, load, followers, memory } = run;
  const { apis, fleet, log } = installation;
  const tasks = load.acknowledged;
  const { events, letters } = await readLog(log);
  const lifecycle = events.filter(({ topic }) => topic === LIFECYCLE);
  const ends = lifecycle.filter(({ event }) => isTerminal(event.type));
  await viewsSettled(installation, ends);
  const ids = tasks.map(({ task_id }) => task_id);
  const views = await Promise.all(apis.map((api) => finalViewsOf(api, ids, VIEWS_WITHIN_MS)));
  const expected = { partitions: PARTITIONS, maxRunning: MAX_RUNNING, gaps: true, acknowledged: tasks };
  const violations = [...new Set(views.flatMap((seen) => violationsOf(events, { ...expected, views: seen })))];
  const terminal = new Set(ends.map(({ event }) => event.subject));
  const largest = memory.largest();
  const report = {
    acknowledged: tasks.length,
    terminal: ids.filter((id) => terminal.has(id)).length,
    duplicates: violations.filter(isDuplicate).length,
    order_breaks: violations.filter(isOrderBreak).length,
    ...figures,
    events: events.length,
    resumed_streams: followers.reduce((sum, follower) => sum + follower.reconnects(), 0),
    seconds: run.seconds(),
    longest_stall_s: Math.round(run.longestStall() / 100) / 10,
    max_rss_mib: largest === undefined ? 'not measured' : Math.round(largest / MIB),
  };
  console.info(`${what}: ${JSON.stringify(report)}`);
  expect(load.surprises).toEqual([]);
  expect(violations).toEqual([]);
  expect(report.terminal).toBe(report.acknowledged);
  expect(misfitsOf(tasks, views[0]!)).toEqual([]);
  expect(new Set(ids).size).toBe(tasks.length);
  expect(letters).toEqual([]);
  expect(fleet.deaths).toEqual([]);
  expect(largest ?? 0).toBeLessThan(MEMORY_LIMIT_BYTES);
  PROJECTS.forEach((project, i) => {
    const logged = lifecycle.filter(({ event }) => event.projectid === project).map(({ event }) => event.id);
    const received = followers[i]!.received.map(({ id }) => id);
    expect(received, `the events of ${project} on its stream`).toEqual(logged.slice(0, received.length));
  });
};

/** Runs `body`; when it fails, says what had happened. */
export const told = async (run: LoadedRun, body: () => Promise<void>): Promise<void> => {
  try {
    await body();
  } catch (error) {
    run.note(`failed; open: ${run.open().slice(0, 10).join(', ')}`);
    console.error(`${run.notes.join('\n')}\n${await diagnosisOf(run.installation.log)}`);
    throw error;
  } finally {
    await run.close();
  }
};
