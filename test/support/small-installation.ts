// An installation without a load of its own: a few tasks whose length is known, and what must hold when servers go away or records are poisoned.
import { expect } from 'vitest';
import type { Api } from './api.js';
import { diagnosisOf } from './diagnosis.js';
import { eventually } from './eventually.js';
import { type Installation, MAX_RUNNING, openInstallation, PARTITIONS, READY_LIMIT_MS, type Servers } from './installation.js';
import { violationsOf } from './invariants.js';
import { MEMORY_LIMIT_BYTES, watchMemory } from './memory.js';
import { finalViewsOf } from './outcomes.js';
import { readLog } from './whole-log.js';

/** From a server's return until everything has ended, in milliseconds. */
const ENDED_WITHIN_MS = 60_000;

/** Answers at once, after a second, or after two. */
export const TAKES_MS = [0, 1_000, 2_000] as const;
const RIGHT = { files: [{ path: 'data.json', language: 'json', content: '{"answer": 42}' }] };
const SCRIPT = JSON.stringify({
  version: 1,
  rules: TAKES_MS.map((latency_ms) => ({ match: { task: `takes-${latency_ms}` }, answers: [{ ...RIGHT, latency_ms }] })),
});
/** The body of a task whose answer takes so long. */
export const taking = (ms: (typeof TAKES_MS)[number], project_id: string) => ({
  project_id,
  description: `[script:takes-${ms}] do it`,
  options: { qa_profile: 'syntax' },
});
const SMALL_FLEET = ['gateway', 'gateway', 'deciders', 'workers'];

export interface Task {
  readonly task_id: string;
  readonly project_id: string;
}
interface Health {
  readonly status: string;
  readonly dependencies: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[];
}
/** What a gateway says of something it needs. */
export const dependencyOf = async (api: Api, name: string) => {
  const { body } = await api.ask<Health>('GET', '/health');
  return body.dependencies.find((dependency) => dependency.name === name)!;
};

/** Looks again and again until the time is over. @returns how often. */
export const throughout = async (ms: number, look: () => Promise<void>): Promise<number> => {
  let looks = 0;
  for (const deadline = performance.now() + ms; looks === 0 || performance.now() < deadline; looks++) await look();
  return looks;
};

/** With an installation of its own; its memory is bounded, nobody died, and it ends in order. */
export const withInstallation = async (servers: Servers, body: (installation: Installation) => Promise<void>): Promise<void> => {
  const installation = await openInstallation({ servers, members: SMALL_FLEET, script: SCRIPT });
  const memory = watchMemory(installation.pids);
  try {
    await body(installation);
    expect(installation.fleet.deaths).toEqual([]);
    expect(memory.largest() ?? 0).toBeLessThan(MEMORY_LIMIT_BYTES);
    expect(await installation.fleet.stop()).toEqual(SMALL_FLEET.map(() => 0));
  } catch (error) {
    console.error(await diagnosisOf(installation.log));
    throw error;
  } finally {
    memory.stop();
    await installation.close();
  }
};

export const live = (api: Api): Promise<unknown> =>
  eventually(`a gateway at ${api.url}`, READY_LIMIT_MS, async () => (await fetch(`${api.url}/health/live`)).ok);

/** All have ended well, at the first attempt, and nothing happened twice. */
export const allEnded = async ({ apis, log }: Installation, tasks: readonly Task[]): Promise<void> => {
  const ids = tasks.map(({ task_id }) => task_id);
  for (const api of apis) {
    const views = await finalViewsOf(api, ids, ENDED_WITHIN_MS);
    expect(views.map(({ state, attempt }) => `${state} ${attempt}`)).toEqual(tasks.map(() => 'completed 1'));
    const { events, letters } = await readLog(log);
    expect(violationsOf(events, { partitions: PARTITIONS, maxRunning: MAX_RUNNING, gaps: true, acknowledged: tasks, views })).toEqual([]);
    expect(letters).toEqual([]);
  }
};

/** All are taken. @throws when one is not. */
export const submitted = async (api: Api, bodies: readonly ReturnType<typeof taking>[]): Promise<readonly Task[]> => {
  const ids = await Promise.all(bodies.map((body) => api.submitted(body)));
  return ids.map((task_id, i) => ({ task_id, project_id: bodies[i]!.project_id }));
};
