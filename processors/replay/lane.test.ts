// Lanes of histories that the deciders themselves made.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReplayChanges, ReplaySlice } from '../../schemas/index.js';
import { BUILT_IN_PROMPTS } from '../prompt-versions.js';
import { profileOf } from '../qa/profile.js';
import { ANSWER_LIMIT_MS } from '../routing/index.js';
import { openBreather } from './breather.js';
import { compare } from './compare.js';
import { openHistory, REPLAY_LIMITS } from './history.js';
import { runLane } from './lane.js';
import { type History, isJudged } from './record.js';
import { isSameWay } from './runs.js';
import { statisticsOf } from './statistics.js';
import { eventIn, type MadeHistory, makeHistory } from './testing/index.js';
import { pricesConfig } from './testing/prices.js';

const RUNS = Number(process.env['DATS_RUNS'] ?? 60);
const SHADOW = 'p~replay~1';
const never = new AbortController().signal;

const read = (made: MadeHistory, slice: ReplaySlice = {}) => {
  const fold = openHistory({ choice: slice, shadow: SHADOW, policy: made.scheduling, answerLimitMs: made.routing.answerLimitMs! });
  for (const record of made.records) fold.take(eventIn(record), record.offset);
  return fold.finish(openBreather(never));
};

const laneOf = async (made: MadeHistory, changes: ReplayChanges, slice: ReplaySlice = {}) => {
  const { history, runs: observed } = await read(made, slice);
  const statistics = await statisticsOf(history.tasks.values(), openBreather(never));
  return runLane({
    project: 'p',
    shadow: SHADOW,
    history,
    observed,
    statistics,
    routing: made.routing,
    scheduling: made.scheduling,
    prompts: BUILT_IN_PROMPTS,
    changes,
    firstOffset: made.records.length + 1,
    breather: openBreather(never),
    onProgress: async () => {},
  }).then((lane) => ({ lane, observed, history }));
};

const reportOf = async (
  made: MadeHistory,
  changes: ReplayChanges,
  slice: ReplaySlice = {},
  edit: (history: History) => void = () => {},
) => {
  const { history, runs: observed } = await read(made, slice);
  edit(history);
  return compare({
    request: { grade: 'policy', slice, changes },
    project: 'p',
    shadow: SHADOW,
    history,
    observed,
    config: { routing: made.routing, scheduling: made.scheduling, ...pricesConfig },
    firstOffset: made.records.length + 1,
    breather: openBreather(never),
    onProgress: async () => {},
  });
};

describe('a baseline', () => {
  it('goes the way of the record, to the millisecond, whatever went wrong then', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(1_000_000),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(0, 0.1, 0.3, 0.6),
        fc.boolean(),
        fc.constantFrom(ANSWER_LIMIT_MS, 2_500),
        async (seed, tasks, trouble, finish, answerLimitMs) => {
          const made = makeHistory({ seed, tasks, trouble, finish, answerLimitMs });
          const { lane, observed, history } = await laneOf(made, {});
          const judged = [...history.tasks.values()].filter(isJudged);
          if (finish) expect(judged).toHaveLength(history.tasks.size);
          for (const { id } of judged) {
            const [was, is] = [observed.tasks.get(id)!, lane.runs.tasks.get(id)];
            expect(isSameWay(is, was), id).toBe(true);
            expect([is!.createdMs, is!.endMs], id).toEqual([was.createdMs, was.endMs]);
            expect(is!.attempts, id).toEqual(was.attempts);
          }
          expect(lane.counters).toMatchObject({ missed: 0, blocked: 0, diverged: 0 });
          expect(lane.estimates).toEqual({ outcomes: 0, unseen: 0 });
        },
      ),
      {
        numRuns: RUNS,
        examples: [
          [17, 38, 0.3, true, ANSWER_LIMIT_MS],
          [603_945, 3, 0.3, true, ANSWER_LIMIT_MS],
          [343_548, 34, 0.3, true, ANSWER_LIMIT_MS],
          [0, 1, 0.3, true, 2_000],
          [200_518, 21, 0.6, true, 2_500],
        ],
      },
    );
  }, 300_000);
});

