import { describe, expect, it } from 'vitest';
import type { Answer } from '../../models/index.js';
import { type ArtifactRef, type DataOf, type DatsEvent, derivedId, EVENTS, Fault, INLINE_LIMIT_BYTES } from '../../schemas/index.js';
import { inlineContent, referenceText, sha256Of } from '../content.js';
import type { Draft } from '../draft.js';
import type { EffectContext, EffectPorts } from '../effect.js';
import { effectContextOf, eventOf, memoryArtifactStore, modelsThat, type RecordedModels } from '../testing/index.js';
import { spanIdOf } from '../traces/index.js';
import { generateEffect } from './effect.js';
import { startNotice } from './start-notice.js';

const ANSWER = '```python path=src/slug.py\ndef slugify(): pass\n```';
const created = (more: Partial<DataOf<'dats.task.created'>> = {}) =>
  eventOf('dats.task.created', {
    task_id: 't',
    description: inlineContent('Write slugify in Python\nwith care')!,
    priority: 'normal',
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: 'tester',
    ...more,
  });
const work = (context: Partial<DataOf<'dats.work.requested'>['context']> = {}, more: Partial<DataOf<'dats.work.requested'>> = {}) =>
  eventOf('dats.work.requested', {
    task_id: 't',
    kind: 'generate',
    attempt: 1,
    tier: 'small',
    domain: 'code',
    prompt_version: 'generate@1',
    context: { created: 0, inputs: [], ...context },
    due: '2026-01-01T00:10:00.000Z',
    ...more,
  });
const ports = (models: RecordedModels, artifacts = memoryArtifactStore()): EffectPorts => ({
  models,
  artifacts,
  checks: undefined as never,
});

const run = async (
  models: RecordedModels,
  events: Record<number, DatsEvent> = { 0: created() },
  item = work(),
  changes: Partial<EffectContext> = {},
  artifacts = memoryArtifactStore(),
) => {
  const context = effectContextOf(events, changes);
  const drafts = await generateEffect().run(item, ports(models, artifacts), context);
  for (const draft of [...context.emitted, ...drafts]) expect(EVENTS[draft.type][1].safeParse(draft.data).error).toBeUndefined();
  return { drafts, context, outcome: drafts.at(-1)! };
};
const output = (draft: Draft): DataOf<'dats.task.output.created'> => {
  if (draft.type !== 'dats.task.output.created') throw new Error(`unexpected ${draft.type}: ${JSON.stringify(draft.data)}`);
  return draft.data;
};
const outputEvent = (task_id: string, path: string, content: ReturnType<typeof inlineContent>) =>
  eventOf('dats.task.output.created', {
    task_id,
    attempt: 1,
    artifacts: [{ ...content!, artifact_id: `${task_id}-${path}`, type: 'python', path }],
    model: 'm',
    provider: 'p',
    scripted: false,
    tokens_in: 1,
    tokens_out: 1,
    duration_ms: 1,
    prompt_version: 'generate@1',
    prompt_sha256: 'x',
    sampling: {},
    consumed: [],
    omitted: [],
    fence: '1-1',
  });

