// Hundreds of streams that are left in every way leave nothing. The long form is in bench.
import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it } from 'vitest';
import { openOllama } from './ollama.js';
import { openOpenAi } from './openai.js';
import type { ModelRunner } from './runner.js';
import { openOllamaServer } from './testing/ollama-server.js';
import { openOpenAiServer } from './testing/openai-server.js';
import type { Behaviour, WireServer } from './testing/wire-server.js';

const LIMITS = { idle_timeout_ms: 30_000, timeout_ms: 30_000 };
const ASK = { messages: [{ role: 'user', content: 'hi' } as const] };
const TOGETHER = 20;
/** Each in every way. */
const [WARM_UP, STREAMS] = [7 * TOGETHER, 14 * TOGETHER];
/** Of the heap, for each stream: a third of what one response takes that is not let go. */
const MOST_BYTES_KEPT = 3_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const heap = (): number => {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
};
/** Connections of this process, both ends of each. */
const resources = (): readonly string[] =>
  process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap' || kind === 'TLSWrap');

let server: WireServer | undefined;
afterEach(() => server?.close());

// Refusals are read whole, and their connections kept for the next call: those come last that leave none.
const WAYS: readonly Behaviour[] = ['garbage', 'overloaded_silent', 'hang', 'die_mid_stream', 'wrong_type', 'slow', 'slow'];

/** One stream that does not come to its end: aborted, left by its reader, or broken by the server. */
const leave = async (runner: ModelRunner, shared: AbortSignal, way: Behaviour, i: number): Promise<void> => {
  const abort = new AbortController();
  const signal = i % 3 === 0 ? AbortSignal.any([shared, abort.signal]) : abort.signal;
  if (way === 'hang') setImmediate(() => abort.abort());
  try {
    for await (const _ of runner.generate(ASK, signal)) {
      if (way !== 'slow') continue;
      if (i % 2 === 0) break;
      abort.abort();
    }
  } catch {
    // As ordered.
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
};

const leaveMany = async (runner: ModelRunner, shared: AbortSignal, count: number): Promise<void> => {
  for (let at = 0; at < count; at += TOGETHER) {
    // The server behaves alike for those that come together.
    const way = WAYS[(at / TOGETHER) % WAYS.length]!;
    server!.behaviour = way;
    await Promise.all(Array.from({ length: TOGETHER }, (_, i) => leave(runner, shared, way, at + i)));
    await server!.until(() => server!.running() === 0);
  }
};

it.each([
  [
    'ollama',
    openOllamaServer,
    (url: string) => openOllama({ id: 'm', model: 'test-model', base_url: url, context_tokens: 4096, ...LIMITS }),
  ],
  ['openai', openOpenAiServer, (url: string) => openOpenAi({ id: 'm', model: 'test-model', base_url: `${url}/v1`, ...LIMITS })],
] as const)(
  'streams of %s that were left keep no socket, no listener and no memory',
  async (_, openServer, openRunner) => {
    server = await openServer();
    const runner = openRunner(server.url);
    const shared = new AbortController();
    await leaveMany(runner, shared.signal, WARM_UP);
    const before = heap();
    await leaveMany(runner, shared.signal, STREAMS);
    expect(getEventListeners(shared.signal, 'abort')).toHaveLength(0);
    await expect.poll(() => server!.sockets(), { timeout: 10_000 }).toBe(0);
    await expect.poll(resources, { timeout: 10_000 }).toEqual([]);
    expect((heap() - before) / STREAMS).toBeLessThan(MOST_BYTES_KEPT);
  },
  60_000,
);
