import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DataOf, type DatsEvent, type EventType, type QuotasConfig, quotasConfigSchema } from '../../schemas/index.js';
import { type LedgerWorld, openLedgerWorld } from './testing/index.js';

type Requested = DataOf<'dats.quota.requested'>;
type Config = Parameters<typeof quotasConfigSchema.parse>[0];

const worldOf = (config: Config): LedgerWorld => openLedgerWorld(quotasConfigSchema.parse(config));
const request = (world: LedgerWorld, id: string, more: Partial<Requested> = {}, project = 'p'): void =>
  world.append('dats.quota.requested', { reservation_id: id, user: 'ada', agent: 'generate', tokens: 100, cost_usd: 0, ...more }, project);
const settle = (world: LedgerWorld, id: string, tokens: number, cost_usd = 0, project = 'p'): void =>
  world.append('dats.quota.consumed', { reservation_id: id, tokens, cost_usd, calls: 1 }, project);
const isType =
  <T extends EventType>(type: T) =>
  (event: DatsEvent): event is Extract<DatsEvent, { type: T }> =>
    event.type === type;
const reservedIn = (world: LedgerWorld): string[] => world.log.filter(isType('dats.quota.reserved')).map(({ data }) => data.reservation_id);
const blockedIn = (world: LedgerWorld) => world.log.filter(isType('dats.quota.blocked')).map(({ data }) => data);
const account = (world: LedgerWorld, key: string) =>
  JSON.parse(world.saved.get(`ledger/a/${key}`)!) as Record<string, { tokens: number; nanos: number }>;

