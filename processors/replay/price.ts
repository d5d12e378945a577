// What an answer cost, by the prices of the configuration in force: all lanes are priced alike.
import { costOf, type Price, priceOf } from '../../models/index.js';
import { type ModelConfig, modelConfigSchema, type Prices } from '../../schemas/index.js';
import type { AttemptRun } from './runs.js';

/** USD; undefined where nobody says what the model costs. */
export type CostOf = (attempt: Pick<AttemptRun, 'model' | 'provider' | 'tokensIn' | 'tokensOut'>) => number | undefined;

/** A model that is configured no more may still be in the price list. */
const bareModel = (id: string): ModelConfig | undefined => modelConfigSchema.safeParse({ id, runner: 'scripted', tiers: ['small'] }).data;

export const pricing = (models: readonly ModelConfig[], prices: Prices): CostOf => {
  const known = new Map<string, Price | undefined>();
  const priceFor = (model: string, provider: string): Price | undefined => {
    const key = `${model}\u001f${provider}`;
    if (known.has(key)) return known.get(key);
    const config = models.find(({ id }) => id === model) ?? bareModel(model);
    const price = config === undefined ? undefined : priceOf(config, provider, prices);
    known.set(key, price);
    return price;
  };
  return ({ model, provider, tokensIn, tokensOut }) => {
    const price = model === undefined ? undefined : priceFor(model, provider ?? '');
    return price === undefined ? undefined : costOf(price, tokensIn, tokensOut);
  };
};