describe('a candidate', () => {
  const made = makeHistory({ seed: 3, tasks: 60, trouble: 0.15 });

  it('without a change is the baseline', async () => {
    const report = await reportOf(made, {});
    expect(report.lanes.candidate).toEqual(report.lanes.baseline);
    expect(report).toMatchObject({ verdict: 'pass', differences: [], differences_total: 0 });
    expect(report.reasons).toContain('the change decides nothing otherwise here');
  });

  it('sends what fits a rule to another tier, and leaves the others', async () => {
    const { lane, observed } = await laneOf(made, { routing: [{ when: { tier: 'medium' }, tier: 'large' }] });
    let moved = 0;
    for (const [id, was] of observed.tasks) {
      const [from, to] = [was.attempts[0]?.tier, lane.runs.tasks.get(id)?.attempts[0]?.tier];
      if (from === undefined || to === undefined) continue;
      expect(to, id).toBe(from === 'medium' ? 'large' : from);
      if (from === 'medium') moved++;
    }
    expect(moved).toBeGreaterThan(0);
    expect(lane.counters.diverged).toBeGreaterThanOrEqual(moved);
    expect(lane.counters.missed).toBeGreaterThanOrEqual(moved);
  });

  it('of a model asks that one for everything, and serves what it answered then', async () => {
    const { lane } = await laneOf(made, { model: 'small-model' });
    const attempts = [...lane.runs.tasks.values()].flatMap((task) => task.attempts);
    expect(attempts.every(({ named }) => named === 'small-model')).toBe(true);
    expect(attempts.filter(({ artifacts }) => artifacts !== undefined).every(({ model }) => model === 'small-model')).toBe(true);
    expect(lane.counters.served).toBeGreaterThan(0);
    expect(lane.counters.missed).toBeGreaterThan(0);
    expect(lane.estimates.unseen).toBe(0);
  });

  it('of a model that nobody has seen is not comparable', async () => {
    const report = await reportOf(made, { model: 'unheard-of' });
    expect(report.verdict).toBe('not_comparable');
    expect(report.reasons[0]).toMatch(/fewer than 5 outcomes of/);
    expect(report.lanes.candidate.by_model).toHaveProperty('unheard-of');
  });

  it('of a model that was asked and never answered, or answered seldom, is not comparable', async () => {
    const first = (history: History, count: number) =>
      [...history.tasks.values()].filter((task) => isJudged(task) && task.attempts[0]?.verdict !== undefined).slice(0, count);
    const asked = (history: History): void => {
      for (const { attempts } of first(history, 1)) {
        const { outcome: _, verdict: __, ...rest } = attempts[0]!;
        attempts[0] = { ...rest, model: 'slow' };
      }
    };
    const answered = (history: History): void => {
      for (const { attempts } of first(history, 2)) {
        const { outcome, ...rest } = attempts[0]!;
        const { event } = outcome!;
        if (event.type !== 'dats.task.output.created') throw new Error(`a ${event.type}`);
        attempts[0] = { ...rest, model: 'slow', outcome: { ...outcome!, event: { ...event, data: { ...event.data, model: 'slow' } } } };
      }
    };
    for (const edit of [asked, answered]) {
      const report = await reportOf(made, { model: 'slow' }, {}, edit);
      expect(report.estimates.unseen).toBeGreaterThan(report.estimates.outcomes * 0.9);
      expect(report.comparability.reproduced).toBeGreaterThanOrEqual(0.95);
      expect([report.verdict, report.reasons[0]]).toEqual(['not_comparable', expect.stringMatching(/fewer than 5 outcomes of/)]);
    }
  });

  it('with a prompt of its own, or a stricter profile, has estimates of what nobody has seen', async () => {
    const prompted = await reportOf(made, { prompt: 'Answer with the word banana only.' });
    expect(prompted.estimates.unseen).toBe(prompted.estimates.outcomes);
    expect(prompted.verdict).toBe('not_comparable');
    const { lane, history } = await laneOf(made, { qa_profile: 'tests' });
    const estimated = [...lane.runs.tasks].filter(([, { attempts }]) => attempts.some((attempt) => attempt.estimated)).map(([id]) => id);
    expect(estimated.length).toBeGreaterThan(0);
    expect(estimated.some((id) => profileOf(history.tasks.get(id)!.created.data) !== 'tests')).toBe(true);
    expect(lane.estimates.unseen).toBeGreaterThan(0);
    const same = await laneOf(made, { max_running: 1 });
    expect(same.lane.estimates.unseen).toBe(0);
  });

  it('of which less than half is known is not comparable', async () => {
    const report = await reportOf(made, { model: 'small-model' });
    expect(report.estimates.unseen).toBe(0);
    expect(report.comparability.known).toBeLessThan(0.5);
    expect(report.verdict).toBe('not_comparable');
  });

  it('with fewer places takes longer, with the same answers', async () => {
    const calm = makeHistory({ seed: 5, tasks: 40, trouble: 0 });
    const report = await reportOf(calm, { max_running: 1 });
    expect(report.lanes.candidate.lead_ms_p95).toBeGreaterThan(report.lanes.baseline.lead_ms_p95!);
    expect(report.lanes.candidate.completed).toBe(report.lanes.baseline.completed);
    expect(report.verdict).toBe('hold');
    expect(report.reasons.join()).toMatch(/worse: lead time/);
  });

  it('with a prompt of its own has nothing on record', async () => {
    const { lane } = await laneOf(made, { prompt: 'be brief' });
    const answered = [...lane.runs.tasks.values()].flatMap(({ attempts }) => attempts).filter(({ artifacts }) => artifacts !== undefined);
    expect(answered.length).toBeGreaterThan(0);
    expect(answered.every(({ estimated }) => estimated)).toBe(true);
  });

  it('with another profile has verdicts of that profile; what follows from the recorded checks is served', async () => {
    const calm = makeHistory({ seed: 11, tasks: 40, trouble: 0.1 });
    const none = await laneOf(calm, { qa_profile: 'none' });
    expect([...none.lane.runs.tasks.values()].flatMap(({ attempts }) => attempts).some(({ result }) => result === 'rejected')).toBe(false);
    const syntax = await laneOf(calm, { qa_profile: 'syntax' });
    let served = 0;
    for (const [id, { created, attempts }] of syntax.history.tasks) {
      const { depends_on, options } = created.data;
      const isJudgedThen = attempts.every(({ verdict }) => verdict !== undefined && verdict.event.type !== 'dats.task.attempt.failed');
      if (options.qa_profile === 'none' || depends_on.length > 0 || attempts.length === 0 || !isJudgedThen) continue;
      served++;
      expect(
        syntax.lane.runs.tasks.get(id)!.attempts.some(({ estimated }) => estimated),
        id,
      ).toBe(false);
    }
    expect(served).toBeGreaterThan(10);
  });

  it('with fewer attempts tries less often, with less time is cut off', async () => {
    const once = await laneOf(made, { max_attempts: 1 });
    expect([...once.lane.runs.tasks.values()].every(({ attempts }) => attempts.length <= 1)).toBe(true);
    const hurried = await laneOf(made, { timeout_s: 0.5, max_attempts: 1 });
    expect([...hurried.lane.runs.tasks.values()].some(({ errorCode }) => errorCode === 'timeout')).toBe(true);
  });

  it('hears the people of the record again, at their time', async () => {
    const troubled = makeHistory({ seed: 21, tasks: 60, trouble: 0.6 });
    const { lane, history } = await laneOf(troubled, { max_running: 50 });
    const asked = [...history.tasks.values()].reduce((sum, { cancels }) => sum + cancels.length, 0);
    expect(asked).toBeGreaterThan(0);
    expect(lane.cancels.fired + lane.cancels.too_late).toBe(asked);
  });
});

