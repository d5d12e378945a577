import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DataOf } from '../../schemas/index.js';
import { inlineContent } from '../content.js';
import type { Decider } from '../decider.js';
import { openFold, openRebuild } from '../host/index.js';
import { fixed } from '../policies.js';
import type { Spending } from '../quota/index.js';
import { analyseEffect } from '../routing/index.js';
import { effectContextOf, eventOf, memoryArtifactStore, modelsThat } from '../testing/index.js';
import { analysis, creation, SOURCE } from '../testing/pipeline-world.js';
import { schedulingDecider } from './decider.js';
import { BUDGET_POLICY, type BudgetWorld, call, openBudgetWorld } from './testing/budget-world.js';

const readied = (world: BudgetWorld): string[] =>
  world.tasks.work.filter(({ data }) => data.kind === 'generate').map(({ data }) => data.task_id);
/** Settlements as they were said, each once. */
const settled = (world: BudgetWorld) => world.said('dats.quota.consumed').map(({ data: { reservation_id: _id, ...rest } }) => rest);
const failure = (world: BudgetWorld, id: string) => world.said('dats.task.failed').find(({ data }) => data.task_id === id)?.data.error;
const error = { code: 'model_error', message: 'e', retryable: true };
const openIn = (world: BudgetWorld): string[] => [...world.ledger.saved.keys()].filter((key) => key.startsWith('ledger/o/'));