describe('the ledger', () => {
  it('sets aside what is left, and refuses for good what could not be had even if all was given back', () => {
    const world = worldOf({ projects: { p: { tokens_per_day: 250 } } });
    request(world, 'a');
    request(world, 'b');
    request(world, 'c');
    request(world, 'd', { tokens: 300 });
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b']);
    expect(blockedIn(world)).toMatchObject([
      {
        reservation_id: 'c',
        subject: { kind: 'project', id: 'p' },
        limit: 'tokens_per_day',
        asked: 100,
        used: 0,
        reserved: 200,
        allowed: 250,
      },
      { reservation_id: 'd', asked: 300 },
    ]);
    expect(blockedIn(world).map(({ retry_at }) => retry_at)).toEqual(['2026-01-01T00:00:01.000Z', undefined]);
  });

  it('settles by what was used, which makes room', () => {
    const world = worldOf({ projects: { p: { tokens_per_day: 200, cost_usd_total: 1 } } });
    request(world, 'a', { tokens: 200, cost_usd: 0.9 });
    world.step();
    settle(world, 'a', 40, 0.1);
    request(world, 'b', { tokens: 160, cost_usd: 0.9 });
    request(world, 'c', { tokens: 1 });
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b']);
    expect(account(world, 'project/p')).toMatchObject({ total: { tokens: 40, nanos: 1e8 } });
  });

  it('measures a request against its project, its user and its agent at once: all of them or none', () => {
    const world = worldOf({
      projects: { '*': { tokens_total: 1000 } },
      users: { ada: { tokens_total: 150 } },
      agents: { generate: { tokens_total: 1000 } },
    });
    request(world, 'a');
    request(world, 'b');
    request(world, 'c', { user: 'bob' }, 'q');
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'c']);
    expect(blockedIn(world)).toMatchObject([{ reservation_id: 'b', subject: { kind: 'user', id: 'ada' } }]);
    for (const id of ['a', 'c']) settle(world, id, 10);
    world.step();
    expect(account(world, 'project/p')['total']).toEqual({ tokens: 10, nanos: 0 });
    expect(account(world, 'agent/generate')['total']).toEqual({ tokens: 20, nanos: 0 });
  });

  it('"*" is everyone who is not named, each for itself; names of what every object has are names', () => {
    const world = worldOf({ users: { '*': { tokens_total: 100 }, root: {} } });
    for (const user of ['ada', 'bob', 'constructor', 'root', 'root']) request(world, `${user}${world.log.length}`, { user });
    request(world, 'again', { user: 'bob' });
    world.step();
    expect(reservedIn(world)).toHaveLength(5);
    expect(blockedIn(world)).toMatchObject([{ reservation_id: 'again' }]);
  });

  it('near its end gives whoever is alone what is left, and lets others wait for that', () => {
    const world = worldOf({ projects: { p: { tokens_total: 250 } } });
    const least = { tokens: 50, cost_usd: 0 };
    for (const id of ['a', 'b', 'c']) request(world, id, { least });
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b']);
    expect(blockedIn(world)[0]?.retry_at).toBeDefined();
    for (const id of ['a', 'b']) settle(world, id, 90);
    request(world, 'd', { least });
    world.step();
    expect(world.log.filter(isType('dats.quota.reserved')).at(-1)!.data).toMatchObject({ reservation_id: 'd', tokens: 70 });
    settle(world, 'd', 30);
    request(world, 'e', { least });
    world.step();
    expect(blockedIn(world).at(-1)).toMatchObject({ reservation_id: 'e', used: 210, asked: 50 });
    expect(blockedIn(world).at(-1)!.retry_at).toBeUndefined();
  });

  it('lets so many requests through a minute, whenever the minute begins, and says when the next', () => {
    const world = worldOf({ users: { ada: { requests_per_minute: 2 } } });
    world.now += 500;
    request(world, 'a');
    world.step();
    world.now += 30_000;
    request(world, 'b');
    request(world, 'c');
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b']);
    expect(blockedIn(world)).toMatchObject([
      { limit: 'requests_per_minute', asked: 1, used: 2, allowed: 2, retry_at: '2026-01-01T00:01:01.000Z' },
    ]);
    world.now = Date.parse(blockedIn(world)[0]!.retry_at!);
    request(world, 'd');
    request(world, 'e');
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b', 'd']);
    expect(blockedIn(world).at(-1)).toMatchObject({ retry_at: '2026-01-01T00:01:31.000Z' });
  });

  it('lets so many run at a time', () => {
    const world = worldOf({ agents: { generate: { concurrency: 2 } } });
    for (const id of ['a', 'b', 'c']) request(world, id, { tokens: 0 });
    world.step();
    expect(blockedIn(world)).toMatchObject([{ reservation_id: 'c', limit: 'concurrency', reserved: 2, allowed: 2 }]);
    settle(world, 'b', 5);
    request(world, 'c', { tokens: 0 });
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b', 'c']);
  });

  it('begins anew with the day and the month of UTC; what is set aside counts in the new one too', () => {
    const world = worldOf({ projects: { p: { tokens_per_day: 100, tokens_per_month: 150 } } });
    world.now = Date.parse('2026-01-30T23:59:00.000Z');
    request(world, 'a');
    world.step();
    settle(world, 'a', 100);
    world.step();
    const at = (time: string, id: string): void => {
      world.now = Date.parse(time);
      request(world, id, { tokens: 60 });
      world.step();
    };
    at('2026-01-30T23:59:59.999Z', 'same day');
    at('2026-01-31T00:00:00.000Z', 'same month');
    at('2026-02-01T00:00:00.000Z', 'b');
    at('2026-02-02T00:00:00.000Z', 'while b is open');
    expect(reservedIn(world)).toEqual(['a', 'b']);
    expect(blockedIn(world).map(({ limit, retry_at }) => [limit, retry_at !== undefined])).toEqual([
      ['tokens_per_day', false],
      ['tokens_per_month', false],
      ['tokens_per_day', true],
    ]);
  });

  it('settles in full what expired without a task; an attempt is settled by scheduling alone', () => {
    const world = worldOf({ projects: { p: { tokens_total: 1000 } } });
    const expires = new Date(world.now + 5_000).toISOString();
    request(world, 'chat', { expires, cost_usd: 0.5 });
    request(world, 'attempt', { expires, task_id: 't', attempt: 1 });
    world.step();
    world.now += 6_000;
    world.step();
    settle(world, 'chat', 10);
    world.step();
    expect(account(world, 'project/p')['total']).toEqual({ tokens: 100, nanos: 5e8 });
    expect(world.log.filter(isType('dats.quota.consumed'))[0]).toMatchObject({
      projectid: 'p',
      data: { reservation_id: 'chat', tokens: 100, cost_usd: 0.5, unknown: true },
    });
    expect(world.saved.has('ledger/o/attempt')).toBe(true);
  });

  it('answers an attempt in its project, in the same commit as in the ledger', () => {
    const world = worldOf({ projects: { p: { tokens_total: 150 } } });
    request(world, 'a', { task_id: 't', attempt: 1 });
    request(world, 'b', { task_id: 'u', attempt: 2, tokens: 200 });
    world.step();
    expect(world.answers.map(({ type, projectid, subject }) => [type, projectid, subject])).toEqual([
      ['dats.quota.reserved', 'p', 't'],
      ['dats.quota.blocked', 'p', 'u'],
    ]);
    expect(reservedIn(world)).toEqual(['a']);
    expect(blockedIn(world)).toEqual([]);
  });

  it('counts what is repeated once: requests, settlements, and both long after', () => {
    const world = worldOf({ projects: { p: { tokens_total: 1000 } } });
    const expires = new Date(world.now + 5_000).toISOString();
    for (let i = 0; i < 2; i++) request(world, 'a', { expires });
    world.step();
    for (let i = 0; i < 3; i++) settle(world, 'a', 70);
    request(world, 'a', { expires });
    world.step();
    world.now += 60_000;
    settle(world, 'a', 70);
    request(world, 'a', { expires });
    world.step();
    expect(reservedIn(world)).toEqual(['a']);
    expect(account(world, 'project/p')['total']).toEqual({ tokens: 70, nanos: 0 });
    expect([...world.saved.keys()].filter((key) => /^ledger\/[oc]\//.test(key))).toEqual([]);
  });

  it('a reset begins an account anew; what is set aside stays', () => {
    const world = worldOf({ projects: { p: { tokens_total: 200 } } });
    request(world, 'a');
    request(world, 'b');
    world.step();
    settle(world, 'a', 100);
    world.append('dats.quota.reset', { subject: { kind: 'project', id: 'p' }, by: 'grace', reason: 'a gift' });
    request(world, 'c');
    request(world, 'd', { tokens: 1 });
    world.step();
    expect(reservedIn(world)).toEqual(['a', 'b', 'c']);
    expect(blockedIn(world)).toMatchObject([{ reservation_id: 'd', used: 0, reserved: 200 }]);
  });

  it('decides by what holds now', () => {
    const world = worldOf({ projects: { p: { tokens_total: 50 } } });
    request(world, 'a');
    world.step();
    world.quotas = quotasConfigSchema.parse({ projects: { p: { tokens_total: 500 } } });
    request(world, 'b');
    world.step();
    expect(reservedIn(world)).toEqual(['b']);
  });
});

