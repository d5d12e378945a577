// What a token may cost at the most: what is set aside must do for the dearest model that may be asked.
import { priceOf } from '../../models/index.js';
import type { ModelConfig, Prices, Tier } from '../../schemas/index.js';

/** USD a token of the model that is named, else of the dearest of the tier (of all, where the tier has none). 0 where nobody says what they cost. */
export const dearestPrice =
  (models: () => readonly ModelConfig[], prices: () => Prices) =>
  (tier: Tier, model: string | undefined): number => {
    const all = models();
    const named = all.filter(({ id }) => id === model);
    const fitting = named.length > 0 ? named : all.filter(({ tiers }) => tiers.includes(tier));
    let most = 0;
    for (const config of fitting.length > 0 ? fitting : all) {
      const price = priceOf(config, config.provider ?? config.runner, prices());
      if (price !== undefined) most = Math.max(most, price.input_per_mtok, price.output_per_mtok);
    }
    return most / 1e6;
  };