describe('an attempt under a budget', () => {
  it('is set aside first, may use that much, and is settled by what its calls used', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { tokens_per_day: 100_000, cost_usd_total: 1 } } }, price: 1e-6 });
    world.submit('a', { submitted_by: 'ada' });
    expect(world.tasks.types('a')).toEqual([
      'dats.task.created',
      'dats.task.analyzed',
      'dats.task.queued',
      'dats.quota.reserved',
      'dats.task.ready',
    ]);
    const [ready] = world.said('dats.task.ready');
    expect(world.said('dats.quota.requested')[0]).toMatchObject({
      projectid: 'p',
      subject: ready!.data.reservation_id,
      data: {
        task_id: 'a',
        attempt: 1,
        user: 'ada',
        agent: 'generate',
        tokens: 16_000,
        cost_usd: 0.016,
        least: { tokens: 1_000, cost_usd: 0.001 },
      },
    });
    expect(ready!.data.allowance).toEqual({ calls: 40, tokens: 16_000, cost_usd: 0.016 });
    expect(world.tasks.work[0]!.data.allowance).toEqual(ready!.data.allowance);
    world.answer('a', { tokens: 321, cost_usd: 0.0005 });
    expect(settled(world)).toEqual([{ task_id: 'a', attempt: 1, tokens: 321, cost_usd: 0.0005, calls: 1 }]);
    expect(world.tasks.terminals('a')).toEqual(['dats.task.completed']);
    expect(openIn(world)).toEqual([]);
  });

  it('costs a task without one no event: only its calls are limited', () => {
    const world = openBudgetWorld({ quotas: { projects: { other: { tokens_per_day: 1 } }, users: { ada: {} } } });
    world.submit('a', { submitted_by: 'ada' });
    world.answer('a');
    expect(world.tasks.types('a')).toEqual([
      'dats.task.created',
      'dats.task.analyzed',
      'dats.task.ready',
      'dats.task.output.created',
      'dats.task.validated',
      'dats.task.completed',
    ]);
    expect(world.tasks.work[0]!.data.allowance).toEqual({ calls: 40 });
    expect(world.ledger.log).toEqual([]);
  });

  it('of a rate or a concurrency only needs nothing set aside but its turn', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { concurrency: 5 } } }, price: 1 });
    world.submit('a');
    expect(world.said('dats.task.ready')[0]!.data.allowance).toEqual({ calls: 40 });
  });

  it('that the budget is used up for ends the task before any call, with the reason', () => {
    const world = openBudgetWorld({ quotas: { users: { '*': { tokens_total: 500 } } } });
    world.submit('a', { submitted_by: 'ada' });
    expect(readied(world)).toEqual([]);
    expect(world.tasks.types('a').slice(-2)).toEqual(['dats.quota.blocked', 'dats.task.failed']);
    expect(failure(world, 'a')).toMatchObject({ code: 'budget_exceeded', retryable: false });
    expect(failure(world, 'a')!.message).toContain('tokens_total of user ada is 500: 0 used, 1000 asked; raise the quota');
    expect([settled(world), openIn(world)]).toEqual([[], []]);
  });

  it('that only others who are not settled stand in the way of waits for them, and then runs', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { tokens_total: 20_000 } } } });
    world.submit('a');
    world.submit('b');
    expect(readied(world)).toEqual(['a']);
    world.answer('a', { tokens: 300 });
    expect(readied(world)).toEqual(['a', 'b']);
    expect(world.said('dats.task.ready')[1]!.data.allowance?.tokens).toBe(16_000);
  });

  it('of a subtask is on the account of who submitted the whole, and so is its analysis', async () => {
    const world = openBudgetWorld({ quotas: { users: { ada: { tokens_total: 1e6 } } } });
    const text = inlineContent('x')!;
    world.submit('a', { options: { decompose: true, qa_profile: 'none' }, submitted_by: 'ada' });
    world.tasks.append('dats.task.decomposed', {
      task_id: 'a',
      planner: { name: 't', version: '1' },
      children: [{ task_id: 'a1', title: '1', description: text, depends_on: [] }],
    });
    world.settle();
    world.submit('a1');
    expect(world.said('dats.quota.requested').map(({ data }) => [data.task_id, data.user])).toEqual([['a1', 'ada']]);

    const planned = world.said('dats.task.created').find(({ data }) => data.parent_id === 'a')!;
    const work = eventOf('dats.work.requested', {
      task_id: 'a1',
      kind: 'analyse',
      attempt: 0,
      tier: 'small',
      domain: 'code',
      prompt_version: 'analyse@1',
      context: { created: 0, inputs: [] },
      due: '2026-01-01T00:01:00.000Z',
    });
    const users: (string | undefined)[] = [];
    const spending: Spending = {
      price: () => 0,
      close: async () => undefined,
      reserve: async ({ user }) => {
        users.push(user);
        return { ok: true, settle: async () => undefined };
      },
    };
    const models = modelsThat(() => '{"mode": "fix"}');
    const ports = { models, spending, artifacts: memoryArtifactStore(), checks: undefined as never };
    await analyseEffect().run(work, ports, effectContextOf({ 0: planned }));
    expect([users, models.asked.map(({ user }) => user)]).toEqual([['ada'], ['ada']]);
  });
});

