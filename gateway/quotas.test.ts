import { afterEach, beforeEach, expect, test } from 'vitest';
import { runDeciders } from '../processors/host/index.js';
import type { Decider } from '../processors/index.js';
import { LEDGER_GROUP, LEDGER_SOURCE, ledgerDecider } from '../processors/quota/index.js';
import { eventOf } from '../processors/testing/index.js';
import { type DataOf, LEDGER_KEY, QUOTA, type QuotaAccount, quotasConfigSchema, type ResetAnswer } from '../schemas/index.js';
import { outgoing } from '../streams/index.js';
import { openWorld, type World } from './testing/world.js';

const QUOTAS = { projects: { demo: { tokens_per_day: 1_000 }, other: { concurrency: 2 } }, users: { '*': { requests_per_minute: 60 } } };
const NOW = Date.parse('2026-11-27T12:00:00.000Z');
let world: World;
let now = NOW;
let leave: () => Promise<void>;

beforeEach(async () => {
  now = NOW;
  world = await openWorld({ config: { version: 1, log: { partitions: 2 }, quotas: QUOTAS }, now: () => now });
  const run = {
    group: LEDGER_GROUP,
    source: LEDGER_SOURCE,
    configVersion: () => 'test',
    now: () => now,
    deciders: [ledgerDecider(() => quotasConfigSchema.parse(QUOTAS)) as Decider],
  };
  const membership = await world.log.join(LEDGER_GROUP, [QUOTA], (assignment) => runDeciders(assignment, run));
  leave = () => membership.leave();
});
afterEach(async () => {
  await leave();
  await world.close();
});

const time = () => new Date(now).toISOString();
const append = async (type: 'dats.quota.requested' | 'dats.quota.consumed', data: object): Promise<void> => {
  const event = eventOf(type, data as never, { projectid: 'demo', time: time() });
  const [position] = await world.log.append([outgoing(QUOTA, event, LEDGER_KEY)]);
  for (let done = false; !done; ) {
    const lags = await world.log.lag(LEDGER_GROUP, [QUOTA]);
    done = lags.some(({ partition, committed }) => partition === position!.partition && committed > position!.offset);
    await new Promise((resolve) => setImmediate(resolve));
  }
};
const reserve = (reservation_id: string, more: Partial<DataOf<'dats.quota.requested'>> = {}) =>
  append('dats.quota.requested', {
    reservation_id,
    user: 'ada',
    agent: 'chat',
    tokens: 300,
    cost_usd: 0.25,
    expires: new Date(now + 60_000).toISOString(),
    ...more,
  });
const get = async <T>(path: string): Promise<T> => (await world.app.request(`/api/v1/quotas${path}`)).json() as Promise<T>;

test('shows what is set aside and used, in the windows that hold now, and what is allowed', async () => {
  await reserve('a');
  await reserve('b');
  await append('dats.quota.consumed', { reservation_id: 'a', tokens: 120, cost_usd: 0.1, calls: 1 });
  const account = await get<QuotaAccount>('/project/demo');
  expect(account).toEqual({
    kind: 'project',
    id: 'demo',
    limits: { tokens_per_day: 1_000 },
    used: { day: { tokens: 120, cost_usd: 0.1 }, month: { tokens: 120, cost_usd: 0.1 }, total: { tokens: 120, cost_usd: 0.1 } },
    reserved: { tokens: 300, cost_usd: 0.25 },
    running: 1,
    requests_last_minute: 2,
    day_ends: '2026-11-28T00:00:00.000Z',
    month_ends: '2026-12-01T00:00:00.000Z',
  });
  now = Date.parse('2026-12-01T00:00:00.000Z');
  expect((await get<QuotaAccount>('/project/demo')).used).toEqual({
    day: { tokens: 0, cost_usd: 0 },
    month: { tokens: 0, cost_usd: 0 },
    total: { tokens: 120, cost_usd: 0.1 },
  });
  expect(await get('/user/ada')).toMatchObject({ limits: { requests_per_minute: 60 }, used: { total: { tokens: 120 } } });
});

test('a settlement is seen though the ledger had nothing to say to it', async () => {
  await reserve('a');
  expect((await get<QuotaAccount>('/agent/chat')).running).toBe(1);
  await append('dats.quota.consumed', { reservation_id: 'a', tokens: 1, cost_usd: 0, calls: 1 });
  expect(await get('/agent/chat')).toMatchObject({ running: 0, used: { total: { tokens: 1 } } });
});

test('lists whoever has a quota or used something, page by page', async () => {
  await reserve('a');
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page: { quotas: QuotaAccount[]; next_cursor: string | null } = await get(`?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    seen.push(...page.quotas.map(({ kind, id }) => `${kind} ${id}`));
    cursor = page.next_cursor;
  }
  expect(seen).toEqual(['agent chat', 'project demo', 'project other', 'user ada']);
  expect((await get<{ quotas: QuotaAccount[] }>('?kind=user')).quotas.map(({ id }) => id)).toEqual(['ada']);
});

test('who never used anything has used nothing; what is no kind is refused', async () => {
  expect(await get('/user/nobody')).toMatchObject({ used: { total: { tokens: 0, cost_usd: 0 } }, running: 0 });
  expect((await world.app.request('/api/v1/quotas/team/a')).status).toBe(400);
});

test('a reset is done when it is answered, and on record with who and why', async () => {
  await reserve('a');
  await append('dats.quota.consumed', { reservation_id: 'a', tokens: 300, cost_usd: 0, calls: 1 });
  const response = await world.post('/api/v1/quotas/project/demo/reset', { reason: 'a gift', by: 'grace' });
  expect(response.status).toBe(200);
  expect((await response.json()) as ResetAnswer).toMatchObject({
    done: true,
    quota: { id: 'demo', used: { day: { tokens: 0 }, total: { tokens: 0 } } },
  });
  expect(await get('/user/ada')).toMatchObject({ used: { total: { tokens: 300 } } });
});

test('a refused record is passed over', async () => {
  await world.log.append([{ topic: QUOTA, key: LEDGER_KEY, headers: {}, value: 'no event' }]);
  await reserve('a');
  expect(await get('/agent/chat')).toMatchObject({ running: 1 });
});
