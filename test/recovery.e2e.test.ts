// SIGKILL in the middle of cascades, rollbacks and replays: each of them finishes, and everything in it happens once.
//
// DATS_SEED repeats the choices of a run; DATS_RECOVERY_KILLS sets the kills of each kind.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CascadeAnswer, DatsEvent, ProjectState, RollbackView } from '../schemas/index.js';
import { type Api, apiOf, isFinal } from './support/api.js';
import { eventually } from './support/eventually.js';
import { cleanUp, freePort, type NodeProcess, ready, startProcess, type TestFolder, testFolder } from './support/node-process.js';
import { type Random, seededRandom, testSeed } from './support/random.js';
import { readWholeLog } from './support/whole-log.js';

const KILLS = Number(process.env['DATS_RECOVERY_KILLS'] ?? 20);
const PARTITIONS = 2;
const LIMIT_MS = 90_000;
const PROJECT = 'p';
/** Versions of one file, each made from the one before; files read beside the first; and such whose own tests can tell. */
const VERSIONS = 12;
const BESIDE = 12;
const TESTED = 6;
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
const servers = (port: number) => ({
  version: 1,
  node: { id: 'recovery', data_dir: './data' },
  gateway: { port },
  log: { partitions: PARTITIONS },
  models: [{ id: 'recorded', runner: 'scripted', script: './script.json', tiers: ['small', 'medium', 'large'], concurrency: 64 }],
  cascade: { per_second: MARKS_A_SECOND, revalidations: 2 },
  audit: { every_s: 1 },
});

interface World {
  readonly folder: TestFolder;
  readonly api: Api;
  readonly random: Random;
  node: NodeProcess;
  /** Artifact ids of the first version. */
  root: string;
  kills: number;
}
let world: World;

const restart = async (): Promise<void> => {
  await world.node.kill('SIGKILL');
  world.kills++;
  world.node = startProcess(world.folder.config);
  await ready(world.api.url, world.node);
};
/** That a kill falls anywhere is the point: its instant is drawn, not awaited. */
const drawn = (from: number, to: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, world.random.int(from, to)));

