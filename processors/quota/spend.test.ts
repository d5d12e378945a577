import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DatsEvent, Fault, LEDGER_KEY, newId, partitionOf, QUOTA, quotasConfigSchema } from '../../schemas/index.js';
import { eventOf, type Log, type Membership } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import type { Decider } from '../decider.js';
import { runDeciders } from '../host/index.js';
import { budgeted, chargedFor } from './budgeted.js';
import { ledgerDecider } from './decider.js';
import { LEDGER_GROUP, LEDGER_SOURCE, openLedgerReader } from './read-ledger.js';
import { openSpending, type Spending, type SpendingAnswer, type SpendingOptions, withinReserved } from './spend.js';

type Config = Parameters<typeof quotasConfigSchema.parse>[0];
const never = new AbortController().signal;
let log: Log;
let now = 0;
let ledger: Membership | undefined;
let spending: Spending;
const problems: unknown[] = [];

const startLedger = async (config: Config): Promise<void> => {
  const quotas = quotasConfigSchema.parse(config);
  const run = {
    group: LEDGER_GROUP,
    source: LEDGER_SOURCE,
    configVersion: () => '1',
    now: () => now,
    deciders: [ledgerDecider(() => quotas) as Decider],
  };
  ledger = await log.join(LEDGER_GROUP, [QUOTA], (assignment) => runDeciders(assignment, run));
};
const open = (config: Config, more: Partial<SpendingOptions> = {}): Spending => {
  const quotas = quotasConfigSchema.parse(config);
  spending = openSpending({
    log,
    quotas: () => quotas,
    price: () => 1e-6,
    source: '/nodes/n',
    actor: 'n',
    configVersion: () => '1',
    now: () => now,
    onProblem: (problem) => problems.push(problem),
    ...more,
  });
  return spending;
};
const request = (more: object = {}) => ({
  reservationId: newId(),
  project: 'p',
  user: 'ada',
  agent: 'chat',
  tokens: 100,
  costUsd: 0.5,
  expiresMs: 60_000,
  ...more,
});
const written = async (): Promise<readonly DatsEvent[]> => {
  const partition = partitionOf(LEDGER_KEY, log.partitions(QUOTA));
  const { end } = await log.range(QUOTA, partition);
  const events: DatsEvent[] = [];
  if (end > 0)
    for await (const batch of log.read({ topic: QUOTA, partition, offset: 0 }, never, { until: end })) events.push(...batch.map(eventOf));
  return events;
};
const granted = (answer: SpendingAnswer): Extract<SpendingAnswer, { ok: true }> => {
  if (!answer.ok) throw new Error(answer.message);
  return answer;
};
const used = async () => {
  const account = (await openLedgerReader(log).read(never)).get({ kind: 'project', id: 'p' });
  return account === undefined ? undefined : { ...account.total, open: account.open };
};
const until = async (done: () => Promise<boolean>): Promise<void> => {
  while (!(await done())) await new Promise((resolve) => setImmediate(resolve));
};

beforeEach(() => {
  now = Date.parse('2026-11-27T00:00:00.000Z');
  log = openMemoryLog({ partitions: 2, now: () => now });
  problems.length = 0;
});
afterEach(async () => {
  await spending?.close();
  await ledger?.leave();
  ledger = undefined;
  await log.close();
});

