// The effect over a log: what it says, once; what it touches: nothing else.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type DataOf,
  type DatsEvent,
  derivedId,
  type EventOf,
  Fault,
  LIFECYCLE,
  partitionOf,
  projectIdSchema,
  type ReplayReport,
  replayReportSchema,
} from '../../schemas/index.js';
import { type Log, outgoing } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { loadText } from '../content.js';
import { type Draft, say } from '../draft.js';
import type { Effect, EffectContext, EffectPorts } from '../effect.js';
import { generateEffect } from '../generation/index.js';
import type { Spending, SpendingAnswer, SpendingRequest, Spent } from '../quota/index.js';
import {
  effectContextOf,
  eventOf,
  type MemoryArtifactStore,
  memoryArtifactStore,
  modelsThat,
  type RecordedContext,
} from '../testing/index.js';
import { replayEffect, shadowOf } from './effect.js';
import { eventIn, type MadeHistory, makeHistory } from './testing/index.js';
import { pricesConfig } from './testing/prices.js';

type Request = DataOf<'dats.replay.requested'>;
const REQUEST: Request = {
  replay_id: 'r1',
  grade: 'policy',
  slice: {},
  changes: { routing: [{ when: { tier: 'small' }, tier: 'large' }] },
  max_calls: 0,
  reason: 'what if',
  by: 'somebody',
};

const never: Effect = { name: 'never', kinds: [], run: () => Promise.reject(new Error('nothing is made here')) };
let log: Log;
let artifacts: MemoryArtifactStore;
let made: MadeHistory;

const open = async (history: MadeHistory): Promise<void> => {
  log = openMemoryLog({ partitions: 2 });
  artifacts = memoryArtifactStore();
  made = history;
  for (const record of made.records) await log.append([outgoing(LIFECYCLE, eventIn(record))]);
};
beforeEach(() => open(makeHistory({ seed: 7, tasks: 25, trouble: 0.2 })));
afterEach(() => log.close());

/** A log that can be read; what is appended to it is a failure of the test. */
const readOnly = (of: Log): Log => ({
  ...of,
  partitions: (topic) => of.partitions(topic),
  read: (...given) => of.read(...given),
  get: (position) => of.get(position),
  range: (...given) => of.range(...given),
  append: () => Promise.reject(new Error('a replay appended something')),
  join: () => Promise.reject(new Error('a replay joined a group')),
});

const workOf = (replay_id: string): EventOf<'dats.work.requested'> =>
  eventOf(
    'dats.work.requested',
    {
      task_id: replay_id,
      kind: 'replay',
      attempt: 0,
      tier: 'small',
      domain: 'general',
      prompt_version: 'replay@1',
      context: { created: made.records.length, inputs: [] },
      due: '2026-12-01T00:00:00.000Z',
      replay_id,
    },
    { projectid: 'p' },
  );

/** A context as the host gives it: the project's events from the log, and what is emitted in it. */
const contextOf = (changes: Partial<EffectContext> = {}): RecordedContext =>
  effectContextOf(
    {},
    {
      eventAt: async (offset) => {
        const record = await log.get({ topic: LIFECYCLE, partition: partitionOf('p', 2), offset });
        if (record === undefined) throw new Fault('terminal', 'event_missing', `nothing stands at ${offset}`);
        return eventIn(record);
      },
      ...changes,
    },
  );
const emitting = (): RecordedContext => {
  const emitted: Draft[] = [];
  const emit = async (drafts: readonly Draft[]): Promise<void> => {
    emitted.push(...drafts);
    for (const { data, id } of drafts)
      await log.append([outgoing(LIFECYCLE, eventOf('dats.replay.progressed', data as never, { projectid: 'p', id: id! }))]);
  };
  return { ...contextOf({ emit }), emitted };
};

const ask = (request: Request) => log.append([outgoing(LIFECYCLE, eventOf('dats.replay.requested', request, { projectid: 'p' }))]);
const effectWith = (effects: { generate?: Effect; check?: Effect } = {}): Effect =>
  replayEffect({
    log: readOnly(log),
    config: () => ({ routing: made.routing, scheduling: made.scheduling, ...pricesConfig }),
    generate: effects.generate ?? never,
    check: effects.check ?? never,
  });
