// Models and prices for tests: what a tier's model costs rises with the tier.
import { serversSchema } from '../../../schemas/index.js';

const { models, prices } = serversSchema.parse({
  version: 1,
  models: ['small', 'medium', 'large'].map((tier, i) => ({
    id: `${tier}-model`,
    runner: 'scripted',
    tiers: [tier],
    price_input_per_mtok: 1 + i * 4,
    price_output_per_mtok: 2 + i * 8,
  })),
});

export const pricesConfig = { models, prices };
