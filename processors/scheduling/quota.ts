// What an attempt may use of models, and what it used. Pure.
//
// B1. A task never causes more calls, tokens or cost than `quotas.task` allows, all its attempts together. B2. Where a budget applies to its project, its user or the
// agent, an attempt begins when its share is set aside in the ledger, and may not use more. B3. What was set aside is settled once, with the end of the attempt: with
// what its calls used; with all of it where it had begun and nobody says; with nothing where it had not begun. Unknown is not free.
import {
  type Allowance,
  type CallSummary,
  type DataOf,
  derivedId,
  type EventOf,
  type QuotasConfig,
  quotasConfigSchema,
  type TaskError,
  type Tier,
} from '../../schemas/index.js';
import { limitedBy, nanosOf, refusalText, usdOf } from '../quota/index.js';
import { whoseOf } from './gates.js';
import type { OpenTask, Used } from './state.js';

export interface SchedulingQuotas {
  /** What holds now. */
  readonly quotas: () => QuotasConfig;
  /** USD a token, of the dearest model that may be asked; 0 where nobody says. */
  readonly price: (tier: Tier, model: string | undefined) => number;
}

const DEFAULTS = quotasConfigSchema.parse({});
/** No budgets; of one task only the calls are limited. */
export const NO_QUOTAS: SchedulingQuotas = { quotas: () => DEFAULTS, price: () => 0 };

/** An analysis guesses low where much is read: so many times its guess, and never less than the floor, is set aside for an attempt. Tokens. */
const MARGIN = 4;
const FLOOR_TOKENS = 16_000;
/** With less than this an attempt is not begun. */
const LEAST_TOKENS = 1_000;
/** How many calls an attempt counts that had begun and whose end says nothing: as many as one question to the model gateway may cause. */
const UNKNOWN_CALLS = 4;

export const NOTHING_USED: Used = { calls: 0, tokens: 0, nanos: 0 };

export const usedBy = (calls: readonly CallSummary[]): Used => {
  let [tokens, nanos] = [0, 0];
  for (const { input_tokens, output_tokens, cost_usd } of calls) {
    tokens += input_tokens + output_tokens;
    nanos += nanosOf(cost_usd ?? 0);
  }
  return { calls: calls.length, tokens, nanos };
};

/** Of an output. Older builds named the call that answered only. */
export const usedFor = ({ calls, tokens_in, tokens_out }: DataOf<'dats.task.output.created'>): Used =>
  calls === undefined ? { calls: 1, tokens: tokens_in + tokens_out, nanos: 0 } : usedBy(calls);

/** B3: of an attempt whose end says nothing. */
export const unknownUse = ({ stage, given }: OpenTask): Used =>
  stage === 'running' ? { calls: UNKNOWN_CALLS, tokens: given?.tokens ?? 0, nanos: nanosOf(given?.cost_usd ?? 0) } : NOTHING_USED;

export const count = (task: OpenTask, { calls, tokens, nanos }: Used): void => {
  const before = task.used ?? NOTHING_USED;
  task.used = { calls: before.calls + calls, tokens: before.tokens + tokens, nanos: before.nanos + nanos };
};

type Amount = NonNullable<DataOf<'dats.quota.requested'>['least']>;
export type Step =
  | { readonly kind: 'ready'; readonly allowance: Allowance }
  /** `allowance`: but for what the ledger sets aside. */
  | { readonly kind: 'ask'; readonly allowance: Allowance; readonly amount: Amount; readonly least: Amount }
  | { readonly kind: 'over'; readonly blocked: DataOf<'dats.quota.blocked'>; readonly error: TaskError };