describe('a generation', () => {
  it('records what was made, by whom, from what', async () => {
    const models = modelsThat(() => ({ text: ANSWER, model_digest: 'sha256:abc', scripted: true }));
    const { drafts } = await run(models);
    const content = 'def slugify(): pass\n';
    expect(drafts.map(({ type, id }) => [type, id])).toEqual([
      ['dats.task.started', derivedId('t', 1, 'started', '1-1')],
      ['dats.task.output.created', derivedId('t', 1, 'generate')],
    ]);
    expect(output(drafts[1]!)).toMatchObject({
      task_id: 't',
      attempt: 1,
      model: 'model',
      provider: 'testing',
      model_digest: 'sha256:abc',
      scripted: true,
      tokens_in: 10,
      tokens_out: 20,
      prompt_version: 'generate@1',
      sampling: { temperature: 0, seed: 1 },
      consumed: [],
      omitted: [],
      fence: '1-1',
      artifacts: [
        {
          artifact_id: derivedId('t', 1, 'src/slug.py'),
          type: 'python',
          path: 'src/slug.py',
          sha256: sha256Of(content),
          bytes: content.length,
          content,
        },
      ],
    });
    const [ask] = models.asked;
    expect(ask).toMatchObject({
      purpose: 'generate',
      tier: 'small',
      domain: 'code',
      task_id: 't',
      attempt: 1,
      hints: { task: 'Write slugify in Python', purpose: 'generate', tier: 'small', attempt: 1 },
    });
    expect(output(drafts[1]!).prompt_sha256).toBe(sha256Of(`${sha256Of(ask!.messages[0]!.content)}\n${ask!.messages[1]!.content}`));
  });

  it('says the same when it is run again', async () => {
    expect((await run(modelsThat(() => ANSWER))).drafts).toEqual((await run(modelsThat(() => ANSWER))).drafts);
  });

  it('puts large files into the store before it names them', async () => {
    const artifacts = memoryArtifactStore();
    const { outcome } = await run(
      modelsThat(() => `\`\`\`text path=a.txt\n${'x'.repeat(INLINE_LIMIT_BYTES)}\n\`\`\``),
      undefined,
      undefined,
      {},
      artifacts,
    );
    const [artifact] = output(outcome).artifacts;
    expect(artifact!.content).toBeUndefined();
    expect(artifacts.blobs.get(artifact!.dataref!.slice('sha256:'.length))?.byteLength).toBe(INLINE_LIMIT_BYTES + 1);
  });

  it('reads claim checks, results of other tasks, and the parent’s files', async () => {
    const artifacts = memoryArtifactStore();
    const description = await referenceText(artifacts, 'A long story about Python');
    const ref: ArtifactRef = { artifact_id: 'd-dep.py', task_id: 'd', path: 'dep.py', sha256: sha256Of('dep'), at: 5 };
    const events = {
      0: eventOf('dats.task.decomposed', {
        task_id: 'p',
        children: [{ task_id: 't', title: 'x', description, depends_on: ['d'] }],
        planner: { name: 'list', version: 'list@1' },
      }),
      2: created({ task_id: 'p', files: [{ path: 'base.py', ...inlineContent('base = 1')! }] }),
      5: outputEvent('d', 'dep.py', inlineContent('dep = 1')),
    };
    const models = modelsThat(() => ANSWER);
    const { outcome } = await run(models, events, work({ parent: 2, inputs: [ref] }), {}, artifacts);
    for (const part of ['A long story', 'path=base.py', 'path=dep.py', 'dep = 1'])
      expect(models.asked[0]!.messages[1]!.content).toContain(part);
    expect(output(outcome).consumed).toEqual([ref]);
  });

  it('tells the model why the last attempt was rejected, and lets it answer otherwise', async () => {
    const events = {
      0: created(),
      3: outputEvent('t', 'old.py', inlineContent('old = 1')),
      4: eventOf('dats.task.rejected', {
        task_id: 't',
        attempt: 1,
        profile: 'tests',
        checks: [],
        score: 0,
        reasons: ['slugify is not defined'],
        retryable: true,
      }),
    };
    const models = modelsThat(() => ANSWER);
    const { outcome } = await run(models, events, work({ rejected: 4, output: 3 }, { attempt: 2 }));
    expect(models.asked[0]!.messages[1]!.content).toMatch(/slugify is not defined[\s\S]*old = 1/);
    expect(output(outcome).sampling).toEqual({ temperature: 0.4, seed: 2 });
  });

  it('passes the wishes of the work item on', async () => {
    const models = modelsThat(() => ANSWER);
    await run(models, undefined, work({}, { model: 'mine', tier: 'large' }));
    expect(models.asked[0]).toMatchObject({ model: 'mine', tier: 'large' });
  });

  it('asks within the trace of its task, in the span that the generation will be', async () => {
    const models = modelsThat(() => ANSWER);
    const asked = { ...work({}), traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` };
    await run(models, undefined, asked);
    expect(models.asked[0]!.traceparent).toBe(`00-${'a'.repeat(32)}-${spanIdOf('t', 'generate', 1)}-01`);
  });

  it.each([
    [new Fault('retryable', 'model_timeout', 'too slow'), true],
    [new Fault('terminal', 'model_rejected', 'context too long'), false],
    [new Fault('terminal', 'model_missing', 'no such model'), false],
  ])('ends the attempt with the model’s fault: %s', async (fault, retryable) => {
    const { drafts, outcome } = await run(modelsThat(() => Promise.reject(fault)));
    expect(drafts[0]!.type).toBe('dats.task.started');
    expect(outcome).toMatchObject({
      type: 'dats.task.attempt.failed',
      data: { attempt: 1, stage: 'generation', error: { code: fault.code, message: fault.message, retryable } },
    });
  });

  it.each([
    ['answer_no_file', { text: 'sorry' }],
    ['answer_truncated', { text: '```python path=a.py\nx', finish_reason: 'length' }],
  ] satisfies [string, Partial<Answer>][])('ends the attempt with a retryable %s', async (code, answer) => {
    const { outcome } = await run(modelsThat(() => answer));
    expect(outcome).toMatchObject({ type: 'dats.task.attempt.failed', data: { error: { code, retryable: true } } });
  });

  it('leaves faults of the house to the house', async () => {
    await expect(
      run(
        modelsThat(() => ANSWER),
        {},
      ),
    ).rejects.toMatchObject({ code: 'event_missing' });
    await expect(run(modelsThat(() => Promise.reject(new Fault('fenced', 'fenced', 'not ours'))))).rejects.toMatchObject({
      kind: 'fenced',
    });
    await expect(run(modelsThat(() => Promise.reject(new TypeError('bug'))))).rejects.toThrow('bug');
  });

  it('stops with the reason of the abort, and says nothing more', async () => {
    const stop = new AbortController();
    const models = modelsThat(
      (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Fault('retryable', 'model_error', 'hung up')));
          stop.abort(new Error('cancelled'));
        }),
    );
    await expect(run(models, undefined, undefined, { signal: stop.signal })).rejects.toThrow('cancelled');
    const late = modelsThat(() => {
      stop.abort(new Error('cancelled'));
      return ANSWER;
    });
    await expect(run(late, undefined, undefined, { signal: stop.signal })).rejects.toThrow('cancelled');
  });
});

