import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyBundle } from '../../processors/attestation/index.js';
import { inline, sayings, sha256Of } from '../../processors/attestation/testing/generation.js';
import { VIEW } from '../../processors/index.js';
import {
  type Artifact,
  type ArtifactRef,
  type DatsEvent,
  derivedId,
  LIFECYCLE,
  type Problem,
  type ProvDocument,
  provDocumentSchema,
  type Statement,
} from '../../schemas/index.js';
import { outgoing } from '../../streams/index.js';
import { openWorld, type World } from '../testing/world.js';
import { provOf } from './index.js';

let world: World;
beforeEach(async () => {
  world = await openWorld({ config: { version: 1, log: { partitions: 1 }, models: [] } });
});
afterEach(() => world.close());

const PROJECT = 'p';

interface Making {
  readonly files?: Readonly<Record<string, string>>;
  readonly consumed?: readonly ArtifactRef[];
  readonly accepted?: boolean;
  readonly context?: { readonly created: number; readonly parent: number };
}

/** Takes a task that is there through an attempt. */
const make = async (task_id: string, { files = { 'src/a.py': 'a = 1\n' }, consumed = [], accepted = true, context }: Making = {}) => {
  const view = { task_id, project_id: PROJECT };
  const artifacts: Artifact[] = Object.entries(files).map(([path, text]) => ({
    artifact_id: derivedId(task_id, 1, path),
    type: 'python',
    path,
    ...inline(text),
  }));
  const { first_offset } = await world.task(task_id);
  const inputs = [...consumed];
  await world.say(view, 'dats.task.ready', {
    attempt: 1,
    tier: 'small',
    domain: 'code',
    prompt_version: 'generate.1',
    context: { inputs, ...(context ?? { created: first_offset }) },
    due: '2030-01-01T00:00:00.000Z',
  });
  await world.say(view, 'dats.task.started', { attempt: 1, node: 'n1', worker: 'n1:1', fence: '0-1' });
  const { offset } = await world.say(view, 'dats.task.output.created', {
    attempt: 1,
    artifacts,
    model: 'scripted',
    provider: 'scripted',
    scripted: true,
    tokens_in: 1,
    tokens_out: 1,
    duration_ms: 1,
    prompt_version: 'generate.1',
    prompt_sha256: sha256Of('prompt'),
    sampling: {},
    consumed: inputs,
    omitted: [],
    fence: '0-1',
  });
  if (accepted) {
    const checks = [{ name: 'syntax:python', status: 'passed' as const, duration_ms: 1 }];
    await world.say(view, 'dats.task.validated', { attempt: 1, profile: 'syntax', checks, score: 1 });
    await world.say(view, 'dats.task.completed', { attempt: 1, provenance_id: derivedId(task_id, 'execution', 1), execution_time_ms: 5 });
  }
  return artifacts.map((artifact) => ({ artifact, task_id, id: artifact.artifact_id, ref: refTo(artifact, task_id, offset) }));
};
const refTo = ({ artifact_id, path, sha256 }: Artifact, task_id: string, at: number): ArtifactRef => ({
  artifact_id,
  task_id,
  path,
  sha256,
  at,
});

const submit = (body: Record<string, unknown> = {}) =>
  world.submit({ description: 'x', project_id: PROJECT, submitted_by: 'ada', ...body });
const made = async (making: Making = {}) => (await make(await submit(), making))[0]!;
const append = ({ event }: { readonly event: DatsEvent }) => world.log.append([outgoing(LIFECYCLE, { ...event, projectid: PROJECT })]);

const get = (id: string, query: string) => world.app.request(`/api/v1/provenance/${id}?${query}`) as Promise<Response>;
const problem = async (response: Response): Promise<[number, string, string]> => {
  const { status, type, detail } = (await response.json()) as Problem;
  return [status, type, detail];
};
const key = async (): Promise<string> => (await world.app.request('/api/v1/attestations/key')).text();
const statements = async (id: string, query = 'format=intoto') => {
  const response = await get(id, query);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/vnd.in-toto.bundle']);
  return verifyBundle(await response.text(), await key());
};
const prov = async (id: string, query = ''): Promise<ProvDocument> =>
  provDocumentSchema.parse(await (await get(id, `format=prov${query}`)).json());