const ports = (models = modelsThat(() => Promise.reject(new Error('a model was asked')))): EffectPorts => ({
  models,
  artifacts,
  checks: undefined as never,
});

const dataOf = (drafts: readonly Draft[]): DataOf<'dats.replay.completed'> => {
  expect(drafts.map(({ type }) => type)).toEqual(['dats.replay.completed']);
  return drafts[0]!.data as DataOf<'dats.replay.completed'>;
};
const reportIn = async (drafts: readonly Draft[]): Promise<ReplayReport> =>
  replayReportSchema.parse(JSON.parse(await loadText(artifacts, dataOf(drafts).report)));

describe('a replay', () => {
  it('reproduces the history in its baseline, decides otherwise in its candidate, and calls no model', async () => {
    await ask(REQUEST);
    const report = await reportIn(await effectWith().run(workOf('r1'), ports(), contextOf()));
    expect(report.lanes.baseline).toEqual(report.lanes.observed);
    expect(report.counters.baseline).toMatchObject({ missed: 0, blocked: 0, diverged: 0 });
    expect(report.comparability.reproduced).toBe(1);
    expect(report.lanes.observed.by_tier.small!.attempts).toBeGreaterThan(0);
    expect(report.counters.candidate.diverged).toBeGreaterThan(0);
    expect(report.counters.candidate.missed).toBeGreaterThan(0);
    expect(report.lanes.candidate.by_tier.small).toBeUndefined();
    expect(report.differences.some(({ tier }) => tier?.from === 'small' && tier.to === 'large')).toBe(true);
  });

  it('gives the same bytes for the same request on the same history', async () => {
    await ask(REQUEST);
    const once = dataOf(await effectWith().run(workOf('r1'), ports(), contextOf()));
    const again = dataOf(await effectWith().run(workOf('r1'), ports(), contextOf()));
    expect(again.report).toEqual(once.report);
  });

  it('says of everything else nothing: only replay events, of a project that no lane is', async () => {
    await ask(REQUEST);
    const context = contextOf();
    const drafts = await effectWith().run(workOf('r1'), ports(), context);
    const types = new Set([...context.emitted, ...drafts].map(({ type }) => type));
    expect([...types].sort()).toEqual(['dats.replay.completed', 'dats.replay.progressed']);
    expect([...context.emitted, ...drafts].every(({ topic, chain }) => topic === LIFECYCLE && chain === undefined)).toBe(true);
    expect(context.emitted.length).toBeLessThanOrEqual(22);
    expect(projectIdSchema.safeParse(shadowOf('p', 'r1')).success).toBe(false);
    expect((await log.range(LIFECYCLE, 0)).end + (await log.range(LIFECYCLE, 1)).end).toBe(made.records.length + 1);
  });

  it('that was cut off says the same once, and what was said already not at all', async () => {
    await ask(REQUEST);
    const first = contextOf();
    const drafts = await effectWith().run(workOf('r1'), ports(), first);
    const said = first.emitted.map((draft) => eventOf('dats.replay.progressed', draft.data as never, { projectid: 'p', id: draft.id! }));
    await log.append(said.map((event) => outgoing(LIFECYCLE, event)));
    const second = contextOf();
    const repeated = await effectWith().run(workOf('r1'), ports(), second);
    expect(repeated.map(({ id }) => id)).toEqual(drafts.map(({ id }) => id));
    const ids = new Set(first.emitted.map(({ id }) => id));
    expect(second.emitted.filter(({ id }) => ids.has(id))).toEqual([]);
    await log.append([outgoing(LIFECYCLE, eventOf('dats.replay.completed', dataOf(drafts), { projectid: 'p', id: drafts[0]!.id! }))]);
    const third = contextOf();
    expect(await effectWith().run(workOf('r1'), ports(), third)).toEqual([]);
    expect(third.emitted).toEqual([]);
  });

  it('stops when it is told to, with the reason', async () => {
    await ask(REQUEST);
    const stop = new AbortController();
    const reason = new Error('enough');
    const emit = async (): Promise<void> => stop.abort(reason);
    await expect(effectWith().run(workOf('r1'), ports(), contextOf({ signal: stop.signal, emit }))).rejects.toBe(reason);
  });

  it('that nobody asked for is given up, and says so', async () => {
    const effect = effectWith();
    const work = workOf('r9');
    await expect(effect.run(work, ports(), contextOf())).rejects.toMatchObject({ kind: 'retryable', code: 'replay_missing' });
    const fault = await effect.run(work, ports(), contextOf()).catch((error: unknown) => error);
    expect(effect.givenUp!(work, fault as never)).toEqual([
      say(
        'dats.replay.failed',
        'r9',
        { replay_id: 'r9', error: { code: 'replay_missing', message: expect.any(String) as never, retryable: true } },
        derivedId('r9', 'outcome'),
      ),
    ]);
  });
});

