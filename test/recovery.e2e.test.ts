// SIGKILL in the middle of cascades, rollbacks and replays: each of them finishes, and everything in it happens once. One process on the embedded log, and
// several on Kafka and Redis.
//
// DATS_SEED repeats the choices of a run; DATS_RECOVERY_KILLS sets the kills of each kind on the embedded log (on Kafka a third of them).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CascadeAnswer, DatsEvent, ProjectState, ReplayAccepted, ReplayView, RollbackView } from '../schemas/index.js';
import { isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { type KilledWorld, killedOnDisk, killedOnKafka } from './support/killed-world.js';

const KILLS = Number(process.env['DATS_RECOVERY_KILLS'] ?? 6);
const LIMIT_MS = 90_000;
const PROJECT = 'p';
/** Versions of one file, each made from the one before; files read beside the first; and such whose own tests can tell. */
const VERSIONS = 10;
const BESIDE = 10;
const TESTED = 5;
/** Slow enough to be killed many times. */
const MARKS_A_SECOND = 4;

const json = (path: string, content: string) => ({ files: [{ path, language: 'json', content }] });
const rule = (task: string, answer: object) => ({ match: { task }, answers: [answer] });
const SCRIPT = JSON.stringify({
  version: 1,
  rules: [
    ...Array.from({ length: VERSIONS }, (_, i) => rule(`version ${i}.`, json('base.json', `{"version": ${i}}`))),
    ...Array.from({ length: BESIDE }, (_, i) => rule(`beside ${i}.`, json(`beside-${i}.json`, `{"beside": ${i}}`))),
    ...Array.from({ length: TESTED }, (_, i) =>
      rule(`tested ${i}.`, { files: [{ path: `tested_${i}.py`, language: 'python', content: `def f():\n    return ${i}\n` }] }),
    ),
  ],
});
const CONFIG = { cascade: { per_second: MARKS_A_SECOND, revalidations: 2 }, audit: { every_s: 1 } };

const WORLD = { name: 'recovery', script: SCRIPT, config: CONFIG, kills: KILLS };

const twice = (keys: readonly string[]): string[] => keys.filter((key, i) => keys.indexOf(key) !== i);
const countOf = (events: readonly DatsEvent[], type: string): number => events.filter((event) => event.type === type).length;

describe.each([
  ['one process on the embedded log', killedOnDisk],
  ['several processes on Kafka and Redis', killedOnKafka],
] as const)('SIGKILLs: %s', (_name, open) => {
  let world: KilledWorld;
  /** Artifact of the first version. */
  let root = '';
  let cascade = '';

  /** That a kill falls anywhere is the point: its instant is drawn, not awaited. */
  const drawn = (from: number, to: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, world.random.int(from, to)));
  /** A POST that is sent again, with the same key, until it is answered. */
  const posted = <T>(path: string, body: object, key: string): Promise<T> =>
    eventually(`an answer to POST ${path}`, LIMIT_MS, async () => {
      const answer = await world.ask<T>('POST', path, body, { 'idempotency-key': key });
      if (answer.status >= 400) throw new Error(`HTTP ${answer.status}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    });
  const got = async <T>(path: string): Promise<T | undefined> => {
    const answer = await world.ask<T>('GET', path);
    return answer.status === 200 ? answer.body : undefined;
  };
  const ended = <T extends { readonly state: string }>(what: string, path: string): Promise<T> =>
    eventually(what, LIMIT_MS, async () => {
      const now = await got<T>(path);
      return now !== undefined && now.state !== 'requested' && now.state !== 'running' && now;
    });
  const headsNow = async (): Promise<Record<string, string>> => {
    const state = await eventually('the state of the project', LIMIT_MS, () => got<ProjectState>(`/api/v1/projects/${PROJECT}/state`));
    return Object.fromEntries(state.files.map(({ path, version }) => [path, version.artifact_id]));
  };
  const lifecycle = async (): Promise<readonly DatsEvent[]> => {
    const { events, letters } = await world.log();
    expect(letters).toEqual([]);
    const said = events.filter(({ topic }) => topic === 'dats.lifecycle').map(({ event }) => event);
    expect(twice(said.map(({ id }) => id))).toEqual([]);
    return said;
  };
  /** @returns the views of these tasks when all have ended */
  const allEnded = (ids: readonly string[]) =>
    eventually('the end of every task', LIMIT_MS, async () => {
      const views = await Promise.all(
        ids.map((id) => got<{ status: 'completed'; state: string; artifacts: { artifact_id: string }[] }>(`/api/v1/tasks/${id}`)),
      );
      return views.every((view) => view !== undefined && isFinal(view)) && views.map((view) => view!);
    });

  beforeAll(async () => {
    world = await open(WORLD);
    const submit = async (description: string, more: object): Promise<string> =>
      (await posted<{ task_id: string }>('/api/v1/tasks', { description, project_id: PROJECT, ...more }, description)).task_id;
    const versions: string[] = [];
    for (let i = 0; i < VERSIONS; i++)
      versions.push(await submit(`version ${i}.`, { options: { qa_profile: 'none' }, depends_on: versions.slice(-1) }));
    const depends_on = [versions[0]!];
    const others: string[] = [];
    for (let i = 0; i < BESIDE; i++) others.push(await submit(`beside ${i}.`, { options: { qa_profile: 'syntax' }, depends_on }));
    for (let i = 0; i < TESTED; i++)
      others.push(
        await submit(`tested ${i}.`, {
          depends_on,
          tests: { language: 'python', code: `from tested_${i} import f\nassert f() == ${i}\n` },
        }),
      );
    const views = await allEnded([...versions, ...others]);
    expect(views.filter(({ state }) => state !== 'completed')).toEqual([]);
    root = views[0]!.artifacts[0]!.artifact_id;
  });
  afterAll(() => world?.close());

  it('in the middle of a cascade: it finishes, and marks everything once', async () => {
    const body = { artifact_id: root, reason: 'the first version is wrong' };
    const { cascades } = await posted<{ cascades: { cascade_id: string }[] }>('/api/v1/taint', body, 'taint');
    cascade = cascades[0]!.cascade_id;
    const path = `/api/v1/cascades/${cascade}`;
    const kills: number[] = [];
    for (let kill = 0; kill < world.kills; kill++) {
      await drawn(0, 500);
      kills.push(Date.now());
      await world.crash();
    }
    const end = await ended<CascadeAnswer>('the end of the cascade', path);
    expect(end).toMatchObject({ state: 'completed', tainted: VERSIONS + BESIDE, cleared: TESTED, suspect: 0, remaining: 0 });
    const events = await lifecycle();
    expect([countOf(events, 'dats.cascade.started'), countOf(events, 'dats.cascade.completed')]).toEqual([1, 1]);
    for (const type of ['dats.artifact.tainted', 'dats.artifact.revalidated'])
      expect(twice(events.filter((event) => event.type === type).map(({ subject }) => subject))).toEqual([]);
    const at = (type: string): number => Date.parse(events.find((event) => event.type === type)!.time);
    const during = kills.filter((time) => time > at('dats.cascade.started') && time < at('dats.cascade.completed')).length;
    expect(during).toBeGreaterThan(world.kills / 5);
    console.info(`a cascade over ${VERSIONS + BESIDE + TESTED} artifacts: ${world.kills} kills, ${during} of them in its middle`);
  });

  it('in the middle of rollbacks, each taking back the one before: each finishes, once', async () => {
    const before = await headsNow();
    const ids: string[] = [];
    const changes = BESIDE + 1;
    for (let kill = 0; kill < world.kills; kill++) {
      const isUndo = kill % 2 === 1;
      const target = ids.length === 0 ? { cascade_id: cascade } : { rollback_id: ids.at(-1)! };
      const answer = posted<{ rollback_id: string }>(
        '/api/v1/rollback',
        { ...target, tasks: 'keep', reason: 'a test' },
        `rollback ${kill}`,
      );
      answer.catch(() => undefined);
      await drawn(0, 60);
      await world.crash();
      const { rollback_id } = await answer;
      const end = await ended<RollbackView>('the end of the rollback', `/api/v1/rollbacks/${rollback_id}`);
      expect(end).toMatchObject({ state: 'completed', skipped: 0, reverted: isUndo ? 0 : changes, restored: isUndo ? changes : 0 });
      ids.push(rollback_id);
      const heads = await headsNow();
      if (isUndo) expect(heads).toEqual(before);
      else expect(Object.keys(heads).sort()).toEqual(Array.from({ length: TESTED }, (_, i) => `tested_${i}.py`));
    }
    expect(twice(ids)).toEqual([]);
    const events = await lifecycle();
    for (const type of ['dats.rollback.requested', 'dats.rollback.started', 'dats.rollback.completed'])
      expect([type, countOf(events, type)]).toEqual([type, world.kills]);
  });

  it('in the middle of replays: each gives its report, once, and the project knows nothing of what was decided there', async () => {
    const tasks = countOf(await lifecycle(), 'dats.task.created');
    const reports = new Set<string>();
    const ids: string[] = [];
    for (let kill = 0; kill < world.kills; kill++) {
      const body = { project_id: PROJECT, changes: { max_attempts: 1, routing: [{ when: {}, tier: 'large' }] } };
      const answer = posted<ReplayAccepted>('/api/v1/replay', body, `replay ${kill}`);
      answer.catch(() => undefined);
      await drawn(0, 80);
      await world.crash();
      const { replay_id } = await answer;
      const view = await ended<ReplayView>('the end of the replay', `/api/v1/replay/${replay_id}?project_id=${PROJECT}`);
      expect([view.state, view.report?.history.tasks]).toEqual(['completed', tasks]);
      reports.add(JSON.stringify(view.report));
      ids.push(replay_id);
    }
    expect(twice(ids)).toEqual([]);
    const events = await lifecycle();
    for (const type of ['dats.replay.requested', 'dats.replay.completed'])
      expect([type, countOf(events, type)]).toEqual([type, world.kills]);
    expect(countOf(events, 'dats.task.created')).toBe(tasks);
    expect(events.filter(({ projectid }) => projectid !== PROJECT)).toEqual([]);
    expect(reports.size).toBe(1);
  });
});