describe('spending', () => {
  it('does nothing where no quota applies', async () => {
    const answer = granted(await open({ users: { bob: { tokens_total: 1 } } }).reserve(request(), never));
    expect(answer.reserved).toBeUndefined();
    await answer.settle({ tokens: 5, costUsd: 0 });
    expect(await written()).toEqual([]);
  });

  it('sets aside, and settles once with what was used', async () => {
    const config = { projects: { p: { tokens_total: 150 } } };
    await startLedger(config);
    const answer = granted(await open(config).reserve(request(), never));
    expect(answer.reserved).toEqual({ tokens: 100 });
    await Promise.all([answer.settle({ tokens: 30, costUsd: 0.1, calls: 1 }), answer.settle({ tokens: 99, costUsd: 0.1 })]);
    const second = granted(await spending.reserve(request(), never));
    await second.settle({ tokens: 0, costUsd: 0 });
    expect((await written()).map(({ type }) => type).filter((type) => type === 'dats.quota.consumed')).toHaveLength(2);
    await until(async () => (await used())?.open === 0);
    expect(await used()).toEqual({ tokens: 30, nanos: 1e8, open: 0 });
  });

  it('says which budget does not allow it, and when it is worth asking again', async () => {
    const config = { projects: { p: { tokens_total: 150 } }, users: { ada: { requests_per_minute: 1 } } };
    await startLedger(config);
    open(config);
    granted(await spending.reserve(request(), never));
    const later = await spending.reserve(request(), never);
    expect(later).toMatchObject({ ok: false, blocked: { limit: 'requests_per_minute' }, retryAfterMs: 61_000 });
    const dear = await spending.reserve(request({ tokens: 200, user: 'bob' }), never);
    expect(dear).toMatchObject({ ok: false, blocked: { limit: 'tokens_total' } });
    expect(!dear.ok && [dear.retryAfterMs, dear.message]).toEqual([
      undefined,
      'tokens_total of project p is 150: 0 used and 100 set aside, 200 asked; raise the quota, or reset the account',
    ]);
  });

  it('says of a budget that begins anew when it does, unless it would not be enough even then', async () => {
    const config = { projects: { p: { tokens_per_day: 150 } } };
    await startLedger(config);
    open(config);
    now += 3_600_000;
    await granted(await spending.reserve(request(), never)).settle({ tokens: 100, costUsd: 0 });
    expect(await spending.reserve(request(), never)).toMatchObject({ ok: false, retryAfterMs: 23 * 3_600_000 });
    expect(await spending.reserve(request({ tokens: 151 }), never)).not.toHaveProperty('retryAfterMs');
  });

  it('takes what is left where that is enough, and says how much of what is limited', async () => {
    const config = { projects: { p: { tokens_total: 150, cost_usd_total: 0.3 } } };
    await startLedger(config);
    open(config);
    const wish = request({ tokens: 200, costUsd: 0.2, least: { tokens: 100, costUsd: 0.1 } });
    const answer = granted(await spending.reserve(wish, never));
    expect(answer.reserved).toEqual({ tokens: 150, costUsd: 0.2 });
    await answer.settle({ tokens: 60, costUsd: 0.1 });
    expect(await spending.reserve({ ...wish, reservationId: newId() }, never)).toMatchObject({ ok: false, blocked: { asked: 100 } });
  });

  it('bounds no tokens where only a rate is limited', async () => {
    const config = { projects: { p: { requests_per_minute: 5 } } };
    await startLedger(config);
    expect(granted(await open(config).reserve(request(), never)).reserved).toEqual({});
  });

  it('whose process dies is settled in full when it has expired', async () => {
    const config = { projects: { p: { tokens_total: 1_000 } } };
    await startLedger(config);
    granted(await open(config).reserve(request({ expiresMs: 1_000 }), never));
    await spending.close();
    now += 2_000;
    granted(await open(config).reserve(request({ tokens: 1 }), never));
    await until(async () => (await used())?.open === 1);
    expect(await used()).toMatchObject({ tokens: 100, nanos: 5e8 });
  });

  it('that is not answered in time, or no more waited for, gives back what the answer brings', async () => {
    const config = { projects: { p: { tokens_total: 1_000 } } };
    open(config, { answerMs: 5 });
    await expect(spending.reserve(request(), never)).rejects.toMatchObject({ kind: 'retryable', code: 'quota_unanswered' });
    const gone = new AbortController();
    const waiting = spending.reserve(request(), gone.signal);
    const reason = new Error('the client went away');
    gone.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await startLedger(config);
    await until(async () => (await written()).filter(({ type }) => type === 'dats.quota.reserved').length >= 1);
    await until(async () => (await used())?.open === 0);
    expect(await used()).toEqual({ tokens: 0, nanos: 0, open: 0 });
  });
});