describe('the end of an attempt', () => {
  const budget = { quotas: { projects: { p: { tokens_total: 1e6 } } } };
  const failed = (world: BudgetWorld, data: Partial<DataOf<'dats.task.attempt.failed'>>): void => {
    world.tasks.append('dats.task.attempt.failed', { task_id: 'a', attempt: 1, stage: 'generation', error, ...data });
    world.settle();
  };
  const started = (world: BudgetWorld): void => {
    world.tasks.append('dats.task.started', { task_id: 'a', attempt: 1, node: 'n', worker: 'w', fence: '1' });
    world.settle();
  };
  const all = 16_000;

  it.each([
    ['an output', (world: BudgetWorld) => world.answer('a'), 100, 1, undefined],
    ['a failure, with the calls that were made', (world: BudgetWorld) => failed(world, { calls: [call(7), call(8)] }), 15, 2, undefined],
    ['a failure without any call', (world: BudgetWorld) => failed(world, { calls: [] }), 0, 0, undefined],
    ['a failure that does not say', (world: BudgetWorld) => failed(world, {}), all, 4, true],
    ['a timeout', (world: BudgetWorld) => world.advance(10_011), all, 4, true],
    [
      'a cancellation',
      (world: BudgetWorld) => world.tasks.append('dats.task.cancel.requested', { task_id: 'a', reason: 'r', by: 'b' }),
      all,
      4,
      true,
    ],
  ] as const)('%s settles it once', (_how, ends, tokens, calls, unknown) => {
    const world = openBudgetWorld(budget);
    world.submit('a', { options: { qa_profile: 'none', max_attempts: 2 } });
    started(world);
    ends(world);
    world.settle();
    world.answer('a');
    failed(world, { calls: [call(9)] });
    const expected = { task_id: 'a', attempt: 1, tokens, cost_usd: 0, calls, ...(unknown === undefined ? {} : { unknown }) };
    expect(settled(world).filter(({ attempt }) => attempt === 1)).toEqual([expected]);
    expect(JSON.parse(world.ledger.saved.get('ledger/a/project/p')!).total.tokens).toBe(tokens);
  });

  it.each(['cancelled', 'timed out'])('that had not begun settles with nothing: %s', (how) => {
    const world = openBudgetWorld(budget);
    world.submit('a', { options: { qa_profile: 'none', max_attempts: 1 } });
    if (how === 'cancelled') world.tasks.append('dats.task.cancel.requested', { task_id: 'a', reason: 'r', by: 'b' });
    else world.advance(10_011);
    world.settle();
    expect(settled(world)).toMatchObject([{ tokens: 0, calls: 0 }]);
  });

  it('of a parent settles the attempts of its subtasks, each once', () => {
    const world = openBudgetWorld(budget);
    const text = { sha256: '0'.repeat(64), bytes: 1, content: 'x' };
    const deadline = new Date(world.tasks.now + 5_000).toISOString();
    world.submit('a', { options: { decompose: true, qa_profile: 'none', deadline } });
    world.tasks.append('dats.task.decomposed', {
      task_id: 'a',
      planner: { name: 't', version: '1' },
      children: ['a1', 'a2'].map((task_id) => ({ task_id, title: task_id, description: text, depends_on: [] })),
    });
    world.settle();
    for (const id of ['a1', 'a2']) world.submit(id);
    world.advance(5_010);
    world.settle();
    expect(['a', 'a1', 'a2'].map((id) => world.tasks.terminals(id).length)).toEqual([1, 1, 1]);
    expect(settled(world)).toHaveLength(2);
    expect(openIn(world)).toEqual([]);
  });

  it('that comes while the ledger is still asked gives back what it then sets aside', () => {
    const world = openBudgetWorld(budget);
    world.ledgerRuns = false;
    world.submit('a');
    world.tasks.append('dats.task.cancel.requested', { task_id: 'a', reason: 'r', by: 'b' });
    world.settle();
    world.ledgerRuns = true;
    world.settle();
    expect(world.tasks.terminals('a')).toEqual(['dats.task.cancelled']);
    expect(settled(world)).toMatchObject([{ task_id: 'a', tokens: 0, calls: 0 }]);
    expect(openIn(world)).toEqual([]);
  });
});

