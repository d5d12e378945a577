// A door to the models for work before the first attempt of a task, and for who asks for an analysis, a plan or a replay alone: what it may use is set aside before
// each question and settled after it.
//
// U1. No question is asked that its budget does not allow. U2. What is set aside is what the question may use; the models are told, and keep to it.
import { type Answer, type Ask, type ModelGateway, promptTokensOf } from '../../models/index.js';
import { type Allowance, type CallSummary, type EventOf, Fault, isFault, MOST_RECORDED, newId } from '../../schemas/index.js';
import { type Spending, type SpendingAnswer, withinReserved } from './spend.js';

export interface Budgeted extends Pick<ModelGateway, 'ask'> {
  /** Every call so far. */
  readonly calls: CallSummary[];
  /** Why nothing could be set aside for a question, which then was not asked. */
  readonly refusal: Fault | undefined;
}

/** Whom questions are on the account of. */
export interface Charged {
  readonly project: string;
  readonly user: string | undefined;
  readonly correlationId?: string;
  /** What they may use beside that. */
  readonly allowance?: Allowance | undefined;
}

export interface BudgetedOptions {
  readonly models: Pick<ModelGateway, 'ask'>;
  /** Absent: nobody has a budget. */
  readonly spending: Spending | undefined;
  readonly agent: 'analyse' | 'decompose' | 'replay';
  readonly charged: Charged;
}

/** An answer is expected at the first call or the second. */
const CALLS_EXPECTED = 2;
/** An answer for which nobody names a limit, in tokens. */
const ANSWER_TOKENS = 4_096;
/** Longer than such a question takes, in milliseconds: what its process leaves behind then counts as used. */
const EXPIRES_MS = 10 * 60 * 1000;

export const chargedFor = ({ projectid, correlationid, data }: EventOf<'dats.work.requested'>, user: string | undefined): Charged => ({
  project: projectid,
  user,
  correlationId: correlationid,
  allowance: data.allowance,
});

const sumOf = (calls: readonly CallSummary[]) => ({
  tokens: calls.reduce((sum, { input_tokens, output_tokens }) => sum + input_tokens + output_tokens, 0),
  costUsd: calls.reduce((sum, { cost_usd }) => sum + (cost_usd ?? 0), 0),
  calls: calls.length,
});

const refusalOf = ({ blocked, message, retryAfterMs }: Extract<SpendingAnswer, { ok: false }>): Fault => {
  const code = blocked.retry_at === undefined ? 'budget_exceeded' : 'quota_reached';
  return retryAfterMs === undefined ? new Fault('terminal', code, message) : new Fault('retryable', code, message, { retryAfterMs });
};

export const budgeted = ({ models, spending, agent, charged }: BudgetedOptions): Budgeted => {
  const { project, user, correlationId, allowance } = charged;
  const calls: CallSummary[] = [];
  let refusal: Fault | undefined;

  const reserved = async (ask: Ask, from: Spending, signal: AbortSignal): Promise<Extract<SpendingAnswer, { ok: true }>> => {
    const tokens = promptTokensOf(ask) + (ask.max_tokens ?? ANSWER_TOKENS);
    const least = { tokens, costUsd: tokens * from.price(ask.tier, ask.model) };
    const amount = { tokens: least.tokens * CALLS_EXPECTED, costUsd: least.costUsd * CALLS_EXPECTED, least };
    const whose = { project, agent, ...(user === undefined ? {} : { user }), ...(correlationId === undefined ? {} : { correlationId }) };
    try {
      const answer = await from.reserve({ reservationId: newId(), ...whose, ...amount, expiresMs: EXPIRES_MS }, signal);
      if (!answer.ok) throw refusalOf(answer);
      return answer;
    } catch (error) {
      if (isFault(error)) refusal = error;
      throw error;
    }
  };

  const within = async (ask: Ask, signal: AbortSignal): Promise<Answer> => {
    if (spending === undefined) return models.ask(ask, signal);
    const answer = await reserved(ask, spending, signal);
    const before = calls.length;
    try {
      const most = withinReserved(ask.allowance, answer.reserved);
      return await models.ask(most === undefined ? ask : { ...ask, allowance: most }, signal);
    } finally {
      await answer.settle(sumOf(calls.slice(before)));
    }
  };

  return {
    calls,
    get refusal() {
      return refusal;
    },
    ask: (ask, signal) => {
      const more: { -readonly [K in keyof Ask]?: Ask[K] } = {
        project_id: project,
        onCall: (call) => {
          if (calls.length < MOST_RECORDED) calls.push(call);
          ask.onCall?.(call);
        },
      };
      if (user !== undefined) more.user = user;
      if (allowance !== undefined) more.allowance = allowance;
      return within({ ...ask, ...more }, signal);
    },
  };
};
