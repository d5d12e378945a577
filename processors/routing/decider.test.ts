import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, EVENTS, LIFECYCLE, workTopic } from '../../schemas/index.js';
import { inlineContent } from '../content.js';
import type { Draft } from '../draft.js';
import { fixed } from '../policies.js';
import { eventOf, foldOf, given, SPECIFIED_AT } from '../testing/index.js';
import { analysisOf, classify } from './classify.js';
import { routingDecider } from './decider.js';
import { materialOf, signalsOf } from './signals.js';

const NOW = Date.parse(SPECIFIED_AT);
const CLEAR = 'Write a Python function slugify(text) that returns a lower-case slug of a title.';
const UNCLEAR = 'something better maybe';
const LIMIT = 60_000;

const asking = routingDecider(fixed({ askModelBelow: 0.5, modelAvailable: true, answerLimitMs: LIMIT }));
const alone = routingDecider(fixed({ askModelBelow: 0.5, modelAvailable: false }));

const created = (id: string, description: string, more: Partial<DataOf<'dats.task.created'>> = {}) =>
  eventOf('dats.task.created', {
    task_id: id,
    description: inlineContent(description)!,
    priority: 'normal',
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: 'tester',
    ...more,
  });
const analysisFor = (event: ReturnType<typeof created>) => {
  const features = signalsOf(materialOf(event.data));
  return { task_id: event.data.task_id, ...analysisOf(classify(features), features, NOW) };
};
const analyzed = (event: ReturnType<typeof created>, tier: 'small' | 'large' = 'large') =>
  eventOf('dats.task.analyzed', { ...analysisFor(event), tier, analyser: { name: 'model', version: 'analyse@1', model: 'm' } });
const failed = (id: string, stage: 'analysis' | 'decomposition', retryable = true, attempt = 0, message = 'gave up') =>
  eventOf('dats.task.attempt.failed', { task_id: id, attempt, stage, error: { code: 'dead', message, retryable } });
const decomposed = (id: string) =>
  eventOf('dats.task.decomposed', {
    task_id: id,
    children: [{ task_id: `${id}-0`, title: 'one', description: inlineContent('one')!, depends_on: [] }],
    planner: { name: 'list', version: 'list@1' },
  });
const completed = (id: string) => eventOf('dats.task.completed', { task_id: id, attempt: 1, provenance_id: 'p', execution_time_ms: 1 });
const failure = (draft: Draft | undefined) => (draft?.type === 'dats.task.attempt.failed' ? draft.data.error : undefined);
const version = (draft: Draft | undefined) => (draft?.type === 'dats.work.requested' ? draft.data.prompt_version : undefined);