describe('a log', () => {
  it('with a record of a replay that is none is read past it', async () => {
    await ask(REQUEST);
    const headers = { type: 'dats.replay.progressed', id: 'z', projectid: 'p', source: '/x', specversion: '1.0' };
    await log.append([{ topic: LIFECYCLE, key: 'p', headers, value: 'no json' }]);
    expect(dataOf(await effectWith().run(workOf('r1'), ports(), contextOf())).replay_id).toBe('r1');
  });

  it('is read by the project of its events, whatever their keys', async () => {
    const partition = partitionOf('p', 2);
    const stranger = ['a', 'b', 'c', 'd', 'e'].find((key) => partitionOf(key, 2) === partition)!;
    await log.append([
      outgoing(LIFECYCLE, eventOf('dats.replay.requested', { ...REQUEST, replay_id: 'r2' }, { projectid: 'p' }), stranger),
    ]);
    expect(dataOf(await effectWith().run(workOf('r2'), ports(), contextOf())).replay_id).toBe('r2');
    const foreign = eventOf('dats.replay.requested', { ...REQUEST, replay_id: 'r3' }, { projectid: stranger });
    await log.append([outgoing(LIFECYCLE, foreign, 'p')]);
    await expect(effectWith().run(workOf('r3'), ports(), contextOf())).rejects.toMatchObject({ code: 'replay_missing' });
  });

  it('with two requests of one replay leads to one run: of the work item that came with the first', async () => {
    const [first, second] = ['q1', 'q2'].map((id) => eventOf('dats.replay.requested', REQUEST, { projectid: 'p', id }));
    await log.append([first!, second!].map((event) => outgoing(LIFECYCLE, event)));
    const workAfter = ({ id }: DatsEvent) => ({ ...workOf('r1'), causationid: id });
    const context = contextOf();
    expect(await effectWith().run(workAfter(second!), ports(), context)).toEqual([]);
    expect(context.emitted).toEqual([]);
    expect(dataOf(await effectWith().run(workAfter(first!), ports(), contextOf())).replay_id).toBe('r1');
  });
});