/** How the next attempt of a task goes on. */
export const stepFor = (task: OpenTask, { quotas, price }: SchedulingQuotas): Step => {
  const config = quotas();
  const { calls, tokens, cost_usd } = config.task;
  const used = task.used ?? NOTHING_USED;
  const over = (limit: 'calls' | 'tokens' | 'cost_usd', spent: number, allowed: number): Step => overdrawn(task, limit, spent, allowed);
  if (used.calls >= calls) return over('calls', used.calls, calls);
  if (tokens !== undefined && used.tokens >= tokens) return over('tokens', used.tokens, tokens);
  if (cost_usd !== undefined && used.nanos >= nanosOf(cost_usd)) return over('cost_usd', usdOf(used.nanos), cost_usd);

  const perToken = price(task.tier, task.options.model);
  const wished = Math.max(FLOOR_TOKENS, MARGIN * (task.estimate ?? 0));
  const most = Math.min(wished, tokens === undefined ? wished : tokens - used.tokens);
  const costOf = (n: number): number => usdOf(nanosOf(n * perToken));
  const left = cost_usd === undefined ? Number.POSITIVE_INFINITY : usdOf(nanosOf(cost_usd) - used.nanos);
  const amount = { tokens: most, cost_usd: Math.min(costOf(most), left) };
  const allowance: Allowance = { calls: calls - used.calls };
  if (tokens !== undefined) allowance.tokens = amount.tokens;
  if (cost_usd !== undefined) allowance.cost_usd = perToken === 0 ? left : amount.cost_usd;

  const limited = limitedBy(config, whoseOf(task));
  if (!limited.any) return { kind: 'ready', allowance };
  const asked = ({ tokens, cost_usd }: Amount): Amount => ({ tokens: limited.tokens ? tokens : 0, cost_usd: limited.cost ? cost_usd : 0 });
  const least = Math.min(amount.tokens, Math.max(LEAST_TOKENS, task.estimate ?? 0));
  return { kind: 'ask', allowance, amount: asked(amount), least: asked({ tokens: least, cost_usd: Math.min(costOf(least), left) }) };
};

const overdrawn = (task: OpenTask, limit: 'calls' | 'tokens' | 'cost_usd', used: number, allowed: number): Step => ({
  kind: 'over',
  blocked: {
    task_id: task.id,
    attempt: task.attempt + 1,
    subject: { kind: 'task', id: task.id },
    limit,
    asked: limit === 'calls' ? 1 : 0,
    used,
    allowed,
  },
  error: {
    code: limit === 'calls' ? 'call_limit' : 'budget_exceeded',
    message: `the task has used ${used} of the ${allowed} that quotas.task.${limit} allows to one task, all its attempts together; raise it, or make the task smaller`,
    retryable: false,
  },
});

/** What an attempt may use whose reservation was granted. */
export const allowanceOf = (step: Step, { tokens, cost_usd }: DataOf<'dats.quota.reserved'>): Allowance => {
  const allowance: Allowance = step.kind === 'over' ? { calls: 0 } : { ...step.allowance };
  if (tokens > 0) allowance.tokens = tokens;
  if (cost_usd > 0) allowance.cost_usd = cost_usd;
  return allowance;
};

export const reservationIdOf = (task: OpenTask): string => derivedId(task.id, 'reservation', task.attempt + 1, (task.asks ?? 0) + 1);

export const settlementOf = (
  task: OpenTask,
  reservation_id: string,
  { calls, tokens, nanos }: Used,
  unknown: boolean,
): DataOf<'dats.quota.consumed'> => {
  const data: DataOf<'dats.quota.consumed'> = {
    reservation_id,
    task_id: task.id,
    attempt: task.attempt,
    tokens,
    cost_usd: usdOf(nanos),
    calls,
  };
  if (unknown) data.unknown = true;
  return data;
};

/** The models gave up an attempt because it had used what it might: said before the task ends. Undefined: that was not why. */
export const usedUp = (
  task: OpenTask,
  { error }: EventOf<'dats.task.attempt.failed'>['data'],
): DataOf<'dats.quota.blocked'> | undefined => {
  if (error.code !== 'call_limit' && error.code !== 'budget_exceeded') return undefined;
  const limit =
    error.code === 'call_limit' ? 'calls' : task.given?.tokens === undefined && task.given?.cost_usd !== undefined ? 'cost_usd' : 'tokens';
  const { calls, tokens, nanos } = task.used ?? NOTHING_USED;
  const used = { calls, tokens, cost_usd: usdOf(nanos) }[limit];
  const data: DataOf<'dats.quota.blocked'> = {
    task_id: task.id,
    attempt: task.attempt,
    subject: { kind: 'task', id: task.id },
    limit,
    asked: limit === 'calls' ? 1 : 0,
    used,
    allowed: limit === 'calls' ? used : (task.given?.[limit] ?? used),
  };
  if (task.reservation !== undefined) data.reservation_id = task.reservation;
  return data;
};

/** Why a task ends that the ledger refused for good. */
export const refusalOf = (blocked: DataOf<'dats.quota.blocked'>): TaskError => ({
  code: 'budget_exceeded',
  message: refusalText(blocked),
  retryable: false,
});