describe('waiting for a turn', () => {
  const until = (world: BudgetWorld, limitMs: number, done: () => boolean): number => {
    for (let ms = 0; ms < limitMs; ms += 100) {
      if (done()) return ms;
      world.advance(100);
      world.settle();
    }
    return limitMs;
  };

  it('gives the place to others, and resolves by itself: a rate', () => {
    const world = openBudgetWorld({ quotas: { users: { ada: { requests_per_minute: 2 } } }, policy: { max_running_per_project: 3 } });
    for (const id of ['a', 'b', 'c', 'd']) world.submit(id, { submitted_by: 'ada' });
    world.submit('other', { submitted_by: 'bob' });
    expect(readied(world)).toEqual(['a', 'b', 'other']);
    for (const id of ['a', 'b', 'other']) world.answer(id);
    expect(until(world, 120_000, () => readied(world).length === 5)).toBeLessThan(62_000);
    for (const id of ['c', 'd']) world.answer(id);
    expect(['a', 'b', 'c', 'd', 'other'].flatMap((id) => world.tasks.terminals(id))).toEqual(Array(5).fill('dats.task.completed'));
  });

  it('a concurrency: at once when a settlement is decided here, soon when it is decided elsewhere', () => {
    const world = openBudgetWorld({ quotas: { agents: { generate: { concurrency: 1 } } } });
    for (const id of ['a', 'b', 'c']) world.submit(id);
    expect(readied(world)).toEqual(['a']);
    world.answer('a');
    expect(readied(world)).toEqual(['a', 'b']);
    for (const id of ['b', 'c']) world.answer(id);
    world.ledger.append(
      'dats.quota.requested',
      {
        reservation_id: 'elsewhere',
        agent: 'generate',
        tokens: 0,
        cost_usd: 0,
        expires: new Date(world.ledger.now + 60_000).toISOString(),
      },
      'q',
    );
    world.settle();
    world.submit('d');
    expect(readied(world)).toEqual(['a', 'b', 'c']);
    world.ledger.append('dats.quota.consumed', { reservation_id: 'elsewhere', tokens: 0, cost_usd: 0, calls: 0 }, 'q');
    expect(until(world, 10_000, () => readied(world).length === 4)).toBeLessThan(2_000);
  });

  it('costs a few requests a grant, however many wait', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { requests_per_minute: 5 } } } });
    for (let i = 0; i < 200; i++) world.submit(`t${i}`);
    let done = 0;
    for (let minute = 0; minute < 10; minute++) {
      until(world, 60_000, () => {
        while (done < readied(world).length) world.answer(readied(world)[done++]!);
        return false;
      });
    }
    const grants = world.said('dats.task.ready').length;
    expect(grants).toBeGreaterThanOrEqual(45);
    expect(world.said('dats.quota.requested').length).toBeLessThan(grants * 4);
  });

  it('goes on when the one that waited with the timer is cancelled', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { requests_per_minute: 1 } } }, policy: { max_running_per_project: 3 } });
    for (const id of ['a', 'b', 'c']) world.submit(id);
    expect(readied(world)).toEqual(['a']);
    world.answer('a');
    world.tasks.append('dats.task.cancel.requested', { task_id: 'b', reason: 'r', by: 'b' });
    world.settle();
    expect(until(world, 120_000, () => readied(world).includes('c'))).toBeLessThan(63_000);
  });

  it('of higher priority goes first', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { concurrency: 1 } } } });
    for (const id of ['a', 'b']) world.submit(id);
    world.submit('urgent', { priority: 'urgent', options: { qa_profile: 'none' } });
    world.answer('a');
    expect(readied(world)).toEqual(['a', 'urgent']);
  });
});