describe('the notice that it started', () => {
  it('goes alone when the model takes its time, and is durable before the outcome', async () => {
    const order: string[] = [];
    let recorded = (): void => {};
    const emitted = new Promise<void>((resolve) => {
      recorded = resolve;
    });
    const models = modelsThat(async () => {
      await emitted;
      order.push('answered');
      return ANSWER;
    });
    let settle = (): void => {};
    const durable = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const running = run(models, undefined, undefined, {
      emit: async (drafts) => {
        order.push(...drafts.map(({ type }) => type));
        recorded();
        await durable;
        order.push('durable');
      },
    });
    await emitted;
    settle();
    const { drafts } = await running;
    order.push('returned');
    expect(drafts.map(({ type }) => type)).toEqual(['dats.task.output.created']);
    expect(order[0]).toBe('dats.task.started');
    expect(order.indexOf('durable')).toBeLessThan(order.indexOf('returned'));
  });

  it('fails the work when it cannot be recorded', async () => {
    let refused = (): void => {};
    const tried = new Promise<void>((resolve) => {
      refused = resolve;
    });
    const models = modelsThat(async () => {
      await tried;
      return ANSWER;
    });
    const emit = async () => {
      refused();
      throw new Fault('retryable', 'disk_full', 'no room');
    };
    await expect(run(models, undefined, undefined, { emit })).rejects.toMatchObject({ code: 'disk_full' });
  });

  it('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    await run(modelsThat(() => ANSWER));
    await expect(run(modelsThat(() => Promise.reject(new TypeError('bug'))))).rejects.toThrow('bug');
    expect(timers()).toBe(before);
    const notice = startNotice({} as Draft, { emit: async () => {} }, 1_000_000);
    expect(timers()).toBe(before + 1);
    notice.drop();
    expect(timers()).toBe(before);
  });
});

describe('a system message that was changed', () => {
  const answering = () => modelsThat(() => ANSWER);
  const promptOf = (version: string) => ({ ...work({}, { prompt_version: version }) });

  it('is the one that the work item names, and no other', async () => {
    const asked: unknown[] = [];
    const source = (name: string, change: number): string | undefined => {
      asked.push([name, change]);
      return change === 2 ? 'Answer with files.' : 'newer';
    };
    const models = answering();
    const context = effectContextOf({ 0: created() });
    const drafts = await generateEffect().run(promptOf('generate@1.2'), { ...ports(models), prompts: source }, context);
    const { prompt_version, prompt_sha256 } = output(drafts.at(-1)!);
    expect(asked).toEqual([['generate', 2]]);
    expect(models.asked[0]!.messages[0]).toEqual({ role: 'system', content: 'Answer with files.' });
    expect(prompt_version).toBe('generate@1.2');
    expect(prompt_sha256).not.toBe(output((await run(answering())).outcome).prompt_sha256);
  });

  it('that is not known here is waited for by the runtime, not replaced', async () => {
    const models = answering();
    const going = generateEffect().run(
      promptOf('generate@1.9'),
      { ...ports(models), prompts: () => undefined },
      effectContextOf({ 0: created() }),
    );
    await expect(going).rejects.toMatchObject({ kind: 'retryable', code: 'prompt_unknown' });
    expect(models.asked).toEqual([]);
  });
});
