// What a call costs, and how many tokens a text is where nobody counted.
import type { ModelConfig } from '../schemas/index.js';
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

type Prices = Pick<ModelConfig, 'price_input_per_mtok' | 'price_output_per_mtok'>;

/** USD; undefined where servers.yaml names no price, because unknown is not free. A price that is missing beside a named one counts as 0. */
export const costOf = (prices: Prices, inputTokens: number, outputTokens: number): number | undefined =>
  prices.price_input_per_mtok === undefined && prices.price_output_per_mtok === undefined
    ? undefined
    : (inputTokens * (prices.price_input_per_mtok ?? 0) + outputTokens * (prices.price_output_per_mtok ?? 0)) / 1e6;
