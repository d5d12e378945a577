// Real model servers for integration tests, and what they cannot be made to do.
//
// R1. Where CI is set, a server that cannot be had fails the run. Elsewhere its tests are skipped, the reason is printed, and no server is built by surprise.
// They are the tests' own, because they are killed; those that the whole run shares (streams/testing/servers.ts) are not.
import type { LocalModelServer } from '../../deploy/local/index.mjs';
import type { GenerateChunk, GenerateRequest } from '../runner.js';
import type { Behaviour } from './wire-server.js';

const inCi = (): boolean => (process.env['CI'] ?? '') !== '' && process.env['CI'] !== 'false';

/** Undefined where it cannot be had (R1). */
export const realServer = async (
  name: string,
  start: (options: { readonly build: boolean }) => Promise<LocalModelServer>,
): Promise<LocalModelServer | undefined> => {
  try {
    return await start({ build: inCi() });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (inCi()) throw new Error(`${name} cannot be had, and CI must have it: ${why}`, { cause: error });
    console.warn(`\n!! ${name} cannot be had here, so its tests are SKIPPED: ${why}\n`);
    return undefined;
  }
};

const ORDERED = 'a real server does not misbehave to order';

export const REAL_CANNOT: Readonly<Partial<Record<Behaviour, string>>> = {
  unmetered: ORDERED,
  slow: ORDERED,
  hang: ORDERED,
  garbage: ORDERED,
  truncated: ORDERED,
  die_mid_stream: ORDERED,
  refuse: ORDERED,
  stream_error: ORDERED,
  overloaded: ORDERED,
  overloaded_until: ORDERED,
  overloaded_silent: ORDERED,
  error: ORDERED,
  reject: 'it wants no key',
  tool_calls: 'noise calls no tools by itself: tested with a grammar that makes it',
  repeated: ORDERED,
  after_end: ORDERED,
  empty: ORDERED,
  wrong_type: ORDERED,
  bad_request: ORDERED,
  redirect: ORDERED,
  proxy: ORDERED,
};

/** A machine under load is given time. */
export const REAL_LIMITS = { idle_timeout_ms: 60_000, timeout_ms: 120_000 };

export const asking = (content: string, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  messages: [{ role: 'user', content }],
  seed: 1,
  temperature: 0,
  ...more,
});
export const collected = async (chunks: AsyncIterable<GenerateChunk>): Promise<readonly GenerateChunk[]> => {
  const all: GenerateChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
};
export const reasonsOf = (ends: readonly PromiseSettledResult<unknown>[]): readonly unknown[] =>
  ends.map((end) => (end.status === 'rejected' ? end.reason : 'it ended by itself'));
export const textOf = (chunks: readonly GenerateChunk[]): string => chunks.map((c) => (c.kind === 'text' ? c.text : '')).join('');