// Random requests, settlements, repetitions, expiries, changes of day, and restarts after every commit: never more than is allowed is used and set aside, sums are
// exact, and the state is the fold of the log.
const LIMITS: QuotasConfig = quotasConfigSchema.parse({
  projects: { p: { tokens_per_day: 1_000, cost_usd_per_month: 2 }, '*': { tokens_total: 5_000, requests_per_minute: 6 } },
  users: { ada: { tokens_per_month: 2_500, concurrency: 3 } },
  agents: { chat: { cost_usd_total: 1.5 } },
});
const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      project: fc.constantFrom('p', 'q', 'r'),
      user: fc.constantFrom('ada', 'bob', undefined),
      agent: fc.constantFrom('generate', 'chat'),
      tokens: fc.integer({ min: 0, max: 600 }),
      cents: fc.integer({ min: 0, max: 70 }),
      part: fc.boolean(),
      task: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('settle' as const), which: fc.nat(200), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which: fc.nat(500) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.constant(86_400_000), fc.constant(20 * 86_400_000)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('step' as const), count: fc.integer({ min: 1, max: 5 }) }) },
);

describe('the ledger under random histories', () => {
  it('never gives more than is allowed, counts exactly, and is the fold of its partition', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 5, maxLength: 120 }), fc.boolean(), (actions, restarts) => {
        const world = openLedgerWorld(LIMITS);
        const model = modelOf(LIMITS);
        let serial = 0;
        let seen = 0;
        for (const a of actions) {
          if (a.kind === 'request') {
            const cost_usd = a.cents / 100;
            const least = a.part ? { least: { tokens: Math.floor(a.tokens / 4), cost_usd: cost_usd / 4 } } : {};
            const task = a.task ? { task_id: `t${serial}`, attempt: 1 } : {};
            const user = a.user === undefined ? {} : { user: a.user };
            const expires = new Date(world.now + 30_000).toISOString();
            const data = {
              reservation_id: `r${serial++}`,
              ...user,
              agent: a.agent,
              tokens: a.tokens,
              cost_usd,
              ...least,
              ...task,
              expires,
            };
            world.append('dats.quota.requested', data, a.project);
          } else if (a.kind === 'settle') {
            const open = [...model.open.values()][a.which % Math.max(1, model.open.size)];
            if (open !== undefined)
              world.append(
                'dats.quota.consumed',
                {
                  reservation_id: open.id,
                  tokens: Math.floor(open.tokens * a.share),
                  cost_usd: Math.floor(open.nanos * a.share) / 1e9,
                  calls: 1,
                },
                open.project,
              );
          } else if (a.kind === 'repeat') {
            const again = world.log.filter(({ source }) => source !== '/deciders/quota')[a.which];
            if (again !== undefined) world.take(again);
          } else if (a.kind === 'time') world.now += a.ms;
          world.step(a.kind === 'step' ? a.count : undefined);
          if (restarts) world.restart();
          for (const event of ordered(world, seen)) model.take(event);
          seen = world.log.length;
          model.check();
        }
        world.step();
        for (const [key, json] of world.saved) {
          if (!key.startsWith('ledger/a/')) continue;
          const { total } = JSON.parse(json) as { total: { tokens: number; nanos: number } };
          const wanted = world.log.length === seen ? model.totals.get(key.slice('ledger/a/'.length)) : undefined;
          if (wanted !== undefined) expect(total).toEqual(wanted);
        }
        expect(world.rebuilt()).toEqual([...world.saved].sort(([a], [b]) => (a < b ? -1 : 1)));
      }),
      { numRuns: Number(process.env['DATS_RUNS'] ?? 300) },
    );
  });
});