describe('the limits of one task', () => {
  it('count the calls of all its attempts, and those before the first', () => {
    const world = openBudgetWorld({ quotas: { task: { calls: 5 } } });
    world.tasks.append('dats.task.created', { ...creation('a'), options: { qa_profile: 'none', max_attempts: 9 } });
    world.tasks.append('dats.task.analyzed', { ...analysis('a'), calls: [call(1)] });
    world.settle();
    for (const [attempt, calls] of [
      [1, [call(10), call(10)]],
      [2, [call(10), call(10)]],
    ] as const) {
      world.tasks.append('dats.task.attempt.failed', { task_id: 'a', attempt, stage: 'generation', error, calls: [...calls] });
      world.settle();
      world.advance(1_000);
      world.settle();
    }
    expect(world.tasks.work.map(({ data }) => data.allowance?.calls)).toEqual([4, 2]);
    expect(world.said('dats.quota.blocked').map(({ data }) => data)).toMatchObject([
      { task_id: 'a', attempt: 3, subject: { kind: 'task', id: 'a' }, limit: 'calls', asked: 1, used: 5, allowed: 5 },
    ]);
    expect(failure(world, 'a')).toMatchObject({ code: 'call_limit' });
    expect(world.ledger.log).toEqual([]);
  });

  it('count tokens and cost, and bound what an attempt may use', () => {
    const world = openBudgetWorld({ quotas: { task: { tokens: 2_000, cost_usd: 0.01 } }, price: 1e-6 });
    world.submit('a');
    expect(world.tasks.work[0]!.data.allowance).toEqual({ calls: 40, tokens: 2_000, cost_usd: 0.002 });
    world.tasks.append('dats.task.attempt.failed', { task_id: 'a', attempt: 1, stage: 'generation', error, calls: [call(1_500, 0.001)] });
    world.settle();
    world.advance(1_000);
    world.settle();
    expect(world.tasks.work[1]!.data.allowance).toEqual({ calls: 39, tokens: 500, cost_usd: 0.0005 });
  });

  it('count an attempt whose end says nothing as if it had used what it might', () => {
    const world = openBudgetWorld({ quotas: { task: { tokens: 10_000 } } });
    world.submit('a');
    world.tasks.append('dats.task.started', { task_id: 'a', attempt: 1, node: 'n', worker: 'w', fence: '1' });
    world.settle();
    world.advance(10_011);
    world.settle();
    world.advance(1_000);
    world.settle();
    expect(failure(world, 'a')).toMatchObject({ code: 'budget_exceeded' });
    expect(readied(world)).toEqual(['a']);
  });

  it('that the models found reached end the task, after the event that says so', () => {
    const world = openBudgetWorld({ quotas: { projects: { p: { tokens_total: 1e6 } } } });
    world.submit('a');
    const used = { code: 'budget_exceeded', message: 'the allowance is used up', retryable: false };
    world.tasks.append('dats.task.attempt.failed', { task_id: 'a', attempt: 1, stage: 'generation', error: used, calls: [call(16_000)] });
    world.settle();
    expect(world.tasks.types('a').slice(-3)).toEqual(['dats.task.attempt.failed', 'dats.quota.blocked', 'dats.task.failed']);
    expect(world.said('dats.quota.blocked')[0]!.data).toMatchObject({ limit: 'tokens', used: 16_000, allowed: 16_000 });
    expect(settled(world)).toMatchObject([{ tokens: 16_000, calls: 1 }]);
  });
});

// Random histories of tasks with random budgets, both sides restarted after every commit: every task ends once, every reservation is settled once, the account is
// the sum of the settlements, and the state is the fold of the log.
const action = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      project: fc.constantFrom('p', 'q'),
      user: fc.constantFrom('ada', 'bob'),
      priority: fc.constantFrom('low' as const, 'normal' as const, 'urgent' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      which: fc.nat(50),
      outcome: fc.constantFrom('ok', 'ok', 'ok', 'fail', 'silent', 'start', 'over'),
      tokens: fc.integer({ min: 0, max: 4_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 15_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('ledger' as const), runs: fc.boolean() }) },
);
const quotas = fc.record(
  {
    projects: fc.constantFrom(
      {},
      { p: { tokens_total: 40_000 } },
      { '*': { tokens_per_day: 60_000, requests_per_minute: 3 } },
      { q: { concurrency: 1 } },
    ),
    users: fc.constantFrom({}, { ada: { requests_per_minute: 2 } }, { '*': { concurrency: 2, tokens_total: 90_000 } }),
    agents: fc.constantFrom({}, { generate: { concurrency: 2 } }, { generate: { requests_per_minute: 4 } }),
    task: fc.constantFrom({}, { calls: 3 }, { tokens: 6_000 }),
  },
  { requiredKeys: [] },
);