/** A POST that is sent again, with the same key, until it is answered. @returns the answer */
const posted = async <T>(path: string, body: object, key: string): Promise<T> =>
  eventually(`an answer to POST ${path}`, LIMIT_MS, async () => {
    const answer = await world.api.ask<T>('POST', path, body, { 'idempotency-key': key });
    if (answer.status >= 400 && answer.status < 500) throw new Error(`HTTP ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.status < 300 ? answer.body : undefined;
  });
const got = async <T>(path: string): Promise<T | undefined> => {
  const answer = await world.api.ask<T>('GET', path);
  return answer.status === 200 ? answer.body : undefined;
};
const headsNow = async (): Promise<Record<string, string>> => {
  const state = await eventually('the state of the project', LIMIT_MS, () => got<ProjectState>(`/api/v1/projects/${PROJECT}/state`));
  return Object.fromEntries(state.files.map(({ path, version }) => [path, version.artifact_id]));
};
const lifecycle = async (): Promise<readonly DatsEvent[]> => {
  await world.node.kill('SIGTERM');
  const { events, deadLetters } = await readWholeLog(join(world.folder.dir, 'data'), PARTITIONS);
  world.node = startProcess(world.folder.config);
  await ready(world.api.url, world.node);
  expect(deadLetters).toBe(0);
  return events.filter(({ topic }) => topic === 'dats.lifecycle').map(({ event }) => event);
};
const twice = (keys: readonly string[]): string[] => keys.filter((key, i) => keys.indexOf(key) !== i);

beforeAll(async () => {
  const port = await freePort();
  const folder = testFolder(servers(port), { 'script.json': SCRIPT });
  const api = apiOf(`http://127.0.0.1:${port}`);
  const node = startProcess(folder.config);
  world = { folder, api, node, random: seededRandom(testSeed('recovery')), root: '', kills: 0 };
  await ready(api.url, node);
  const submit = (description: string, more: object) => api.submitted({ description, project_id: PROJECT, ...more });
  const versions: string[] = [];
  for (let i = 0; i < VERSIONS; i++)
    versions.push(await submit(`version ${i}.`, { options: { qa_profile: 'none' }, depends_on: versions.slice(-1) }));
  const others: string[] = [];
  for (let i = 0; i < BESIDE; i++)
    others.push(await submit(`beside ${i}.`, { options: { qa_profile: 'syntax' }, depends_on: [versions[0]!] }));
  for (let i = 0; i < TESTED; i++)
    others.push(
      await submit(`tested ${i}.`, {
        depends_on: [versions[0]!],
        tests: { language: 'python', code: `from tested_${i} import f\nassert f() == ${i}\n` },
      }),
    );
  const ended = await eventually('the end of every task', LIMIT_MS, async () => {
    const views = await Promise.all([...versions, ...others].map((id) => api.task(id)));
    return views.every(isFinal) && views;
  });
  expect(ended.filter(({ state }) => state !== 'completed')).toEqual([]);
  world.root = ended[0]!.artifacts[0]!.artifact_id;
});
afterAll(cleanUp);

describe(`${KILLS} SIGKILLs each`, () => {
  let cascade = '';

  it('in the middle of a cascade: it finishes, and marks everything once', async () => {
    const body = { artifact_id: world.root, reason: 'the first version is wrong' };
    const { cascades } = await posted<{ cascades: { cascade_id: string }[] }>('/api/v1/taint', body, 'taint');
    cascade = cascades[0]!.cascade_id;
    const state = () => got<CascadeAnswer>(`/api/v1/cascades/${cascade}`);
    let during = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await drawn(0, 500);
      const now = await state().catch(() => undefined);
      if (now?.state === 'running') during++;
      await restart();
    }
    const ended = await eventually('the end of the cascade', LIMIT_MS, async () => {
      const now = await state();
      return now !== undefined && now.state !== 'running' && now.state !== 'requested' && now;
    });
    expect(ended).toMatchObject({ state: 'completed', tainted: VERSIONS + BESIDE, cleared: TESTED, suspect: 0, remaining: 0 });
    const events = await lifecycle();
    expect(twice(events.map(({ id }) => id))).toEqual([]);
    const of = (type: string) => events.filter((event) => event.type === type);
    expect([of('dats.cascade.started').length, of('dats.cascade.completed').length]).toEqual([1, 1]);
    expect(twice(of('dats.artifact.tainted').map(({ subject }) => subject))).toEqual([]);
    expect(twice(of('dats.artifact.revalidated').map(({ subject }) => subject))).toEqual([]);
    expect(during).toBeGreaterThan(KILLS / 4);
    console.info(`a cascade over ${VERSIONS + BESIDE + TESTED} artifacts: ${KILLS} kills, ${during} of them in its middle`);
  });

  it('in the middle of rollbacks, each taking back the one before: each finishes, once', async () => {
    const before = await headsNow();
    const ids: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const target = ids.length === 0 ? { cascade_id: cascade } : { rollback_id: ids.at(-1)! };
      const key = `rollback ${kill}`;
      const answer = posted<{ rollback_id: string }>('/api/v1/rollback', { ...target, tasks: 'keep', reason: 'a test' }, key);
      answer.catch(() => undefined);
      await drawn(0, 60);
      await restart();
      const { rollback_id } = await answer;
      const done = await eventually('the end of the rollback', LIMIT_MS, async () => {
        const now = await got<RollbackView>(`/api/v1/rollbacks/${rollback_id}`);
        return now !== undefined && now.state !== 'running' && now.state !== 'requested' && now;
      });
      expect(done).toMatchObject({
        state: 'completed',
        skipped: 0,
        reverted: kill % 2 === 0 ? BESIDE + 1 : 0,
        restored: kill % 2 === 0 ? 0 : BESIDE + 1,
      });
      ids.push(rollback_id);
      const heads = await headsNow();
      if (kill % 2 === 1) expect(heads).toEqual(before);
      else expect(Object.keys(heads).sort()).toEqual(Array.from({ length: TESTED }, (_, i) => `tested_${i}.py`));
    }
    expect(twice(ids)).toEqual([]);
    const events = await lifecycle();
    expect(twice(events.map(({ id }) => id))).toEqual([]);
    for (const type of ['dats.rollback.requested', 'dats.rollback.started', 'dats.rollback.completed'])
      expect(events.filter((event) => event.type === type)).toHaveLength(KILLS);
  });
});