/** What is new in the log, in the order in which it was folded: the ledger's own events right after what they followed. */
const ordered = (world: LedgerWorld, from: number): readonly DatsEvent[] =>
  world.log
    .map((event, offset) => ({ event, at: event.source === '/deciders/quota' ? Number(event.afteroffset) + 0.5 : offset, offset }))
    .slice(from)
    .sort((a, b) => a.at - b.at || a.offset - b.offset)
    .map(({ event }) => event);

interface Open {
  readonly id: string;
  readonly project: string;
  readonly keys: readonly string[];
  readonly tokens: number;
  readonly nanos: number;
}

/** Another ledger, obvious rather than fast: from what was reserved and consumed alone. */
const modelOf = (config: QuotasConfig) => {
  const open = new Map<string, Open>();
  const totals = new Map<string, { tokens: number; nanos: number }>();
  const used: { readonly key: string; readonly ms: number; readonly tokens: number; readonly nanos: number }[] = [];
  const grants: { readonly key: string; readonly ms: number }[] = [];
  let now = 0;
  const quotaOf = (key: string) => {
    const [kind, id] = key.split('/') as ['project' | 'user' | 'agent', string];
    const section = config[`${kind}s`];
    return section[id] ?? section['*'] ?? {};
  };
  return {
    open,
    totals,
    take(event: DatsEvent): void {
      now = Math.max(now, Date.parse(event.time));
      if (event.type === 'dats.quota.reserved') {
        const { reservation_id: id, user, agent, tokens, cost_usd } = event.data;
        expect(open.has(id)).toBe(false);
        const keys = [`project/${event.projectid}`, ...(user === undefined ? [] : [`user/${user}`]), `agent/${agent}`];
        open.set(id, { id, project: event.projectid, keys, tokens, nanos: Math.round(cost_usd * 1e9) });
        for (const key of keys) grants.push({ key, ms: now });
      } else if (event.type === 'dats.quota.consumed') {
        const { reservation_id: id, tokens, cost_usd } = event.data;
        const found = open.get(id);
        if (found === undefined) return;
        open.delete(id);
        const nanos = Math.round(cost_usd * 1e9);
        for (const key of found.keys) {
          const sum = totals.get(key) ?? { tokens: 0, nanos: 0 };
          totals.set(key, { tokens: sum.tokens + tokens, nanos: sum.nanos + nanos });
          used.push({ key, ms: now, tokens, nanos });
        }
      }
    },
    check(): void {
      for (const key of new Set([...open.values()].flatMap(({ keys }) => keys))) {
        const quota = quotaOf(key);
        const mine = [...open.values()].filter(({ keys }) => keys.includes(key));
        const sum = (what: 'tokens' | 'nanos', since: number): number =>
          mine.reduce((n, one) => n + one[what], 0) +
          used.filter((one) => one.key === key && one.ms >= since).reduce((n, one) => n + one[what], 0);
        const date = new Date(now);
        const month = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
        const day = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
        const most = Number.POSITIVE_INFINITY;
        expect(sum('tokens', day)).toBeLessThanOrEqual(quota.tokens_per_day ?? most);
        expect(sum('tokens', month)).toBeLessThanOrEqual(quota.tokens_per_month ?? most);
        expect(sum('tokens', 0)).toBeLessThanOrEqual(quota.tokens_total ?? most);
        expect(sum('nanos', month)).toBeLessThanOrEqual((quota.cost_usd_per_month ?? most) * 1e9);
        expect(sum('nanos', 0)).toBeLessThanOrEqual((quota.cost_usd_total ?? most) * 1e9);
        expect(mine.length).toBeLessThanOrEqual(quota.concurrency ?? most);
        expect(grants.filter((grant) => grant.key === key && grant.ms > now - 60_000).length).toBeLessThanOrEqual(
          quota.requests_per_minute ?? most,
        );
      }
    },
  };
};