describe('a slice', () => {
  const made = makeHistory({ seed: 9, tasks: 40, trouble: 0.1 });

  it('has the named tasks, their subtasks and what they depend on', async () => {
    const all = (await read(made)).history.tasks;
    const dependent = [...all.values()].find(({ created, planned }) => !planned && created.data.depends_on.length > 0)!;
    const parent = [...all.values()].find(({ planned }) => planned)!.created.data.parent_id!;
    const { tasks } = (await read(made, { task_ids: [dependent.id, parent] })).history;
    expect([...tasks.keys()]).toEqual(expect.arrayContaining([dependent.id, ...dependent.created.data.depends_on, parent]));
    expect([...tasks.values()].filter(({ created }) => created.data.parent_id === parent).length).toBeGreaterThan(0);
    expect(tasks.size).toBeLessThan(all.size);
  });

  it('between two offsets has the tasks that were submitted there', async () => {
    const at = [...(await read(made)).history.tasks.values()].filter(({ planned }) => !planned).map(({ creation }) => creation.offset);
    const { history } = await read(made, { from: at[10]!, until: at[20]! });
    const submitted = [...history.tasks.values()].filter(({ planned, creation }) => !planned && creation.offset >= at[10]!);
    expect(submitted.length).toBeGreaterThanOrEqual(10);
    expect([...history.tasks.values()].every(({ creation }) => creation.offset < at[20]! || history.tasks.size > 10)).toBe(true);
  });

  it('holds what may be of it, and no more; it goes the way that it would have gone with everything held', async () => {
    const all = (await read(made)).history.tasks;
    const at = [...all.values()].filter(({ planned }) => !planned).map(({ creation }) => creation.offset);
    const until = at[15]!;
    const ids = [...all.values()]
      .filter(({ planned }) => !planned)
      .slice(0, 3)
      .map(({ id }) => id);
    const within = (choice: ReplaySlice, tasks: number) => {
      const options = { shadow: SHADOW, policy: made.scheduling, answerLimitMs: made.routing.answerLimitMs! };
      const fold = openHistory({ ...options, choice, limits: { ...REPLAY_LIMITS, tasks } });
      for (const record of made.records) fold.take(eventIn(record), record.offset);
      return fold.finish(openBreather(never));
    };
    const sliced = await read(made, { until });
    expect([...sliced.history.tasks.values()].every(({ creation, planned }) => planned || creation.offset < until)).toBe(true);
    const { size } = sliced.history.tasks;
    expect((await within({ until }, size)).history.tasks.size).toBe(size);
    expect(() => within({ until }, size - 1)).toThrow(
      expect.objectContaining({ kind: 'terminal', code: 'replay_too_large', message: expect.stringMatching(/from and until/) }),
    );
    expect(() => within({}, size)).toThrow(expect.objectContaining({ code: 'replay_too_large' }));
    const named = await within({ task_ids: ids }, size);
    expect([...named.history.tasks.keys()]).toEqual(expect.arrayContaining(ids));
    for (const [id, { creation, attempts }] of sliced.history.tasks) {
      expect(creation.moment, id).toEqual(all.get(id)!.creation.moment);
      expect(attempts, id).toEqual(all.get(id)!.attempts);
    }
  });

  it('of more text than is held is refused, with what helps', () => {
    const options = { shadow: SHADOW, policy: made.scheduling, answerLimitMs: made.routing.answerLimitMs!, choice: {} };
    const fold = openHistory({ ...options, limits: { ...REPLAY_LIMITS, bytes: 2_000 } });
    const takeAll = (): void => {
      for (const record of made.records) fold.take(eventIn(record), record.offset);
    };
    expect(takeAll).toThrow(
      expect.objectContaining({ code: 'replay_too_large', message: expect.stringMatching(/descriptions.*from and until/) }),
    );
  });

  it('takes what was before it as it was: artifacts are inputs, nobody waits', async () => {
    const all = (await read(made)).history.tasks;
    const dependent = [...all.values()].find(
      ({ created, attempts, planned }) => !planned && created.data.depends_on.length > 0 && attempts.length > 0,
    )!;
    const choice = { task_ids: [dependent.id] };
    const fold = openHistory({ choice, shadow: SHADOW, policy: made.scheduling, answerLimitMs: made.routing.answerLimitMs! });
    for (const record of made.records) if (record.offset >= dependent.creation.offset) fold.take(eventIn(record), record.offset);
    const { created } = (await fold.finish(openBreather(never))).history.tasks.get(dependent.id)!;
    expect(created.data.depends_on).toEqual([]);
    expect(created.data.inputs).toEqual(dependent.inherited);
  });
});