describe('routing', () => {
  it('analyses a clear task at once, by its signals, from the time of the event', () => {
    const event = created('t', CLEAR);
    given(asking, [])
      .when(event)
      .then([{ type: 'dats.task.analyzed', subject: 't', data: analysisFor(event), topic: LIFECYCLE }]);
  });

  it('asks a model about an unclear task, with a work item keyed by the task', () => {
    const outcome = given(asking, []).when(created('t', UNCLEAR), 7);
    outcome.then([
      {
        type: 'dats.work.requested',
        subject: 't',
        topic: workTopic('analysis'),
        key: 't',
        data: {
          task_id: 't',
          kind: 'analyse',
          attempt: 0,
          tier: 'small',
          domain: 'general',
          prompt_version: 'analyse@1',
          context: { created: 7, inputs: [] },
          due: new Date(NOW + LIMIT).toISOString(),
        },
      },
    ]);
  });

  it('writes drafts that fit the schemas', () => {
    for (const event of [created('t', CLEAR), created('t', UNCLEAR), created('t', CLEAR, { options: { decompose: true } })])
      for (const draft of given(asking, []).when(event).drafts) expect(EVENTS[draft.type][1].safeParse(draft.data).error).toBeUndefined();
    expect(EVENTS['dats.task.attempt.failed'][1].safeParse(failed('t', 'analysis').data).success).toBe(true);
  });

  it.each([
    ['no model is there', alone, {}],
    ['the tier is chosen by the user', asking, { options: { tier: 'large' as const } }],
    ['the model is chosen by the user', asking, { options: { model: 'mine' } }],
  ])('asks no model when %s', (_, decider, more) => {
    given(decider, [])
      .when(created('t', UNCLEAR, more))
      .thenTypes(['dats.task.analyzed']);
  });

  it('says no more about a task that a model analysed', () => {
    const event = created('t', UNCLEAR);
    const outcome = given(asking, [event]).when(analyzed(event));
    outcome.thenNothing();
    outcome.thenEntries({});
  });

  it('falls back on the signals when the analysis failed', () => {
    const event = created('t', UNCLEAR);
    given(asking, [event])
      .when(failed('t', 'analysis'))
      .then([{ type: 'dats.task.analyzed', subject: 't', data: analysisFor(event), topic: LIFECYCLE }]);
  });

  it('falls back on the signals when no analysis comes in time, once', () => {
    const event = created('t', UNCLEAR);
    given(asking, [event])
      .whenTime(NOW + LIMIT - 1)
      .thenNothing();
    given(asking, [event])
      .whenTime(NOW + LIMIT)
      .thenTypes(['dats.task.analyzed']);
    const fold = foldOf(asking);
    fold.take(event, 0);
    expect(asking.nextDue?.(fold.state)).toBe(NOW + LIMIT);
    fold.tick(NOW + LIMIT);
    expect(fold.tick(NOW + 2 * LIMIT)).toEqual([]);
    expect(asking.nextDue?.(fold.state)).toBeUndefined();
    expect(fold.take(analyzed(event), 1)).toEqual([]);
  });

  it('does not take the failure of a later attempt for one of the analysis', () => {
    given(asking, [created('t', UNCLEAR)])
      .when(failed('t', 'analysis', true, 1))
      .thenNothing();
  });

  describe('of a task to be split', () => {
    const wish = { options: { decompose: true } };
    const event = created('t', CLEAR, wish);

    it('asks for a plan after the analysis, of the tier that it found', () => {
      given(asking, []).when(event).thenTypes(['dats.task.analyzed', 'dats.work.requested']);
      const unclear = created('t', UNCLEAR, wish);
      const [work] = given(asking, [unclear]).when(analyzed(unclear)).drafts;
      expect(work).toMatchObject({
        key: 't',
        data: { kind: 'decompose', tier: 'large', prompt_version: 'decompose@1', context: { created: 0 } },
      });
    });

    it('asks for none when it is a subtask itself', () => {
      given(asking, [])
        .when(created('t', CLEAR, { ...wish, parent_id: 'p' }))
        .thenTypes(['dats.task.analyzed']);
    });

    it('is done when the plan is there', () => {
      const outcome = given(asking, [event]).when(decomposed('t'));
      outcome.thenNothing();
      outcome.thenEntries({});
    });

    it('asks for the plan of the lists when planning failed for a reason that may pass', () => {
      const outcome = given(asking, [event]).when(failed('t', 'decomposition'));
      outcome.thenTypes(['dats.work.requested']);
      expect(version(outcome.drafts[0])).toBe('list@1');
    });

    it('says nothing when there is no plan: scheduling ends the task', () => {
      given(asking, [event])
        .when(failed('t', 'decomposition', false))
        .thenNothing();
    });

    it('ends in a failure for good when the lists failed too', () => {
      const outcome = given(asking, [event, failed('t', 'decomposition')]).when(failed('t', 'decomposition', true, 0, 'gave up again'));
      outcome.thenTypes(['dats.task.attempt.failed']);
      expect(failure(outcome.drafts[0])).toMatchObject({ code: 'no_plan', retryable: false });
    });

    it('goes on when no plan comes in time: first the lists, then a failure for good', () => {
      const fold = foldOf(asking);
      fold.take(event, 0);
      const first = fold.tick(NOW + LIMIT);
      expect(first.map(({ type }) => type)).toEqual(['dats.task.attempt.failed', 'dats.work.requested']);
      expect([failure(first[0])?.retryable, version(first[1])]).toEqual([true, 'list@1']);
      const second = fold.tick(NOW + 2 * LIMIT);
      expect(second.map(failure)).toMatchObject([{ code: 'plan_timeout', retryable: false }]);
      expect(fold.tick(NOW + 9 * LIMIT)).toEqual([]);
    });
  });

  it('forgets a task at its end', () => {
    const event = created('t', UNCLEAR, { options: { decompose: true } });
    for (const end of [completed('t'), eventOf('dats.task.cancelled', { task_id: 't', reason: 'r', by: 'b' })]) {
      const outcome = given(asking, [event]).when(end);
      outcome.thenNothing();
      outcome.thenEntries({});
      given(asking, [event, end]).when(analyzed(event)).thenNothing();
      given(asking, [event, end]).when(failed('t', 'analysis')).thenNothing();
      given(asking, [event, end])
        .whenTime(NOW + 10 * LIMIT)
        .thenNothing();
    }
  });
});

