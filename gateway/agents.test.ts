// What analyses and plans that are asked for alone do to budgets: the real agent functions and the real ledger behind the door.
import { afterEach, expect, test } from 'vitest';
import type { Ask } from '../models/index.js';
import { runDeciders } from '../processors/host/index.js';
import type { Agents, Decider } from '../processors/index.js';
import { LEDGER_GROUP, LEDGER_SOURCE, ledgerDecider, openSpending } from '../processors/quota/index.js';
import { createAgents } from '../processors/routing/index.js';
import { modelsThat } from '../processors/testing/index.js';
import { problemSchema, QUOTA, type QuotaAccount, quotasConfigSchema } from '../schemas/index.js';
import { openWorld, until, type World } from './testing/world.js';

const NOW = Date.parse('2026-11-27T18:00:00.000Z');
const ANSWER = '{"mode": "test", "steps": [{"title": "one"}, {"title": "two"}]}';

let world: World;
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A gateway whose models use so many tokens a call. */
const open = async (config: Parameters<typeof quotasConfigSchema.parse>[0], { tokens = 30, ledgerRuns = true } = {}) => {
  const quotas = quotasConfigSchema.parse(config);
  const asked: Ask[] = [];
  let agents: Agents | undefined;
  world = await openWorld({
    config: { version: 1, log: { partitions: 2 }, quotas: config },
    now: () => NOW,
    agents: {
      analyze: (body, signal) => agents!.analyze(body, signal),
      decompose: (body, signal) => agents!.decompose(body, signal),
    },
  });
  ends.push(() => world.close());
  const run = {
    group: LEDGER_GROUP,
    source: LEDGER_SOURCE,
    configVersion: () => 'test',
    now: () => NOW,
    deciders: [ledgerDecider(() => quotas) as Decider],
  };
  if (ledgerRuns) {
    const membership = await world.log.join(LEDGER_GROUP, [QUOTA], (assignment) => runDeciders(assignment, run));
    ends.push(() => membership.leave());
  }
  const spending = openSpending({
    log: world.log,
    quotas: () => quotas,
    price: () => 0,
    source: '/nodes/test',
    actor: 'test',
    configVersion: () => 'test',
    now: () => NOW,
    onProblem: () => undefined,
    answerMs: ledgerRuns ? 10_000 : 5,
  });
  ends.push(() => spending.close());
  const models = modelsThat((ask) => {
    asked.push(ask);
    ask.onCall?.({ model: 'm', provider: 'p', outcome: 'ok', input_tokens: 10, output_tokens: tokens - 10, duration_ms: 1 });
    return ANSWER;
  });
  agents = createAgents({ models, spending, options: () => ({ askModelBelow: 0.5, modelAvailable: true }), now: () => NOW });
  return asked;
};

/** The cheap signals are unsure of it. */
const unsure = { description: 'hm', project_id: 'p', submitted_by: 'ada' };
const ask = (what: 'analyze' | 'decompose', body: object = unsure) => world.post(`/api/v1/${what}`, body);
const account = async (kind: string, id: string): Promise<QuotaAccount> =>
  (await world.app.request(`/api/v1/quotas/${kind}/${id}`)).json() as Promise<QuotaAccount>;
const settled = (kind: string, id: string) =>
  until(async () => {
    const { running, used, reserved } = await account(kind, id);
    return running === 0 && reserved.tokens === 0 ? used.day.tokens : undefined;
  });

test('an analysis and a plan are on the budgets of the project, the user and the agent', async () => {
  const all = { tokens_per_day: 100_000 };
  const asked = await open({ projects: { p: all }, users: { ada: all }, agents: { '*': all } });
  expect((await ask('analyze')).status).toBe(200);
  expect((await ask('decompose')).status).toBe(200);
  expect(await Promise.all([settled('project', 'p'), settled('user', 'ada')])).toEqual([60, 60]);
  expect(await Promise.all([settled('agent', 'analyse'), settled('agent', 'decompose')])).toEqual([30, 30]);
  expect(asked.map(({ purpose, project_id, user }) => [purpose, project_id, user])).toEqual([
    ['analyse', 'p', 'ada'],
    ['decompose', 'p', 'ada'],
  ]);
  for (const { allowance } of asked) expect(allowance?.tokens).toBeGreaterThan(0);
});

test('what needs no model looks at no budget', async () => {
  const asked = await open({ projects: { p: { tokens_per_day: 0 } } });
  const sure = await ask('analyze', { ...unsure, description: 'Write a Python function that returns a list' });
  const pinned = await ask('analyze', { ...unsure, options: { tier: 'small' } });
  const estimate = await world.post('/api/v1/estimate', unsure);
  expect([sure.status, pinned.status, estimate.status, asked.length]).toEqual([200, 200, 200, 0]);
});

test('a budget that is used up is 429 with the time at which it begins anew, and no model is asked', async () => {
  // A plan takes more than 3,000 tokens, an analysis more than 300.
  const asked = await open({ users: { ada: { tokens_per_day: 4_000 } } }, { tokens: 3_900 });
  expect((await ask('decompose')).status).toBe(200);
  expect(await settled('user', 'ada')).toBe(3_900);
  for (const what of ['analyze', 'decompose'] as const) {
    const response = await ask(what);
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, String(6 * 3_600)]);
    const problem = problemSchema.parse(await response.json());
    expect(problem).toMatchObject({ type: '/problems/budget-exceeded', retryable: true });
    expect(problem.detail).toContain('tokens_per_day of user ada is 4000: 3900 used');
  }
  expect(asked).toHaveLength(1);
  expect((await ask('decompose', { ...unsure, submitted_by: 'bob' })).status).toBe(200);
});

test('a budget that does not come back by itself names no time', async () => {
  await open({ agents: { decompose: { tokens_total: 100 } } });
  const response = await ask('decompose');
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, null]);
  expect(await response.json()).toMatchObject({ type: '/problems/budget-exceeded', retryable: false });
});

test('a rate is 429 until it is worth asking again', async () => {
  await open({ projects: { p: { requests_per_minute: 1 } } });
  expect((await ask('analyze')).status).toBe(200);
  const response = await ask('decompose');
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '61']);
  expect(await response.json()).toMatchObject({ type: '/problems/quota-reached', retryable: true });
});

test('a ledger that does not answer is 503, and no model is asked', async () => {
  const asked = await open({ projects: { p: { tokens_total: 1e6 } } }, { ledgerRuns: false });
  for (const what of ['analyze', 'decompose'] as const) expect((await ask(what)).status).toBe(503);
  expect(asked).toEqual([]);
});

test('a description without any plan is the fault of no server', async () => {
  await open({});
  const models = modelsThat(() => 'no idea');
  const agents = createAgents({ models, options: () => ({ askModelBelow: 0, modelAvailable: true }), now: () => NOW });
  const other = await openWorld({ agents });
  ends.push(() => other.close());
  const response = await other.post('/api/v1/decompose', { description: 'x' });
  expect([response.status, ((await response.json()) as { type: string }).type]).toEqual([422, '/problems/no-plan']);
});