describe('grade "generation"', () => {
  const output = (work: EventOf<'dats.work.requested'>): Draft => {
    const { task_id, attempt } = work.data;
    const artifact = {
      artifact_id: derivedId(task_id, attempt, 'x'),
      type: 'text',
      path: 'x.txt',
      sha256: 'f'.repeat(64),
      bytes: 1,
      content: 'x',
    } as const;
    return say('dats.task.output.created', task_id, {
      task_id,
      attempt,
      artifacts: [artifact],
      model: 'large-model',
      provider: 'p',
      scripted: false,
      tokens_in: 10,
      tokens_out: 20,
      duration_ms: 30,
      prompt_version: 'generate@1',
      prompt_sha256: '',
      sampling: {},
      consumed: [],
      omitted: [],
      fence: '1',
    });
  };
  const generate: Effect = {
    name: 'generate',
    kinds: ['generate'],
    run: async (work, { models }, context) => {
      await models.ask(
        {
          messages: [{ role: 'system', content: 's' }],
          purpose: 'generate',
          tier: work.data.tier,
          domain: 'code',
          task_id: work.data.task_id,
        },
        context.signal,
      );
      expect((await context.eventAt(work.data.context.created)).projectid).toBe(shadowOf('p', 'r1'));
      return [
        say('dats.task.started', work.data.task_id, {
          task_id: work.data.task_id,
          attempt: work.data.attempt,
          node: 'n',
          worker: 'w',
          fence: '1',
        }),
        output(work),
      ];
    },
  };
  const check: Effect = {
    name: 'check',
    kinds: ['check'],
    run: async ({ data: { task_id, attempt } }, _ports, context) => {
      expect(context.signal.aborted).toBe(false);
      return [say('dats.task.validated', task_id, { task_id, attempt, profile: 'syntax', checks: [], score: 1 })];
    },
  };

  it('asks models for what is not on record, up to its budget, in the name of the replay and with the changed prompt', async () => {
    await ask({ ...REQUEST, grade: 'generation', max_calls: 5, changes: { ...REQUEST.changes, prompt: 'be brief' } });
    const models = modelsThat(() => 'text');
    const report = await reportIn(await effectWith({ generate, check }).run(workOf('r1'), ports(models), contextOf()));
    expect(models.asked).toHaveLength(5);
    expect(new Set(models.asked.map(({ task_id }) => task_id))).toEqual(new Set(['r1']));
    expect(models.asked[0]!.messages[0]!.content).toBe('be brief');
    expect(report.counters.candidate.blocked).toBeGreaterThan(0);
    expect(report.verdict).toBe('not_comparable');
    expect(report.reasons.join()).toMatch(/max_calls/);
  });

  it('with budget enough knows every answer', async () => {
    await ask({ ...REQUEST, grade: 'generation', max_calls: 10_000 });
    const report = await reportIn(await effectWith({ generate, check }).run(workOf('r1'), ports(modelsThat(() => 'text')), contextOf()));
    expect(report.counters.candidate.blocked).toBe(0);
    expect(report.counters.candidate.missed).toBeGreaterThan(0);
    expect(report.lanes.candidate.by_model['large-model']!.attempts).toBeGreaterThan(0);
  });

  it('runs the very effects of the pipeline: their prompts, their files', async () => {
    await ask({ ...REQUEST, grade: 'generation', max_calls: 10_000 });
    const models = modelsThat(() => ({ text: '```python path=made.py\nx = 1\n```', model: 'large-model' }));
    const report = await reportIn(await effectWith({ generate: generateEffect(), check }).run(workOf('r1'), ports(models), contextOf()));
    expect(models.asked.length).toBeGreaterThan(0);
    expect(models.asked.length).toBeLessThanOrEqual(report.counters.candidate.missed);
    expect(models.asked[0]!.messages.at(-1)!.content).toMatch(/^# Task/);
    expect(report.differences.some(({ artifacts }) => artifacts === 'different')).toBe(true);
    expect(report.lanes.candidate.by_model['large-model']!.passed).toBeGreaterThan(0);
  });

  it('makes no more calls than its budget over all its runs, and says them before they are made', async () => {
    await ask({ ...REQUEST, grade: 'generation', max_calls: 25 });
    const asked: number[] = [];
    const models = modelsThat(() => 'text');
    const away = () => Promise.reject(new Fault('retryable', 'store_away', 'the store is away'));
    let told = 0;
    for (let run = 0; run < 5; run++) {
      const context = emitting();
      const diesAfter = run < 4 ? models.asked.length + 3 : Number.POSITIVE_INFINITY;
      const dying: Effect = {
        ...generate,
        run: (work, given, at) => {
          for (const { data } of context.emitted) told = Math.max(told, (data as DataOf<'dats.replay.progressed'>).calls ?? 0);
          if (models.asked.length >= diesAfter) return away();
          expect(models.asked.length).toBeLessThan(told);
          return generate.run(work, given, at);
        },
      };
      await effectWith({ generate: dying, check })
        .run(workOf('r1'), ports(models), context)
        .catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'store_away' });
        });
      asked.push(models.asked.length);
    }
    expect(models.asked.length).toBeGreaterThan(3);
    expect(models.asked.length).toBeLessThanOrEqual(25);
    expect(told).toBe(25);
    const before = models.asked.length;
    const report = await reportIn(await effectWith({ generate, check }).run(workOf('r1'), ports(models), contextOf()));
    expect(models.asked.length).toBe(before);
    expect(report.counters.candidate.blocked).toBeGreaterThan(0);
  });

  it('stops the calls of an instant where one of them fails for infrastructure', async () => {
    await log.close();
    await open(makeHistory({ seed: 7, tasks: 25, trouble: 0, everyMs: 0, scheduling: { max_running_per_project: 100 } }));
    await ask({ ...REQUEST, grade: 'generation', changes: { model: 'other' }, max_calls: 1_000 });
    const broken = new Fault('retryable', 'log_unavailable', 'the log is away');
    let begun = 0;
    const stopped: unknown[] = [];
    const flaky: Effect = {
      ...generate,
      run: async (_work, _ports, { signal }) => {
        if (++begun === 2) throw broken;
        await new Promise((_, reject) => {
          const stop = (): void => {
            stopped.push(signal.reason);
            reject(signal.reason);
          };
          if (signal.aborted) stop();
          else signal.addEventListener('abort', stop, { once: true });
        });
        return [];
      },
    };
    await expect(effectWith({ generate: flaky, check }).run(workOf('r1'), ports(), contextOf())).rejects.toBe(broken);
    expect(begun).toBeGreaterThan(1);
    expect(stopped).toEqual(Array(begun - 1).fill(broken));
  });

  it('waits for a log that is away as the host does, and ends by a fault that would end a node', async () => {
    await ask({ ...REQUEST, grade: 'generation', max_calls: 1_000 });
    const broken: Effect = { ...generate, run: () => Promise.reject(new Fault('fatal', 'disk_full', 'no room')) };
    await expect(effectWith({ generate: broken, check }).run(workOf('r1'), ports(), contextOf())).rejects.toMatchObject({
      kind: 'terminal',
      code: 'disk_full',
    });
    const withoutGet = { ...readOnly(log), get: () => Promise.reject(new Fault('retryable', 'log_unavailable', 'away')) };
    const config = { routing: made.routing, scheduling: made.scheduling, ...pricesConfig };
    const models = modelsThat(() => ({ text: '```python path=made.py\nx = 1\n```', model: 'large-model' }));
    const effect = replayEffect({ log: withoutGet, config: () => config, generate: generateEffect(), check });
    expect((await reportIn(await effect.run(workOf('r1'), ports(models), contextOf()))).counters.candidate.missed).toBeGreaterThan(0);
  });

  it('asks nothing that would be made from an estimated output, which has no contents', async () => {
    await log.close();
    // A history in which an attempt that was cut off is answered in the candidate lane, by an estimate that is rejected.
    await open(makeHistory({ seed: 18, tasks: 25, trouble: 0.6 }));
    await ask({ ...REQUEST, grade: 'generation', max_calls: 10_000, changes: { timeout_s: 80_000 } });
    const models = modelsThat(() => ({ text: '```python path=made.py\nx = 1\n```', model: 'large-model' }));
    const rejecting: Effect = {
      ...check,
      run: async ({ data: { task_id, attempt } }) => {
        const data = { task_id, attempt, profile: 'syntax' as const, checks: [], score: 0, reasons: ['no'], retryable: true };
        return [say('dats.task.rejected', task_id, data)];
      },
    };
    const effect = effectWith({ generate: generateEffect(), check: rejecting });
    const report = await reportIn(await effect.run(workOf('r1'), ports(models), contextOf()));
    expect(report.counters.candidate.blocked).toBe(0);
    expect(report.estimates.outcomes).toBeGreaterThan(0);
  });

  describe('under budgets', () => {
    type Answer = (n: number) => SpendingAnswer | Fault;
    const blocked = (retry_at?: string) => ({
      subject: { kind: 'agent', id: 'replay' } as const,
      limit: 'tokens_total' as const,
      asked: 1,
      used: 1,
      allowed: 1,
      ...(retry_at === undefined ? {} : { retry_at }),
    });
    const no = (retryAfterMs?: number): SpendingAnswer => ({
      ok: false,
      blocked: blocked(retryAfterMs === undefined ? undefined : '2026-01-01T00:00:00.000Z'),
      message: 'no',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
    const openLedger = (answer: Answer) => {
      const asked: SpendingRequest[] = [];
      const settled: Spent[] = [];
      const spending: Spending = {
        price: () => 0,
        close: async () => {},
        reserve: async (request) => {
          asked.push(request);
          const said = answer(asked.length);
          if (said instanceof Fault) throw said;
          return said;
        },
      };
      return { asked, settled, spending };
    };
    const granting = () => {
      const ledger = openLedger(() => ({
        ok: true,
        reserved: { tokens: 50_000 },
        settle: async (used) => void ledger.settled.push(used),
      }));
      return ledger;
    };
    const answering = () =>
      modelsThat((asked) => {
        asked.onCall?.({ model: 'm', provider: 'p', outcome: 'ok', input_tokens: 10, output_tokens: 20, duration_ms: 1 });
        return { text: '```python path=made.py\nx = 1\n```', model: 'large-model' };
      });
    const replay = async (models: ReturnType<typeof modelsThat>, spending: Spending) => {
      await ask({ ...REQUEST, grade: 'generation', max_calls: 10_000 });
      const effect = effectWith({ generate: generateEffect(), check });
      return reportIn(await effect.run(workOf('r1'), { ...ports(models), spending }, contextOf()));
    };

    it('sets aside and settles every question, on the account of the project, of who asked and of the agent', async () => {
      const models = answering();
      const { asked, settled, spending } = granting();
      const report = await replay(models, spending);
      expect(report.counters.candidate.blocked).toBe(0);
      expect(models.asked.length).toBeGreaterThan(10);
      expect(new Set(asked.map(({ project, user, agent }) => [project, user, agent].join()))).toEqual(new Set(['p,somebody,replay']));
      expect(settled).toEqual(models.asked.map(() => ({ tokens: 30, costUsd: 0, calls: 1 })));
      for (const { project_id, user, allowance } of models.asked)
        expect([project_id, user, allowance?.tokens]).toEqual(['p', 'somebody', 50_000]);
    });

    it('counts as blocked what a budget does not allow, and asks no further: no task fails of it', async () => {
      const models = answering();
      const ok: SpendingAnswer = { ok: true, settle: async () => {} };
      const { asked, spending } = openLedger((n) => (n <= 5 ? ok : no()));
      const report = await replay(models, spending);
      expect(models.asked).toHaveLength(5);
      expect(asked.length).toBeLessThan(5 + made.scheduling.max_running_per_project);
      expect(report.counters.candidate.blocked).toBeGreaterThan(5);
      expect(report.verdict).toBe('not_comparable');
      expect(report.reasons.join()).toMatch(/budget/);
    });

    it('counts as blocked what the models stop because it would use more than was set aside', async () => {
      const models = modelsThat(() => Promise.reject(new Fault('terminal', 'budget_exceeded', 'model m is not asked')));
      const report = await replay(models, granting().spending);
      expect(models.asked.length).toBeGreaterThan(1);
      expect(report.counters.candidate.blocked).toBe(models.asked.length);
    });

    it('waits where a quota is in the way only now', async () => {
      const models = answering();
      const ok: SpendingAnswer = { ok: true, settle: async () => {} };
      const { asked, spending } = openLedger((n) => (n % 2 === 1 ? no(1) : ok));
      const report = await replay(models, spending);
      expect(report.counters.candidate.blocked).toBe(0);
      expect(asked.length).toBe(2 * models.asked.length);
    });

    it('is tried again where the ledger does not answer, and asks no model', async () => {
      const models = answering();
      const { spending } = openLedger(() => new Fault('retryable', 'quota_unanswered', 'nobody there'));
      await expect(replay(models, spending)).rejects.toMatchObject({ kind: 'retryable', code: 'quota_unanswered' });
      expect(models.asked).toEqual([]);
    });
  });
});