const parameters = ({ predicate }: Statement) =>
  predicate as { buildDefinition: Record<'externalParameters' | 'internalParameters', object> };

describe('attestations', () => {
  test('of an accepted artifact are signed, need no history, and are the same every time', async () => {
    const one = await made();
    await made({ files: { 'src/other.py': 'beside\n' } });
    const { statements: signed, warnings } = await statements(one.id);
    expect(signed.map(({ predicateType, subject }) => [predicateType, subject[0]?.digest.sha256])).toEqual([
      ['https://slsa.dev/provenance/v1', one.artifact.sha256],
      ['https://in-toto.io/attestation/test-result/v0.1', one.artifact.sha256],
    ]);
    expect(warnings).toEqual([]);
    expect(parameters(signed[0]!).buildDefinition).toMatchObject({
      externalParameters: { taskId: one.task_id, submittedBy: 'ada' },
      internalParameters: { node: 'n1' },
    });
    expect(await (await get(one.id, 'format=intoto')).text()).toBe(await (await get(one.task_id, 'format=intoto')).text());
  });

  test('are refused for what was not accepted', async () => {
    const one = await made({ accepted: false });
    expect((await problem(await get(one.id, 'format=intoto'))).slice(0, 2)).toEqual([409, '/problems/artifact-not-accepted']);
  });

  test('of a tainted artifact are refused, and where they are asked for all the same they say so', async () => {
    const one = await made();
    const say = sayings(one.artifact, one.task_id);
    await append(say.suspect(0, 'c1'));
    expect((await problem(await get(one.id, 'format=intoto'))).slice(0, 2)).toEqual([409, '/problems/artifact-tainted']);
    await append(say.tainted(0, 'c1', 'the model was poisoned'));
    const [status, , detail] = await problem(await get(one.id, 'format=intoto'));
    expect([status, detail]).toEqual([409, expect.stringContaining('is tainted, says cascade c1: the model was poisoned')]);
    const { warnings } = await statements(one.id, 'format=intoto&tainted=true');
    expect(warnings).toMatchObject([{ mark: 'tainted' }, { mark: 'tainted', said: [{ by: 'c1' }] }]);
  });

  test('of what was taken back are refused until it stands again', async () => {
    const one = await made();
    const say = sayings(one.artifact, one.task_id);
    await append(say.reverted(0, 'r1'));
    expect((await problem(await get(one.id, 'format=intoto')))[2]).toContain('is taken back, says rollback r1');
    await append(say.restored(0, 'r2'));
    expect((await statements(one.id)).warnings).toEqual([]);
  });

  test('are refused for what is tainted also while the views do not know it yet', async () => {
    await world.close();
    let frozen: number | undefined;
    const seen = new Map<string, unknown>();
    world = await openWorld({
      config: { version: 1, log: { partitions: 1 }, models: [] },
      gateway: { reads: { catchUpMs: 5 } },
      views: (views) => ({
        ...views,
        get: <T>(collection: string, id: string) => (seen.get(`${collection}/${id}`) as T | undefined) ?? views.get<T>(collection, id),
        checkpoint: async (view, partition) => frozen ?? views.checkpoint(view, partition),
      }),
    });
    const one = await made();
    for (const [collection, id] of [
      ['artifact', one.id],
      ['task', one.task_id],
    ] as const)
      seen.set(`${collection}/${id}`, structuredClone(await world.views.get(collection, id)));
    frozen = await world.views.checkpoint(VIEW, 0);
    await append(sayings(one.artifact, one.task_id).tainted(0, 'c1'));
    expect(await (await world.app.request(`/api/v1/artifacts/${one.id}`)).json()).toMatchObject({ taint: 'clean' });
    expect((await problem(await get(one.id, 'format=intoto'))).slice(0, 2)).toEqual([409, '/problems/artifact-tainted']);
  });

  test('of a subtask name its plan and who submitted the whole', async () => {
    const parent = await submit({ submitted_by: 'grace' });
    const child = derivedId(parent, 'child');
    const { first_offset } = await world.task(parent);
    const item = { task_id: child, title: 'one', description: inline('one'), depends_on: [] };
    const plan = await world.say({ task_id: parent, project_id: PROJECT }, 'dats.task.decomposed', {
      children: [item],
      planner: { name: 'list', version: '1' },
    });
    await world.say({ task_id: child, project_id: PROJECT }, 'dats.task.created', {
      description: inline('one'),
      priority: 'normal',
      options: {},
      parent_id: parent,
      depends_on: [],
      inputs: [],
      files: [],
      submitted_by: 'scheduling',
    });
    const [one] = await make(child, { context: { created: plan.offset, parent: first_offset } });
    const { statements: signed } = await statements(one!.id);
    expect(parameters(signed[0]!).buildDefinition).toMatchObject({
      externalParameters: { submittedBy: 'grace' },
      internalParameters: { plannedBy: { name: 'list' } },
    });
    expect(Object.keys((await prov(one!.id)).agent ?? {})).toContain('submitter:grace');
  });

  test('are for one artifact: of a task with several, one has to be named', async () => {
    const task = await submit();
    const both = await make(task, { files: { 'a.py': '1', 'b.py': '2' } });
    const [status, , detail] = await problem(await get(task, 'format=intoto'));
    expect(status).toBe(400);
    for (const { id } of both) expect(detail).toContain(id);
  });

  test('are not to be had where there is no key, nor of what is not there', async () => {
    expect((await problem(await get('nothing', 'format=intoto'))).slice(0, 2)).toEqual([404, '/problems/artifact-not-found']);
    const keyless = await openWorld({ signer: null });
    const answer = await keyless.app.request('/api/v1/attestations/key');
    expect((await problem(answer)).slice(0, 2)).toEqual([501, '/problems/signing-off']);
    await keyless.close();
  });
});

