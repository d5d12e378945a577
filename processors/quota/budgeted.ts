// A door to the models for work before the first attempt of a task: what it may use is set aside before each question and settled after it.
//
// U1. No question is asked that its budget does not allow. U2. What is set aside is what the question may use; the models are told, and keep to it.
import { type Answer, type Ask, type ModelGateway, promptTokensOf } from '../../models/index.js';
import { type CallSummary, type EventOf, Fault, MOST_RECORDED, newId } from '../../schemas/index.js';
import { type Spending, withinReserved } from './spend.js';

export interface Budgeted extends Pick<ModelGateway, 'ask'> {
  /** Every call so far. */
  readonly calls: CallSummary[];
}

export interface BudgetedOptions {
  readonly models: Pick<ModelGateway, 'ask'>;
  /** Absent: nobody has a budget. */
  readonly spending: Spending | undefined;
  readonly work: EventOf<'dats.work.requested'>;
  readonly agent: 'analyse' | 'decompose';
  readonly user: string | undefined;
}

/** An answer is expected at the first call or the second. */
const CALLS_EXPECTED = 2;
/** An answer for which nobody names a limit, in tokens. */
const ANSWER_TOKENS = 4_096;
/** Longer than such a question takes, in milliseconds: what its process leaves behind then counts as used. */
const EXPIRES_MS = 10 * 60 * 1000;

const sumOf = (calls: readonly CallSummary[]) => ({
  tokens: calls.reduce((sum, { input_tokens, output_tokens }) => sum + input_tokens + output_tokens, 0),
  costUsd: calls.reduce((sum, { cost_usd }) => sum + (cost_usd ?? 0), 0),
  calls: calls.length,
});

export const budgeted = ({ models, spending, work, agent, user }: BudgetedOptions): Budgeted => {
  const calls: CallSummary[] = [];

  const within = async (ask: Ask, signal: AbortSignal): Promise<Answer> => {
    if (spending === undefined) return models.ask(ask, signal);
    const one = promptTokensOf(ask) + (ask.max_tokens ?? ANSWER_TOKENS);
    const least = { tokens: one, costUsd: one * spending.price(ask.tier, ask.model) };
    const amount = { tokens: least.tokens * CALLS_EXPECTED, costUsd: least.costUsd * CALLS_EXPECTED, least };
    const whose = { project: work.projectid, agent, ...(user === undefined ? {} : { user }) };
    const request = { reservationId: newId(), ...whose, ...amount, expiresMs: EXPIRES_MS, correlationId: work.correlationid };
    const answer = await spending.reserve(request, signal);
    if (!answer.ok)
      throw answer.retryAfterMs === undefined
        ? new Fault('terminal', 'budget_exceeded', answer.message)
        : new Fault('retryable', 'quota_reached', answer.message);
    const before = calls.length;
    try {
      const allowance = withinReserved(ask.allowance, answer.reserved);
      return await models.ask(allowance === undefined ? ask : { ...ask, allowance }, signal);
    } finally {
      await answer.settle(sumOf(calls.slice(before)));
    }
  };

  return {
    calls,
    ask: (ask, signal) => {
      const { allowance } = work.data;
      const more: { -readonly [K in keyof Ask]?: Ask[K] } = {
        project_id: work.projectid,
        onCall: (call) => {
          if (calls.length < MOST_RECORDED) calls.push(call);
        },
      };
      if (user !== undefined) more.user = user;
      if (allowance !== undefined) more.allowance = allowance;
      return within({ ...ask, ...more }, signal);
    },
  };
};