describe('budgets under random histories', () => {
  it('lose no task, settle every reservation once, and are the same after every restart and rebuild', () => {
    fc.assert(
      fc.property(quotas, fc.array(action, { minLength: 5, maxLength: 60 }), fc.boolean(), (config, actions, restarts) => {
        const policy = { max_running_per_project: 2, max_attempts: 3 };
        const world = openBudgetWorld({ quotas: config, policy });
        world.restarts = restarts;
        const { tasks, ledger } = world;
        const submitted: { readonly id: string; readonly project: string }[] = [];
        const respond = (index: number, outcome: string, tokens: number): void => {
          const item = tasks.work[index];
          if (item === undefined) return;
          const { task_id, attempt } = item.data;
          const failed = (data: Partial<DataOf<'dats.task.attempt.failed'>>): void =>
            tasks.append('dats.task.attempt.failed', { task_id, attempt, stage: 'generation', error, ...data }, item.projectid);
          if (outcome === 'start')
            tasks.append('dats.task.started', { task_id, attempt, node: 'n', worker: 'w', fence: '1' }, item.projectid);
          else if (outcome === 'fail') failed({ calls: [call(tokens)] });
          else if (outcome === 'silent') failed({});
          else if (outcome === 'over')
            failed({ calls: [call(tokens)], error: { code: 'budget_exceeded', message: 'e', retryable: false } });
          else world.answer(task_id, { attempt, tokens: Math.min(tokens, item.data.allowance?.tokens ?? tokens) }, item.projectid);
        };
        for (const a of actions) {
          if (a.kind === 'submit') {
            const id = `t${submitted.length}`;
            submitted.push({ id, project: a.project });
            tasks.append(
              'dats.task.created',
              { ...creation(id), priority: a.priority, options: { qa_profile: 'none' }, submitted_by: a.user },
              a.project,
            );
            tasks.append('dats.task.analyzed', analysis(id), a.project);
          } else if (a.kind === 'work') respond(a.which % Math.max(1, tasks.work.length), a.outcome, a.tokens);
          else if (a.kind === 'cancel' && submitted[a.which] !== undefined)
            tasks.append(
              'dats.task.cancel.requested',
              { task_id: submitted[a.which]!.id, reason: 'r', by: 'b' },
              submitted[a.which]!.project,
            );
          else if (a.kind === 'time') world.advance(a.ms);
          else if (a.kind === 'ledger') world.ledgerRuns = a.runs;
          world.step();
        }
        world.ledgerRuns = true;
        let answered = 0;
        const isOpen = (): boolean => [...tasks.saved.keys()].some((key) => key.startsWith('scheduling/t/'));
        for (let i = 0; i < 3_000 && (i < 3 || isOpen()); i++) {
          world.settle();
          while (answered < tasks.work.length) respond(answered++, 'ok', 500);
          world.advance(500);
        }
        world.settle();
        for (const { id } of submitted) expect(tasks.terminals(id), id).toHaveLength(1);
        expect(openIn(world)).toEqual([]);

        const reserved = ledger.log.flatMap((event) => (event.type === 'dats.quota.reserved' ? [event.data.reservation_id] : []));
        const consumed = ledger.log.flatMap((event) => (event.type === 'dats.quota.consumed' ? [event] : []));
        expect(new Set(reserved).size).toBe(reserved.length);
        expect(consumed.map(({ data }) => data.reservation_id).sort()).toEqual([...reserved].sort());
        for (const project of ['p', 'q']) {
          const sum = consumed.filter(({ projectid }) => projectid === project).reduce((n, { data }) => n + data.tokens, 0);
          const account = ledger.saved.get(`ledger/a/project/${project}`);
          expect(account === undefined ? 0 : JSON.parse(account).total.tokens).toBe(sum);
        }
        const sorted = (entries: Iterable<readonly [string, string | null]>) =>
          [...entries].filter(([, value]) => value !== null).sort(([a], [b]) => (a < b ? -1 : 1));
        expect(ledger.rebuilt()).toEqual(sorted(ledger.saved));
        const decider = schedulingDecider(fixed({ ...BUDGET_POLICY, ...policy }), undefined, {
          quotas: () => ledger.quotas,
          price: () => 0,
        }) as Decider;
        const fold = openFold([decider], [], { source: SOURCE, configVersion: () => '1', now: () => tasks.now });
        const rebuild = openRebuild(fold, SOURCE);
        for (const record of tasks.log)
          rebuild.take({ ...record, event: { ...record.headers, data: JSON.parse(String(record.value)) } as never });
        rebuild.finish(tasks.read);
        expect(sorted(fold.changes())).toEqual(sorted(tasks.saved));
      }),
      { numRuns: Number(process.env['DATS_RUNS'] ?? 200) },
    );
  });
});
