import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openSpending, type Plan, SHORTEST_ANSWER_TOKENS } from './spending.js';

const PRICE = { version: '1', input_per_mtok: 10, output_per_mtok: 20 };
const plan = (over: Partial<Plan> = {}): Plan => ({ model: 'm', price: PRICE, prompt_tokens: 100, answer_tokens: 1_000, ...over });
const USED = { input_tokens: 100, output_tokens: 50, cost_usd: 0.002 };

describe('what an ask may use', () => {
  it('is unlimited where nothing says otherwise', () => {
    expect(openSpending(undefined).take(plan())).toMatchObject({ answer_tokens: 1_000 });
    const spending = openSpending({});
    for (let i = 0; i < 100; i++) spending.settle(spending.take(plan()), USED);
  });

  it('ends with its calls', () => {
    const spending = openSpending({ calls: 2 });
    spending.settle(spending.take(plan()), USED);
    spending.release(spending.take(plan()));
    spending.settle(spending.take(plan()), USED);
    expect(() => spending.take(plan())).toThrow(expect.objectContaining({ code: 'call_limit', kind: 'terminal' }));
    expect(() => openSpending({ calls: 0 }).take(plan())).toThrow(expect.objectContaining({ code: 'call_limit' }));
  });

  it('cuts the answer to the tokens that are left, and ends where they are too few', () => {
    const spending = openSpending({ tokens: 600 });
    const first = spending.take(plan());
    expect(first.answer_tokens).toBe(500);
    spending.settle(first, { input_tokens: 120, output_tokens: 300 });
    expect(spending.take(plan({ prompt_tokens: 180 - SHORTEST_ANSWER_TOKENS })).answer_tokens).toBe(SHORTEST_ANSWER_TOKENS);
    expect(() => spending.take(plan({ prompt_tokens: 1 }))).toThrow(expect.objectContaining({ code: 'budget_exceeded', kind: 'terminal' }));
  });

  it('counts what calls really used, more than was set aside too', () => {
    const spending = openSpending({ tokens: 1_000 });
    spending.settle(spending.take(plan({ answer_tokens: 100 })), { input_tokens: 900, output_tokens: 200 });
    expect(() => spending.take(plan({ prompt_tokens: 1, answer_tokens: 1 }))).toThrow(expect.objectContaining({ code: 'budget_exceeded' }));
  });

  it('cuts the answer to the money that is left', () => {
    const spending = openSpending({ cost_usd: 0.002 });
    expect(spending.take(plan())).toMatchObject({ answer_tokens: 50, cost: 0.002 });
    expect(() => spending.take(plan())).toThrow(expect.objectContaining({ code: 'budget_exceeded' }));
    expect(() => openSpending({ cost_usd: 0.0009 }).take(plan())).toThrow(
      expect.objectContaining({ message: expect.stringContaining('0.0009 USD') }),
    );
    expect(() => openSpending({ cost_usd: 0 }).take(plan({ price: undefined }))).not.toThrow();
  });

  it('of vectors is their texts alone', () => {
    const spending = openSpending({ tokens: 100 });
    expect(spending.take(plan({ answer_tokens: 0 })).answer_tokens).toBe(0);
    expect(() => spending.take(plan({ answer_tokens: 0 }))).toThrow(expect.objectContaining({ code: 'budget_exceeded' }));
  });

  it('is never exceeded by calls that keep to what they were given, however many run at a time', () => {
    const step = fc.record({
      prompt: fc.nat(300),
      answer: fc.integer({ min: 1, max: 500 }),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
      ends: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(2_000), (steps, tokens) => {
        const spending = openSpending({ tokens, cost_usd: 0.02 });
        let [usedTokens, usedCost] = [0, 0];
        const open: (() => void)[] = [];
        for (const { prompt, answer, part, ends } of steps) {
          try {
            const stake = spending.take(plan({ prompt_tokens: prompt, answer_tokens: answer }));
            const output_tokens = Math.floor(stake.answer_tokens * part);
            const cost_usd = (prompt * 10 + output_tokens * 20) / 1e6;
            open.push(() => {
              usedTokens += prompt + output_tokens;
              usedCost += cost_usd;
              spending.settle(stake, { input_tokens: prompt, output_tokens, cost_usd });
            });
          } catch {}
          if (ends) open.shift()?.();
        }
        for (const end of open) end();
        expect(usedTokens).toBeLessThanOrEqual(tokens);
        expect(usedCost).toBeLessThanOrEqual(0.02 + 1e-9);
      }),
    );
  });
});
