// What one ask may still use: calls, tokens and money. The hard stop before each call.
//
// E1. What a call may use at most is set aside before it is made, and settled with what it used when it has ended, failed calls too.
// E2. A call that does not fit is not made, and no other after it. Where its answer could be cut to fit, it is.
// E3. A model without a price costs nothing here: nobody knows better.
import { type Allowance, Fault } from '../schemas/index.js';
import type { Price } from './accounting.js';

/** An answer shorter than this is worth no call, tokens. */
export const SHORTEST_ANSWER_TOKENS = 16;

export interface Plan {
  /** Id in servers.yaml. */
  readonly model: string;
  readonly price: Price | undefined;
  /** Estimate. */
  readonly prompt_tokens: number;
  /** What the answer may be at most; 0: there is none but a vector. */
  readonly answer_tokens: number;
}

/** What is set aside for one call. */
export interface Stake {
  /** What the answer may be at most now. */
  readonly answer_tokens: number;
  readonly tokens: number;
  readonly cost: number;
}

export interface Used {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cost_usd?: number | undefined;
}

export interface Spending {
  /** Sets aside what the call may use. @throws Fault `call_limit` or `budget_exceeded`; then nothing is */
  take(plan: Plan): Stake;
  settle(stake: Stake, used: Used): void;
  /** The call was not made after all: nothing of it counts. */
  release(stake: Stake): void;
}

const NOTHING: Stake = { answer_tokens: 0, tokens: 0, cost: 0 };

const UNLIMITED: Spending = {
  take: ({ answer_tokens }) => ({ ...NOTHING, answer_tokens }),
  settle: () => {},
  release: () => {},
};

const overBudget = (model: string, what: string): Fault =>
  new Fault(
    'terminal',
    'budget_exceeded',
    `model ${model} is not asked: ${what}. Raise the budget under \`quotas\`, or ask for less (dats config get quotas)`,
  );

const usd = (amount: number): string => `${Number(amount.toPrecision(4))} USD`;

export const openSpending = (allowance: Allowance | undefined): Spending => {
  if (allowance === undefined) return UNLIMITED;
  let calls = allowance.calls ?? Number.POSITIVE_INFINITY;
  let tokens = allowance.tokens ?? Number.POSITIVE_INFINITY;
  let cost = allowance.cost_usd ?? Number.POSITIVE_INFINITY;

  /** How long an answer the money that is left pays for. */
  const affordable = ({ model, price, prompt_tokens }: Plan): number => {
    if (price === undefined) return Number.POSITIVE_INFINITY;
    const left = cost - (prompt_tokens * price.input_per_mtok) / 1e6;
    if (left < 0) throw overBudget(model, `its prompt alone costs more than the ${usd(cost)} that are left of what was set aside`);
    return price.output_per_mtok === 0 ? Number.POSITIVE_INFINITY : Math.floor((left * 1e6) / price.output_per_mtok);
  };

  return {
    take: (plan) => {
      const { model, price, prompt_tokens, answer_tokens } = plan;
      if (calls < 1)
        throw new Fault(
          'terminal',
          'call_limit',
          `model ${model} is not asked: all the calls that this work may make were made. Raise quotas.task.calls (dats config get quotas)`,
        );
      const shortest = Math.min(answer_tokens, SHORTEST_ANSWER_TOKENS);
      const fits = Math.min(answer_tokens, tokens - prompt_tokens);
      if (fits < shortest)
        throw overBudget(model, `prompt and answer need about ${prompt_tokens + shortest} tokens, and ${Math.max(0, tokens)} are left`);
      const paid = Math.min(fits, affordable(plan));
      if (paid < shortest) throw overBudget(model, `the ${usd(cost)} that are left of what was set aside pay for no answer`);
      const stake: Stake = {
        answer_tokens: paid,
        tokens: prompt_tokens + paid,
        cost: price === undefined ? 0 : (prompt_tokens * price.input_per_mtok + paid * price.output_per_mtok) / 1e6,
      };
      calls -= 1;
      tokens -= stake.tokens;
      cost -= stake.cost;
      return stake;
    },
    settle: (stake, { input_tokens, output_tokens, cost_usd = 0 }) => {
      tokens += stake.tokens - input_tokens - output_tokens;
      cost += stake.cost - cost_usd;
    },
    release: (stake) => {
      calls += 1;
      tokens += stake.tokens;
      cost += stake.cost;
    },
  };
};
