// Budgets as the API shows them, and accounts that begin anew.
//
// Q1. What is shown is what the ledger had committed when it was asked. Q2. A reset is on disk when it is answered, and nearly always done.
import { setTimeout as sleep } from 'node:timers/promises';
import { isoOf } from '../processors/index.js';
import { type Account, type Accounts, endOf, keyOf, LEDGER_GROUP, quotaOf, recentCount, usdOf, usedIn } from '../processors/quota/index.js';
import {
  dataschemaOf,
  type EventOf,
  LEDGER_KEY,
  newId,
  QUOTA,
  QUOTA_SUBJECTS,
  type QuotaAccount,
  type QuotaSubject,
  type QuotasConfig,
  type ResetAnswer,
  type ResetQuota,
} from '../schemas/index.js';
import { outgoing } from '../streams/index.js';
import { ANONYMOUS, type Requester, SOURCE } from './commands.js';
import { traceparentOf } from './middleware/correlation.js';
import type { Services } from './services.js';

/** How long a reset is waited for, and how often it is looked at; milliseconds. */
const RESET_WAIT_MS = 2_000;
const LOOK_MS = 20;

const NOTHING = { tokens: 0, nanos: 0 };
const shownSum = ({ tokens, nanos }: { readonly tokens: number; readonly nanos: number }) => ({ tokens, cost_usd: usdOf(nanos) });

const shown = (subject: QuotaSubject, account: Account | undefined, config: QuotasConfig, now: number): QuotaAccount => {
  const used = (window: 'day' | 'month' | 'total') => shownSum(account === undefined ? NOTHING : usedIn(account, window, now));
  return {
    kind: subject.kind,
    id: subject.id,
    limits: quotaOf(config, subject) ?? {},
    used: { day: used('day'), month: used('month'), total: used('total') },
    reserved: shownSum(account?.reserved ?? NOTHING),
    running: account?.open ?? 0,
    requests_last_minute: account === undefined ? 0 : recentCount(account, now, 1).count,
    day_ends: isoOf(endOf('day', now)!),
    month_ends: isoOf(endOf('month', now)!),
  };
};

const SECTIONS = { project: 'projects', user: 'users', agent: 'agents' } as const;

/** Whoever is named in the configuration, or used something. */
const subjectsIn = (accounts: Accounts, config: QuotasConfig): ReadonlyMap<string, QuotaSubject> => {
  const named = QUOTA_SUBJECTS.flatMap((kind) =>
    Object.keys(config[SECTIONS[kind]]).flatMap((id): QuotaSubject[] => (id === '*' ? [] : [{ kind, id }])),
  );
  return new Map([...named, ...accounts.all()].map(({ kind, id }) => [keyOf({ kind, id }), { kind, id }]));
};

export interface QuotaFilter {
  readonly kind?: QuotaSubject['kind'] | undefined;
  /** Those after this one, by kind and id. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** @throws Fault of the log */
export const listQuotas = async ({ deps, ledger, closing }: Services, { kind, after, limit }: QuotaFilter) => {
  const accounts = await ledger.read(closing);
  const config = deps.settings.current().quotas;
  const keys = [...subjectsIn(accounts, config)]
    .filter(([key, subject]) => (kind === undefined || subject.kind === kind) && (after === undefined || key > after))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const page = keys.slice(0, limit);
  return {
    quotas: page.map(([, subject]) => shown(subject, accounts.get(subject), config, deps.now())),
    next: keys.length > limit ? page.at(-1)![0] : undefined,
  };
};

/** @throws Fault of the log */
export const quotaNow = async ({ deps, ledger, closing }: Services, subject: QuotaSubject): Promise<QuotaAccount> =>
  shown(subject, (await ledger.read(closing)).get(subject), deps.settings.current().quotas, deps.now());

const resetEvent = (
  { deps }: Services,
  subject: QuotaSubject,
  { reason, by = ANONYMOUS }: ResetQuota,
  { correlationId, traceparent }: Requester,
): EventOf<'dats.quota.reset'> => {
  const id = newId();
  return {
    specversion: '1.0',
    id,
    source: SOURCE,
    type: 'dats.quota.reset',
    time: isoOf(deps.now()),
    subject: keyOf(subject),
    datacontenttype: 'application/json',
    dataschema: dataschemaOf('dats.quota.reset'),
    projectid: subject.kind === 'project' ? subject.id : LEDGER_KEY,
    correlationid: correlationId,
    traceparent: traceparentOf(traceparent, id),
    actor: by,
    configversion: deps.settings.current().version,
    data: { subject, by, reason },
  };
};

/** @throws Fault of the log */
export const resetQuota = async (
  services: Services,
  subject: QuotaSubject,
  body: ResetQuota,
  requester: Requester,
): Promise<ResetAnswer> => {
  const { log } = services.deps;
  const [position] = await log.append([outgoing(QUOTA, resetEvent(services, subject, body, requester), LEDGER_KEY)]);
  const { partition, offset } = position!;
  let done = false;
  for (const deadline = performance.now() + RESET_WAIT_MS; !done && performance.now() < deadline && !services.closing.aborted; ) {
    const lags = await log.lag(LEDGER_GROUP, [QUOTA]);
    done = lags.some((lag) => lag.partition === partition && lag.committed > offset);
    if (!done) await sleep(LOOK_MS);
  }
  return { done, quota: await quotaNow(services, subject) };
};
