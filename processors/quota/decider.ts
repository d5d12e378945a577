// The ledger: like a bank, one order of all that is set aside and settled. What a request concerns (a project, a user, an agent) is decided on at once.
//
// Q1. Used plus set aside never goes above what is allowed. Q2. Every reservation is settled once: by whoever asked, or, where that is no task's attempt and it has
// expired, here and in full. Q3. The answer for an attempt stands in the ledger and, in the same commit, with its project.
// Q4. State is the fold of this partition alone; what was allowed when is in its answers.
import { type DataOf, derivedId, type EventOf, LEDGER_KEY, QUOTA, type QuotasConfig } from '../../schemas/index.js';
import type { Decider } from '../decider.js';
import { type Draft, inChain, say, sayOn } from '../draft.js';
import { isoOf, millisOf } from '../iso-time.js';
import { dueTimers, nextTimer } from '../timers.js';
import { type Judgement, judge, keyOf, nanosOf, usdOf } from './limits.js';
import { changes, evolve, type LedgerState, newState, restore } from './state.js';

const LEDGER = 'ledger';

type Requested = EventOf<'dats.quota.requested'>;

/** @param quotas what holds now */
export const ledgerDecider = (quotas: () => QuotasConfig): Decider<LedgerState> => ({
  name: LEDGER,
  consumes: ['dats.quota.requested', 'dats.quota.reserved', 'dats.quota.consumed', 'dats.quota.reset'],
  initialState: newState,
  evolve,
  decide: (state, event) => (event.type === 'dats.quota.requested' && isNew(state, event) ? answer(state, event, quotas()) : []),
  nextDue: (state) => nextTimer(state.expiring),
  tick: (state, now) => dueTimers(state.expiring, now).map((id) => expired(state, id)),
  changes,
  restore,
});

/** S2 of state.ts. */
const isNew = (state: LedgerState, { data }: Requested): boolean => {
  if (state.open.has(data.reservation_id) || state.over.has(data.reservation_id)) return false;
  return data.task_id !== undefined || data.expires === undefined || millisOf(data.expires) > state.clock.ms;
};

const answer = (state: LedgerState, event: Requested, config: QuotasConfig): readonly Draft[] => {
  const { user, agent, tokens, cost_usd, least = { tokens, cost_usd } } = event.data;
  const wanted = {
    whose: { project: event.projectid, user, agent },
    amount: { tokens, nanos: nanosOf(cost_usd) },
    least: { tokens: least.tokens, nanos: nanosOf(least.cost_usd) },
  };
  const judgement = judge(config, (subject) => state.accounts.get(keyOf(subject)), wanted, state.clock.ms);
  return judgement.ok ? granted(event, judgement) : blocked(event, judgement);
};

const granted = ({ data }: Requested, { granted: { tokens, nanos } }: Extract<Judgement, { ok: true }>): readonly Draft[] => {
  const { reservation_id: id, task_id, least: _least, ...asked } = data;
  const said: DataOf<'dats.quota.reserved'> = {
    reservation_id: id,
    ...(task_id === undefined ? {} : { task_id }),
    ...asked,
    tokens,
    cost_usd: usdOf(nanos),
  };
  const kept = sayOn(QUOTA, LEDGER_KEY, 'dats.quota.reserved', id, said, derivedId(id, 'reserved'));
  return task_id === undefined ? [kept] : [kept, say('dats.quota.reserved', task_id, said, derivedId(id, 'reserved', task_id))];
};

const blocked = ({ data }: Requested, { block: { retryMs, ...why } }: Extract<Judgement, { ok: false }>): readonly Draft[] => {
  const { reservation_id: id, task_id, attempt } = data;
  const said: DataOf<'dats.quota.blocked'> = { reservation_id: id, ...why };
  if (task_id !== undefined) said.task_id = task_id;
  if (attempt !== undefined) said.attempt = attempt;
  if (retryMs !== undefined) said.retry_at = isoOf(retryMs);
  return [
    task_id === undefined
      ? sayOn(QUOTA, LEDGER_KEY, 'dats.quota.blocked', id, said, derivedId(id, 'blocked'))
      : say('dats.quota.blocked', task_id, said, derivedId(id, 'blocked')),
  ];
};

/** Whoever asked is gone: what it used is not known, and unknown is not free. */
const expired = (state: LedgerState, id: string): Draft => {
  const { whose, tokens, nanos, correlationid } = state.open.get(id)!;
  const said: DataOf<'dats.quota.consumed'> = { reservation_id: id, tokens, cost_usd: usdOf(nanos), calls: 0, unknown: true };
  return inChain(
    { projectid: whose.project, correlationid: correlationid! },
    sayOn(QUOTA, LEDGER_KEY, 'dats.quota.consumed', id, said, derivedId(id, 'consumed')),
  );
};
