import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, derivedId, EVENTS, Fault, sha256Schema } from '../../schemas/index.js';
import { inlineContent, referenceText } from '../content.js';
import type { EffectPorts } from '../effect.js';
import { effectContextOf, eventOf, memoryArtifactStore, modelsThat, type RecordedModels } from '../testing/index.js';
import { spanIdOf } from '../traces/index.js';
import { createAgents } from './agents.js';
import { analyseEffect } from './analyse-effect.js';
import { decomposeEffect } from './decompose-effect.js';

const created = (description: string, more: Partial<DataOf<'dats.task.created'>> = {}) =>
  eventOf('dats.task.created', {
    task_id: 't',
    description: inlineContent(description)!,
    priority: 'normal',
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: 'tester',
    ...more,
  });
const work = (kind: 'analyse' | 'decompose', prompt_version: string, task_id = 't') =>
  eventOf('dats.work.requested', {
    task_id,
    kind,
    attempt: 0,
    tier: 'medium',
    domain: 'code',
    prompt_version,
    context: { created: 3, inputs: [] },
    due: '2026-01-01T00:01:00.000Z',
  });
const ports = (models: RecordedModels, artifacts = memoryArtifactStore()): EffectPorts => ({
  models,
  artifacts,
  checks: undefined as never,
});
const faulty = (fault: Fault) => modelsThat(() => Promise.reject(fault));

const analyse = async (event: DatsEvent, models: RecordedModels, artifacts = memoryArtifactStore()) => {
  const [draft] = await analyseEffect().run(work('analyse', 'analyse@1'), ports(models, artifacts), effectContextOf({ 3: event }));
  if (draft?.type !== 'dats.task.analyzed') throw new Error(`unexpected ${draft?.type}`);
  expect(EVENTS[draft.type][1].safeParse(draft.data).error).toBeUndefined();
  return draft;
};

describe('a confidential task', () => {
  it('is analysed and planned by models that keep it in the building only', async () => {
    for (const confidentiality of ['confidential', 'internal'] as const) {
      const event = created('something', { options: { confidentiality } });
      const models = modelsThat(() => '{"steps": []}');
      await analyse(event, models);
      await decomposeEffect().run(work('decompose', 'decompose@1'), ports(models), effectContextOf({ 3: event }));
      const wanted = confidentiality === 'confidential' ? true : undefined;
      expect(models.asked.map(({ purpose, local_only }) => [purpose, local_only])).toEqual([
        ['analyse', wanted],
        ['decompose', wanted],
      ]);
    }
  });
});

describe('an analysis by a model', () => {
  it('takes what the model says, and the signals for the rest', async () => {
    const models = modelsThat(() => 'Sure!\n```json\n{"mode": "Review", "complexity": "0.9", "language": "cobol", "confidence": 0.8}\n```');
    const draft = await analyse(created('something python'), models);
    expect(draft.id).toBe(derivedId('t', 'analyse', 0));
    expect(draft.data).toMatchObject({
      mode: 'review',
      complexity: 0.9,
      tier: 'large',
      language: 'python',
      confidence: 0.8,
      analyser: { name: 'model', version: 'analyse@1', model: 'model' },
    });
    expect(models.asked[0]).toMatchObject({
      json: true,
      purpose: 'analyse',
      task_id: 't',
      hints: { task: 'something python', purpose: 'analyse' },
      traceparent: expect.stringContaining(`-${spanIdOf('t', 'analyse')}-`),
    });
  });

  it.each([
    ['a fault that may pass', faulty(new Fault('retryable', 'no_model', 'none'))],
    ['a refusal for good', faulty(new Fault('terminal', 'model_rejected', 'no'))],
    ['prose', modelsThat(() => 'I would say it is rather easy.')],
    ['JSON that says nothing', modelsThat(() => '{"mood": "good"}')],
  ])('does without it after %s', async (_, models) => {
    const draft = await analyse(created('Write a Python function'), models);
    expect(draft.data.analyser.name).toBe('signals');
    const sure = await createAgents({ models, options: () => ({ askModelBelow: 0, modelAvailable: false }), now: () => 0 }).analyze(
      { description: 'Write a Python function', files: [], project_id: 'p', options: {} },
      new AbortController().signal,
    );
    expect(draft.data.confidence).toBeLessThan(sure.confidence);
  });

  it('shows the model a description that is a claim check, and does without where it is lost', async () => {
    const artifacts = memoryArtifactStore();
    const text = `Fix it\n${'x'.repeat(40_000)}`;
    const event = created('', { description: await referenceText(artifacts, text) });
    const models = modelsThat(() => '{"mode": "fix"}');
    expect((await analyse(event, models, artifacts)).data.mode).toBe('fix');
    expect(models.asked[0]!.messages[1]!.content.length).toBeLessThan(17_000);
    const lost = await analyse(event, models);
    expect([lost.data.analyser.name, models.asked.length]).toEqual(['signals', 1]);
  });

  it('stops with the reason of the abort', async () => {
    const stop = new AbortController();
    const models = modelsThat((_, signal) => {
      stop.abort(new Error('cancelled'));
      return Promise.reject(signal.reason);
    });
    await expect(
      analyseEffect().run(work('analyse', 'analyse@1'), ports(models), effectContextOf({ 3: created('x') }, { signal: stop.signal })),
    ).rejects.toThrow('cancelled');
  });

  it('does not hide a bug', async () => {
    const models = modelsThat(() => Promise.reject(new TypeError('oops')));
    await expect(analyse(created('x'), models)).rejects.toThrow('oops');
  });
});

