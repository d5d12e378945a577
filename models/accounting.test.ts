import { describe, expect, it } from 'vitest';
import { costOf, countedOr, promptTokensOf, tokensOf } from './accounting.js';

describe('accounting', () => {
  it('computes the cost from prices a million tokens, and knows that no price is not free', () => {
    expect(costOf({ price_input_per_mtok: 3, price_output_per_mtok: 15 }, 1_000, 200)).toBeCloseTo(0.006, 12);
    expect(costOf({ price_output_per_mtok: 15 }, 1_000_000, 0)).toBe(0);
    expect(costOf({}, 1_000, 200)).toBeUndefined();
  });

  it('estimates tokens at four characters each, and believes only counts that are counts', () => {
    expect([0, 1, 4, 5].map(tokensOf)).toEqual([0, 1, 1, 2]);
    expect(
      promptTokensOf({
        messages: [
          { role: 'system', content: 'abcd' },
          { role: 'user', content: 'ef' },
        ],
      }),
    ).toBe(2);
    expect([7, 0, null, undefined, -1, 1.5, '3'].map((counted) => countedOr(counted, () => 99))).toEqual([7, 0, 99, 99, 99, 99, 99]);
  });
});
