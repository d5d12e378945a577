// Which quotas hold for whom, and what of an amount they let through. Pure.
//
// L1. Money is counted in whole nano-dollars: sums are exact, whatever their order. L2. A request is measured against all its accounts at once: it gets the same
// amount from each, or nothing from any. L3. What can be had once others have settled is waited for; only what could not be had even then is refused for good.
import {
  QUOTA_SUBJECTS,
  type Quota,
  type QuotaBlocked,
  type QuotaLimit,
  type QuotaSubject,
  type QuotasConfig,
} from '../../schemas/index.js';
import { millisOf } from '../iso-time.js';
import { type Account, endOf, recentCount, type Sum, usedIn, type Window } from './account.js';

/** Whose budgets are concerned. */
export interface Whose {
  readonly project: string;
  readonly user?: string | undefined;
  readonly agent: string;
}

const NANOS = 1e9;
export const nanosOf = (usd: number): number => Math.round(usd * NANOS);
export const usdOf = (nanos: number): number => nanos / NANOS;

export const keyOf = ({ kind, id }: QuotaSubject): string => `${kind}/${id}`;

/** Project first, then user, then agent: the order in which they are named as the reason of a refusal. */
export const subjectsOf = (whose: Whose): readonly QuotaSubject[] =>
  QUOTA_SUBJECTS.flatMap((kind) => {
    const id = whose[kind];
    return id === undefined ? [] : [{ kind, id }];
  });

const SECTION = { project: 'projects', user: 'users', agent: 'agents' } as const;

/** The quota of a subject: its own, else that of everyone. */
export const quotaOf = (config: QuotasConfig, { kind, id }: QuotaSubject): Quota | undefined => {
  const section = config[SECTION[kind]];
  return Object.hasOwn(section, id) ? section[id] : section['*'];
};

/** What of a request is limited at all. */
export interface Limited {
  readonly any: boolean;
  readonly tokens: boolean;
  readonly cost: boolean;
}

export const limitedBy = (config: QuotasConfig, whose: Whose): Limited => {
  const limits = subjectsOf(whose).flatMap((subject) => Object.keys(quotaOf(config, subject) ?? {}));
  return {
    any: limits.length > 0,
    tokens: limits.some((limit) => limit.startsWith('tokens')),
    cost: limits.some((limit) => limit.startsWith('cost')),
  };
};

type BudgetLimit = Exclude<QuotaLimit, 'requests_per_minute' | 'concurrency'>;
const BUDGETS: Readonly<Record<BudgetLimit, readonly [what: keyof Sum, window: Window]>> = {
  tokens_per_day: ['tokens', 'day'],
  tokens_per_month: ['tokens', 'month'],
  tokens_total: ['tokens', 'total'],
  cost_usd_per_day: ['nanos', 'day'],
  cost_usd_per_month: ['nanos', 'month'],
  cost_usd_total: ['nanos', 'total'],
};
const isBudget = (limit: QuotaLimit): limit is BudgetLimit => Object.hasOwn(BUDGETS, limit);

/** After so long somebody may have settled, who is not seen from where it is waited; milliseconds. */
export const ASK_AGAIN_MS = 1_000;

export interface Wanted {
  readonly whose: Whose;
  readonly amount: Sum;
  /** Less than this is of no use. */
  readonly least: Sum;
}

type Block = Pick<QuotaBlocked, 'subject' | 'limit' | 'asked' | 'used' | 'reserved' | 'allowed'> & {
  /** Milliseconds since the epoch; absent: for good. */
  readonly retryMs?: number;
};
export type Judgement = { readonly ok: true; readonly granted: Sum } | { readonly ok: false; readonly block: Block };

/** What of `wanted` can be set aside at `now`. @param accountOf undefined: it never used anything */
export const judge = (
  config: QuotasConfig,
  accountOf: (subject: QuotaSubject) => Account | undefined,
  wanted: Wanted,
  now: number,
): Judgement => {
  const granted: { -readonly [K in keyof Sum]: Sum[K] } = { ...wanted.amount };
  let wait: Block | undefined;
  for (const subject of subjectsOf(wanted.whose)) {
    const quota = quotaOf(config, subject) ?? {};
    const account = accountOf(subject);
    for (const limit of Object.keys(quota) as QuotaLimit[]) {
      const allowed = quota[limit];
      if (allowed === undefined) continue;
      const found = isBudget(limit) ? budget(limit, allowed, subject, account, wanted, now) : pace(limit, allowed, subject, account, now);
      if (typeof found === 'number') {
        if (isBudget(limit)) granted[BUDGETS[limit][0]] = Math.min(granted[BUDGETS[limit][0]], found);
      } else if (found.retryMs === undefined) return { ok: false, block: found };
      else if (wait === undefined || found.retryMs > wait.retryMs!) wait = found;
    }
  }
  return wait === undefined ? { ok: true, granted } : { ok: false, block: wait };
};

/** How much a budget lets through of what is wanted, or why it does not. Near its end whoever is alone takes what is left; others wait for that (L3). */
const budget = (
  limit: BudgetLimit,
  said: number,
  subject: QuotaSubject,
  account: Account | undefined,
  { amount, least }: Wanted,
  now: number,
): number | Block => {
  const [what, window] = BUDGETS[limit];
  const isMoney = what === 'nanos';
  const allowed = isMoney ? nanosOf(said) : said;
  const used = account === undefined ? 0 : usedIn(account, window, now)[what];
  const reserved = account?.reserved[what] ?? 0;
  const left = allowed - used - reserved;
  if (left >= amount[what]) return amount[what];
  if (reserved === 0 && left >= least[what]) return left;
  const shown = (n: number): number => (isMoney ? usdOf(n) : n);
  const block = { subject, limit, asked: shown(least[what]), used: shown(used), reserved: shown(reserved), allowed: said };
  return allowed - used >= least[what] ? { ...block, retryMs: now + ASK_AGAIN_MS } : block;
};

/** 0, or when it is worth asking again. */
const pace = (
  limit: 'requests_per_minute' | 'concurrency',
  allowed: number,
  subject: QuotaSubject,
  account: Account | undefined,
  now: number,
): number | Block => {
  const open = account?.open ?? 0;
  if (limit === 'concurrency')
    return open < allowed ? 0 : { subject, limit, asked: 1, used: 0, reserved: open, allowed, retryMs: now + ASK_AGAIN_MS };
  const { count, freeAt } = account === undefined ? { count: 0, freeAt: now } : recentCount(account, now, allowed);
  return count < allowed ? 0 : { subject, limit, asked: 1, used: count, reserved: 0, allowed, retryMs: freeAt };
};

/** When what was refused can be had, milliseconds since the epoch: also where a budget is used up that begins anew. Undefined: waiting does not help. */
export const hadFrom = ({ limit, asked, allowed, retry_at }: QuotaBlocked, now: number): number | undefined => {
  if (retry_at !== undefined) return millisOf(retry_at);
  if (asked > allowed || !Object.hasOwn(BUDGETS, limit)) return undefined;
  return endOf(BUDGETS[limit as BudgetLimit][1], now);
};

/** Why something is not to be had, for people. */
export const refusalText = ({ subject, limit, asked, used, reserved = 0, allowed, retry_at }: QuotaBlocked): string => {
  const aside = reserved > 0 ? ` and ${reserved} set aside` : '';
  const next = retry_at === undefined ? 'raise the quota, or reset the account' : `worth asking again at ${retry_at}`;
  return `${limit} of ${subject.kind} ${subject.id} is ${allowed}: ${used} used${aside}, ${asked} asked; ${next}`;
};