describe('work before the first attempt', () => {
  const work = {
    type: 'dats.work.requested',
    projectid: 'p',
    correlationid: 'c',
    data: { task_id: 't', kind: 'analyse', allowance: { calls: 7 } },
  } as never;
  const call = { model: 'm', provider: 'p', outcome: 'ok' as const, input_tokens: 10, output_tokens: 5, cost_usd: 0.001, duration_ms: 1 };
  const ask = {
    messages: [{ role: 'user' as const, content: 'x'.repeat(400) }],
    purpose: 'analyse' as const,
    tier: 'small' as const,
    domain: 'code' as const,
    max_tokens: 300,
  };

  it('asks within what was set aside, and settles with the calls that were made, also where it fails', async () => {
    const config = { agents: { analyse: { tokens_total: 5_000 } } };
    await startLedger(config);
    open(config);
    const asked: object[] = [];
    const models = {
      ask: async (given: { readonly onCall?: (one: typeof call) => void }) => {
        asked.push(given);
        given.onCall?.(call);
        if (asked.length === 2) throw new Fault('retryable', 'model_error', 'e');
        return { text: 'yes' };
      },
    };
    const door = budgeted({ models: models as never, spending, agent: 'analyse', charged: chargedFor(work, 'ada') });
    expect((await door.ask(ask, never)).text).toBe('yes');
    await expect(door.ask(ask, never)).rejects.toMatchObject({ code: 'model_error' });
    expect(asked[0]).toMatchObject({ project_id: 'p', user: 'ada', allowance: { calls: 7, tokens: 800 } });
    expect(door.calls).toEqual([call, call]);
    await until(async () => (await used())?.open === 0);
    expect(await used()).toEqual({ tokens: 30, nanos: 2e6, open: 0 });
  });

  it('is not asked where the budget does not allow it', async () => {
    const config = { agents: { analyse: { tokens_total: 10 } } };
    await startLedger(config);
    open(config);
    const models = { ask: () => Promise.reject(new Error('asked')) };
    const door = budgeted({ models, spending, agent: 'analyse', charged: chargedFor(work, undefined) });
    expect(door.refusal).toBeUndefined();
    await expect(door.ask(ask, never)).rejects.toMatchObject({ kind: 'terminal', code: 'budget_exceeded' });
    expect(door.refusal).toMatchObject({ code: 'budget_exceeded' });
  });
});

describe('what an ask may use', () => {
  it('is the lesser of what it was allowed and what is set aside', () => {
    expect(withinReserved(undefined, undefined)).toBeUndefined();
    expect(withinReserved(undefined, {})).toBeUndefined();
    expect(withinReserved({ calls: 3, tokens: 50 }, { tokens: 100, costUsd: 2 })).toEqual({ calls: 3, tokens: 50, cost_usd: 2 });
    expect(withinReserved({ tokens: 100, cost_usd: 1 }, { tokens: 50 })).toEqual({ tokens: 50, cost_usd: 1 });
  });
});

describe('reading the ledger', () => {
  it('goes on where it was, and shows what stands', async () => {
    const config = { projects: { p: { tokens_total: 1_000 } } };
    await startLedger(config);
    open(config);
    const reader = openLedgerReader(log);
    expect([...(await reader.read(never)).all()]).toEqual([]);
    for (let i = 1; i <= 3; i++) {
      const answer = granted(await spending.reserve(request(), never));
      expect((await reader.read(never)).get({ kind: 'project', id: 'p' })?.open).toBe(1);
      await answer.settle({ tokens: 10, costUsd: 0 });
      await until(async () => (await reader.read(never)).get({ kind: 'project', id: 'p' })?.total.tokens === 10 * i);
    }
  });
});