describe('PROV', () => {
  test('goes up the lineage as far as is asked, each artifact once', async () => {
    const first = await made({ files: { 'src/a.py': 'v1' } });
    const second = await made({ files: { 'src/a.py': 'v2' }, consumed: [first.ref] });
    const third = await made({ files: { 'src/b.py': 'b' }, consumed: [first.ref, second.ref] });
    const whole = await prov(third.id);
    const lineageOf = (document: ProvDocument, id: string) => document.entity[`artifact:${id}`]?.['dats:lineage'];
    expect(Object.keys(whole.activity ?? {}).sort()).toEqual([first, second, third].map(({ task_id }) => `attempt:${task_id}/1`).sort());
    expect(Object.values(whole.wasDerivedFrom ?? {})).toHaveLength(3);
    expect([first.id, second.id, third.id].map((id) => lineageOf(whole, id))).toEqual([undefined, undefined, undefined]);
    const few = await provOf(world.deps, third.id, { depth: 10, artifacts: 2 });
    expect([first.id, second.id, third.id].map((id) => lineageOf(few, id))).toEqual([undefined, 'not included', undefined]);
    const near = await prov(third.id, '&depth=0');
    expect(Object.keys(near.activity ?? {})).toEqual([`attempt:${third.task_id}/1`]);
    expect([first.id, second.id].map((id) => lineageOf(near, id))).toEqual(['not included', 'not included']);
  });

  test('of all artifacts of a task, also of what was not accepted, and of what is bad now', async () => {
    const task = await submit();
    const [one] = await make(task, { files: { 'a.py': '1', 'b.py': '2' }, accepted: false });
    await append(sayings(one!.artifact, task).tainted(0, 'c1'));
    const document = await prov(task);
    expect(Object.keys(document.entity).filter((name) => name.startsWith('artifact:'))).toHaveLength(2);
    expect(Object.values(document.wasInvalidatedBy ?? {})).toMatchObject([
      { 'prov:entity': `artifact:${one!.id}`, 'prov:activity': 'cascade:c1' },
    ]);
  });

  test('is a format beside the record of history, which needs history', async () => {
    const one = await made();
    expect((await problem(await get(one.id, 'format=json'))).slice(0, 2)).toEqual([501, '/problems/analytics-off']);
    expect((await problem(await get(one.id, 'format=xml')))[0]).toBe(400);
  });
});