const LIST = 'Build it:\n1. tables\n2. api';
const tests: DataOf<'dats.task.created'>['tests'] = { language: 'python', code: inlineContent('assert True')! };
const decompose = async (event: DatsEvent, models: RecordedModels, version = 'decompose@1') => {
  const drafts = await decomposeEffect().run(work('decompose', version), ports(models), effectContextOf({ 3: event }));
  for (const draft of drafts) expect(EVENTS[draft.type][1].safeParse(draft.data).error).toBeUndefined();
  return drafts[0]!;
};
const childrenIn = (draft: Awaited<ReturnType<typeof decompose>>) => (draft.type === 'dats.task.decomposed' ? draft.data.children : []);

describe('a decomposition', () => {
  it('makes subtasks with derived ids of the model plan', async () => {
    const models = modelsThat(() =>
      JSON.stringify({
        steps: [
          { title: 'a', description: 'do a', files: ['a.py'] },
          { title: 'b', description: 'do b', depends_on: [0] },
        ],
      }),
    );
    const draft = await decompose(created(LIST), models);
    expect(draft).toMatchObject({
      type: 'dats.task.decomposed',
      id: derivedId('t', 'decompose', 0),
      data: { planner: { name: 'model', version: 'decompose@1', model: 'model' } },
    });
    expect(childrenIn(draft)).toEqual([
      { task_id: derivedId('t', 'child', 0), title: 'a', description: inlineContent('do a\n\nFiles of this step: a.py'), depends_on: [] },
      { task_id: derivedId('t', 'child', 1), title: 'b', description: inlineContent('do b'), depends_on: [derivedId('t', 'child', 0)] },
    ]);
    expect(models.asked[0]).toMatchObject({ tier: 'medium', domain: 'code', hints: { task: 'Build it:', purpose: 'decompose' } });
    expect(models.asked[0]!.traceparent).toContain(`-${spanIdOf('t', 'decompose')}-`);
  });

  it.each([
    ['a scripted placeholder has no plan', modelsThat(() => ({ text: 'scripted: nothing to say', scripted: true }))],
    ['the plan is circular', modelsThat(() => '{"steps": [{"title": "a", "depends_on": [0]}]}')],
    ['no model answers', faulty(new Fault('retryable', 'no_model', 'none'))],
  ])('takes the lists of the description when %s', async (_, models) => {
    const draft = await decompose(created(LIST), models);
    expect(draft).toMatchObject({ data: { planner: { name: 'list', version: 'list@1' } } });
    expect(childrenIn(draft).map(({ title }) => title)).toEqual(['tables', 'api']);
  });

  it('asks no model where only the lists are wanted, and has an id of its own then', async () => {
    const models = modelsThat(() => '{}');
    const draft = await decompose(created(LIST), models, 'list@1');
    expect(models.asked).toEqual([]);
    expect(draft.type).toBe('dats.task.decomposed');
    expect(draft.id).not.toBe(derivedId('t', 'decompose', 0));
  });

  it('gives the tests to the last step when the plan names none', async () => {
    const children = childrenIn(
      await decompose(
        created(LIST, { tests }),
        modelsThat(() => ''),
      ),
    );
    expect(children.map((child) => child.tests)).toEqual([undefined, tests]);
  });

  it('fails for good, saying why, when there is no plan at all', async () => {
    const draft = await decompose(
      created('Just do it'),
      modelsThat(() => 'no'),
    );
    expect(draft).toMatchObject({
      type: 'dats.task.attempt.failed',
      data: { attempt: 0, stage: 'decomposition', error: { code: 'no_plan', retryable: false } },
    });
    expect(JSON.stringify(draft.data)).toMatch(/no JSON object.*holds no list/);
  });

  it('keeps a long step out of the event', async () => {
    const description = 'ü'.repeat(7_990);
    const models = modelsThat(() =>
      JSON.stringify({
        steps: [
          { title: 'a', description: description.slice(0, 7_000) },
          { title: 'b', description, files: Array.from({ length: 50 }, (_, i) => `${'ddd/'.repeat(95)}${i}.py`) },
        ],
      }),
    );
    const children = childrenIn(await decompose(created(LIST), models));
    expect(children.map(({ description: stored }) => stored.dataref !== undefined)).toEqual([false, true]);
    expect(sha256Schema.safeParse(children[1]!.description.sha256).success).toBe(true);
  });
});

describe('the agent functions', () => {
  const body = (description: string) => ({ description, files: [], project_id: 'p', options: {} });
  const agents = (models: RecordedModels) =>
    createAgents({ models, options: () => ({ askModelBelow: 0.5, modelAvailable: true }), now: () => 1_000 });
  const signal = new AbortController().signal;

  it('analyse like the pipeline: by signals when sure, by a model when not', async () => {
    const models = modelsThat(() => '{"mode": "test", "complexity": 0.5}');
    expect((await agents(models).analyze(body('Write a Python function that returns a list'), signal)).analyser.name).toBe('signals');
    expect((await agents(models).analyze(body('hm'), signal)).analyser.name).toBe('model');
    expect(models.asked.length).toBe(1);
  });

  it('estimate from now, without a model', () => {
    const models = modelsThat(() => '');
    const made = agents(models).estimate(body('Write a Python function'));
    expect(Date.parse(made.estimated_completion)).toBe(1_000 + made.estimated_duration_ms);
    expect(models.asked).toEqual([]);
  });

  it('plan, or say why not', async () => {
    const models = modelsThat(() => '');
    expect((await agents(models).decompose(body(LIST), signal)).steps.map(({ depends_on }) => depends_on)).toEqual([[], [0]]);
    await expect(agents(models).decompose(body('x'), signal)).rejects.toMatchObject({ kind: 'terminal', code: 'no_plan' });
  });
});
