// What a call costs, and how many tokens a text is where nobody counted.
import { type ModelConfig, PRICED_AT_MODEL, type Prices } from '../schemas/index.js';
import type { GenerateRequest } from './runner.js';

/** English text and code run near four characters a token with the usual tokenizers; good to some 20 %. */
const CHARS_PER_TOKEN = 4;

export const tokensOf = (chars: number): number => Math.ceil(chars / CHARS_PER_TOKEN);

export const promptTokensOf = (request: GenerateRequest): number => {
  let chars = 0;
  for (const message of request.messages) chars += message.content.length;
  return tokensOf(chars);
};

/** What a server counted, where it is a count at all; else the estimate. */
export const countedOr = (counted: unknown, estimate: () => number): number =>
  typeof counted === 'number' && Number.isInteger(counted) && counted >= 0 ? counted : estimate();

/** What a model's tokens cost, USD a million, and which prices say so. */
export interface Price {
  readonly version: string;
  readonly input_per_mtok: number;
  readonly output_per_mtok: number;
}

/** What of a model's entry says what it costs. */
type Priced = Pick<ModelConfig, 'id' | 'model' | 'price_input_per_mtok' | 'price_output_per_mtok'>;

/**
 * The price of a model: what stands beside it in servers.yaml (a price that is missing beside the other counts as 0), else the price list's entry for it.
 * An entry names the model by its id or as its server does. One with the provider goes before one without; then one with the id before one with the name.
 * Undefined where nobody says: unknown is not free.
 */
export const priceOf = (config: Priced, provider: string, prices: Prices): Price | undefined => {
  const { id, price_input_per_mtok: input, price_output_per_mtok: output } = config;
  if (input !== undefined || output !== undefined)
    return { version: PRICED_AT_MODEL, input_per_mtok: input ?? 0, output_per_mtok: output ?? 0 };
  const find = (model: string, by: string | undefined) => prices.models.find((entry) => entry.model === model && entry.provider === by);
  const name = config.model ?? id;
  const entry = find(id, provider) ?? find(name, provider) ?? find(id, undefined) ?? find(name, undefined);
  return entry && { version: prices.version, input_per_mtok: entry.input_per_mtok, output_per_mtok: entry.output_per_mtok };
};

/** USD. */
export const costOf = (price: Price, inputTokens: number, outputTokens: number): number =>
  (inputTokens * price.input_per_mtok + outputTokens * price.output_per_mtok) / 1e6;