const TASKS = ['a', 'b', 'c'];
const historyArbitrary = fc.array(
  fc.tuple(fc.constantFrom(...TASKS), fc.integer({ min: 0, max: 8 }), fc.boolean()).map(([id, kind, flag]): DatsEvent => {
    const text = flag ? CLEAR : UNCLEAR;
    const plain = created(id, text);
    const split = created(id, text, { options: { decompose: true } });
    const events: readonly DatsEvent[] = [
      plain,
      split,
      analyzed(plain),
      failed(id, 'analysis'),
      failed(id, 'decomposition', flag),
      decomposed(id),
      completed(id),
      eventOf('dats.task.failed', { task_id: id, attempt: 0, error: { code: 'x', message: 'x', retryable: false } }),
      split,
    ];
    return events[kind]!;
  }),
  { maxLength: 25 },
);

describe('any history', () => {
  it('gives the same decisions and entries to a decider that was restored at every step', () => {
    fc.assert(
      fc.property(historyArbitrary, (history) => {
        const live = foldOf(asking);
        let entries = new Map<string, unknown>();
        history.forEach((event, offset) => {
          const restored = foldOf(asking, entries);
          expect(restored.take(event, offset)).toEqual(live.take(event, offset));
          entries = live.entries();
          expect([...restored.entries()]).toEqual([...entries]);
        });
        expect(foldOf(asking, entries).tick(NOW + LIMIT).length).toBe(live.tick(NOW + LIMIT).length);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves no task waiting for ever', () => {
    fc.assert(
      fc.property(historyArbitrary, (history) => {
        const fold = foldOf(asking);
        history.forEach((event, offset) => {
          fold.take(event, offset);
        });
        for (let step = 1; step <= 3; step++) fold.tick(NOW + step * 2 * LIMIT);
        for (const [, entry] of fold.entries()) expect(entry).toEqual({ phase: 'done' });
      }),
      { numRuns: 200 },
    );
  });

  it('says nothing when an event comes a second time', () => {
    fc.assert(
      fc.property(historyArbitrary, (history) => {
        const fold = foldOf(asking);
        const ended = new Set<string>();
        history.forEach((event, offset) => {
          const id = event.subject;
          if (ended.has(id)) return;
          fold.take(event, offset);
          if (event.type === 'dats.task.completed' || event.type === 'dats.task.failed') ended.add(id);
          // Nothing is kept of a task that nothing more is awaited for: see R3.
          if (event.type !== 'dats.task.created') expect(fold.take(structuredClone(event), offset)).toEqual([]);
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe('settings that change while it runs', () => {
  const byVersion = (askModelBelow: Readonly<Record<string, number>>) =>
    routingDecider(
      {
        now: () => ({ askModelBelow: 0, modelAvailable: true, answerLimitMs: LIMIT }),
        under: (version) => ({ askModelBelow: askModelBelow[version]!, modelAvailable: true, answerLimitMs: LIMIT }),
      },
      () => ({ generate: 'g', analyse: 'analyse@1.4', decompose: 'd' }),
    );

  it('have a model asked as they were when the task was submitted, with the prompt that holds now', () => {
    const decider = byVersion({ old: 0.5, new: 0 });
    const state = decider.initialState();
    const said = ['old', 'new'].map((configversion, offset) => {
      const event = { ...created(configversion, UNCLEAR), configversion };
      decider.evolve(state, event, offset);
      return decider.decide(state, event, offset)[0];
    });
    expect(said.map((draft) => draft?.type)).toEqual(['dats.work.requested', 'dats.task.analyzed']);
    expect(version(said[0])).toBe('analyse@1.4');
  });
});
