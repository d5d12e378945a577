import { describe, expect, it } from 'vitest';
import { modelConfigSchema, type Prices } from '../schemas/index.js';
import { costOf, countedOr, priceOf, promptTokensOf, tokensOf } from './accounting.js';

describe('accounting', () => {
  it('computes the cost from prices a million tokens', () => {
    expect(costOf({ version: 'v', input_per_mtok: 3, output_per_mtok: 15 }, 1_000, 200)).toBeCloseTo(0.006, 12);
    expect(costOf({ version: 'v', input_per_mtok: 0, output_per_mtok: 15 }, 1_000_000, 0)).toBe(0);
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

describe('the price of a model', () => {
  const model = (over: object = {}) =>
    modelConfigSchema.parse({ id: 'big', runner: 'openai', base_url: 'http://x', model: 'gpt-4.1', tiers: ['large'], ...over });
  const entry = (model: string, input_per_mtok: number, provider?: string): Prices['models'][number] => ({
    model,
    ...(provider === undefined ? {} : { provider }),
    input_per_mtok,
    output_per_mtok: 10 * input_per_mtok,
  });
  const list = (...models: Prices['models']): Prices => ({ version: '2026-11', models });
  const inputPrice = (...models: Prices['models']) => priceOf(model(), 'openai', list(...models))?.input_per_mtok;

  it('is what the list says of it, by the name that the server knows or by its id, under the version of the list', () => {
    const found = { version: '2026-11', input_per_mtok: 2, output_per_mtok: 20 };
    expect(priceOf(model(), 'openai', list(entry('other', 1), entry('gpt-4.1', 2)))).toEqual(found);
    expect(priceOf(model(), 'openai', list(entry('other', 1), entry('big', 2)))).toEqual(found);
    expect(priceOf(model({ model: undefined }), 'openai', list(entry('gpt-4.1', 1), entry('big', 2)))).toEqual(found);
  });

  it('is the one of its provider before that of whoever, and the one of its id before that of its name', () => {
    const entries = [entry('big', 1), entry('gpt-4.1', 2), entry('gpt-4.1', 3, 'azure'), entry('gpt-4.1', 4, 'openai')];
    expect(inputPrice(...entries)).toBe(4);
    expect(inputPrice(...entries, entry('big', 5, 'openai'))).toBe(5);
    expect(inputPrice(...entries.slice(0, 3))).toBe(1);
    expect(inputPrice(...entries.slice(0, 3).reverse())).toBe(1);
    expect(inputPrice(...entries.slice(1, 3))).toBe(2);
    expect(inputPrice(...entries.slice(2, 3))).toBeUndefined();
  });

  it('beside the model goes before the list, and one that is missing beside the other is 0', () => {
    const prices = list(entry('big', 2));
    expect(priceOf(model({ price_output_per_mtok: 7 }), 'openai', prices)).toEqual({
      version: 'model',
      input_per_mtok: 0,
      output_per_mtok: 7,
    });
    expect(priceOf(model({ price_input_per_mtok: 0 }), 'openai', prices)).toEqual({
      version: 'model',
      input_per_mtok: 0,
      output_per_mtok: 0,
    });
  });

  it('is unknown where nobody says it, which is not free', () => {
    expect(priceOf(model(), 'openai', list())).toBeUndefined();
    expect(priceOf(model(), 'openai', list(entry('gpt-4.1-mini', 2)))).toBeUndefined();
  });
});
