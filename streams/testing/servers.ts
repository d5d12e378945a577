// Where integration tests find the real servers that their run has started (test/support/servers.ts).
import { describe, inject } from 'vitest';

export type ServerName = 'kafka' | 'redis' | 'registry' | 'ollama' | 'llama';
/** A server that runs, or why there is none. */
export type TestServer = { readonly address: string; readonly missing?: never } | { readonly missing: string; readonly address?: never };

declare module 'vitest' {
  export interface ProvidedContext {
    /** Brokers, `host:port`. */
    kafka: TestServer;
    /** `redis://...` */
    redis: TestServer;
    /** Base of the Confluent-compatible API. */
    registry: TestServer;
    /** Base of Ollama's API. Its model is `tiny`: noise. */
    ollama: TestServer;
    /** Base of llama.cpp's OpenAI API, with `/v1`. Its model is `tiny` too. */
    llama: TestServer;
  }
}

/** `describe` for suites that need servers: where one is missing they are skipped, and say why (never in CI, where the run has failed by then). */
export const describeWith = (names: readonly ServerName[], title: string, suite: () => void): void => {
  const missing = names.flatMap((name) => {
    const { missing: why } = inject(name);
    return why === undefined ? [] : [`${name}: ${why.split('\n')[0]}`];
  });
  if (missing.length === 0) describe(title, suite);
  else describe.skip(`${title} (skipped: ${missing.join('; ')})`, suite);
};

/** The address of a server that the suite has been described with. */
export const addressOf = (name: ServerName): string => {
  const { address, missing } = inject(name);
  if (address === undefined) throw new Error(`${name} is missing: ${missing}`);
  return address;
};
