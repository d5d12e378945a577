import { afterEach, describe, expect, it } from 'vitest';
import type { QuotaAccount } from '../../schemas/index.js';
import { openRunDats } from './testing/run-dats.js';

const dats = openRunDats();
afterEach(dats.close);

const NONE = { tokens: 0, cost_usd: 0 };
const DEMO: QuotaAccount = {
  kind: 'project',
  id: 'demo',
  limits: { tokens_per_day: 200_000, concurrency: 4 },
  used: {
    day: { tokens: 41_310, cost_usd: 0.0124 },
    month: { tokens: 50_000, cost_usd: 0.02 },
    total: { tokens: 60_000, cost_usd: 0.1 + 0.2 },
  },
  reserved: { tokens: 32_000, cost_usd: 0 },
  running: 2,
  requests_last_minute: 7,
  day_ends: '2026-11-28T00:00:00.000Z',
  month_ends: '2026-12-01T00:00:00.000Z',
};
const ADA: QuotaAccount = {
  ...DEMO,
  kind: 'user',
  id: 'ada',
  limits: {},
  used: { day: NONE, month: NONE, total: NONE },
  reserved: NONE,
  running: 0,
};

const serve = (next_cursor: string | null = null, done = true): Promise<void> =>
  dats.serve((request, response) => {
    const path = request.url!.split('?', 1)[0]!;
    response.setHeader('content-type', 'application/json');
    if (path === '/api/v1/quotas') response.end(JSON.stringify({ quotas: [DEMO, ADA], next_cursor }));
    else if (path.endsWith('/reset')) response.end(JSON.stringify({ done, quota: ADA }));
    else response.end(JSON.stringify(DEMO));
  });

describe('dats quota', () => {
  it('lists accounts with what they may use, and have used', async () => {
    await serve('more');
    expect(await dats(['quota'])).toEqual({
      code: 0,
      out: [
        'KIND     ID    TOKENS TODAY  TOKENS  COST_USD  SET ASIDE  RUNNING  LIMITS',
        'project  demo  41310         60000   0.3       32000      2        tokens_per_day 41310 of 200000, concurrency 2 of 4',
        'user     ada   0             0       0         0          0        none',
        '',
      ].join('\n'),
      err: '(the first 2; more with --limit)\n',
    });
    expect(dats.requests[0]!.url).toBe('/api/v1/quotas?limit=100');
    await dats(['quota', 'user', '--limit', '5']);
    expect(dats.requests[1]!.url).toBe('/api/v1/quotas?kind=user&limit=5');
  });

  it('shows one, by windows', async () => {
    await serve();
    expect((await dats(['quota', 'project', 'demo'])).out.split('\n')).toEqual([
      'project demo',
      'today      41310 tokens, 0.0124 USD (until 2026-11-28T00:00:00.000Z)',
      'this month 50000 tokens, 0.02 USD (until 2026-12-01T00:00:00.000Z)',
      'in all     60000 tokens, 0.3 USD',
      'set aside  32000 tokens, 0 USD, for 2 running',
      'requests   7 in the last minute',
      'limits     tokens_per_day 41310 of 200000, concurrency 2 of 4',
      '',
    ]);
    expect(JSON.parse((await dats(['quota', 'project', 'demo', '--json'])).out)).toEqual(DEMO);
  });

  it('begins an account anew', async () => {
    await serve();
    expect(await dats(['quota', 'reset', 'user', 'a b/c', '--reason', 'a gift'])).toMatchObject({
      code: 0,
      out: 'user a b/c: begins anew\n',
    });
    expect(dats.posted('quotas/user/a%20b%2Fc/reset')).toEqual([{ body: { reason: 'a gift' }, keyed: false }]);
    await dats.close();
    await serve(null, false);
    expect((await dats(['quota', 'reset', 'user', 'ada'])).out).toContain('as soon as the ledger takes it in');
  });

  it('wants a kind that there is, and whose', async () => {
    await serve();
    expect(await dats(['quota', 'team', 'a'])).toMatchObject({ code: 2, err: expect.stringContaining('<kind>') });
    expect(await dats(['quota', 'reset', 'user'])).toMatchObject({ code: 2 });
    expect(dats.requests).toEqual([]);
  });
});
