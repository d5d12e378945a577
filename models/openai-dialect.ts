// How servers of OpenAI's protocol differ, by provider and host. What a server refuses is not sent; what it ignores in silence is not sent either, so that
// whoever reads a request sees what holds.
import type { GenerateRequest } from './runner.js';

export interface Dialect {
  /** OpenAI's own newer models refuse `max_tokens`; most other servers know nothing else. */
  readonly token_limit: 'max_tokens' | 'max_completion_tokens';
  /** What it ignores. */
  readonly ignores: ReadonlySet<keyof GenerateRequest>;
  /** Above this it is cut or refused. */
  readonly hottest: number;
  /** Stop sequences of white space alone are refused. */
  readonly blank_stops: boolean;
  /** Headers that only its list of models wants, instead of `Authorization`. */
  listHeaders(apiKey: string | undefined): Readonly<Record<string, string | null>>;
}

const COMMON: Dialect = { token_limit: 'max_tokens', ignores: new Set(), hottest: 2, blank_stops: true, listHeaders: () => ({}) };

const OPENAI: Dialect = { ...COMMON, token_limit: 'max_completion_tokens' };

/** Its compatible endpoint (platform.claude.com/docs/en/api/openai-sdk): the list of models is that of its own API. */
const ANTHROPIC: Dialect = {
  token_limit: 'max_completion_tokens',
  ignores: new Set(['seed', 'json', 'json_schema', 'presence_penalty', 'frequency_penalty'] as const),
  hottest: 1,
  blank_stops: false,
  listHeaders: (apiKey) => ({ authorization: null, 'x-api-key': apiKey ?? null, 'anthropic-version': '2023-06-01' }),
};

const OPENAI_HOST = /^(api\.openai\.com|[\w-]+\.openai\.azure\.com)$/;
const ANTHROPIC_HOST = /^api\.anthropic\.com$/;

export const dialectOf = ({ base_url, provider }: { readonly base_url: string; readonly provider?: string }): Dialect => {
  const { hostname } = new URL(base_url);
  if (ANTHROPIC_HOST.test(hostname) || provider === 'anthropic') return ANTHROPIC;
  return OPENAI_HOST.test(hostname) ? OPENAI : COMMON;
};

/** What of a request this server is sent. */
export const spoken = (dialect: Dialect, request: GenerateRequest): GenerateRequest => {
  if (dialect.ignores.size === 0 && dialect.blank_stops && (request.temperature ?? 0) <= dialect.hottest) return request;
  const kept = Object.fromEntries(Object.entries(request).filter(([name]) => !dialect.ignores.has(name as keyof GenerateRequest)));
  const stop = request.stop?.filter((text) => dialect.blank_stops || text.trim() !== '');
  return {
    ...kept,
    messages: request.messages,
    ...(request.temperature === undefined ? {} : { temperature: Math.min(request.temperature, dialect.hottest) }),
    ...(stop === undefined || stop.length === 0 ? { stop: [] } : { stop }),
  };
};
