// Servers that cannot be reached as configured, or are none: each ends in its Fault, at once, says what to do, and leaves no connection.
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { openOllama } from './ollama.js';
import { openOpenAi } from './openai.js';
import type { ModelFaultCode, ModelRunner } from './runner.js';
import { type BrokenPeer, openBrokenPeer, type Peer } from './testing/broken-peer.js';

const LIMITS = { idle_timeout_ms: 30_000, timeout_ms: 30_000 };
const [KEY, PROMPT] = ['sk-recognisable-0123456789', 'a recognisable prompt'];
const { signal } = new AbortController();

const FAULTS: readonly (readonly [Peer, ModelFaultCode, string])[] = [
  ['refused', 'model_unreachable', 'ECONNREFUSED: nobody listens there; start the server'],
  [
    'self_signed',
    'model_unreachable',
    'DEPTH_ZERO_SELF_SIGNED_CERT: its certificate is not trusted; give its authority in NODE_EXTRA_CA_CERTS',
  ],
  ['plain', 'model_unreachable', 'no TLS is spoken there; write http:// in base_url'],
  ['tls', 'model_unreachable', 'where it speaks TLS, base_url begins with https://'],
  ['reset', 'model_unreachable', 'the other side cut the connection'],
  ['closed', 'model_unreachable', 'the other side cut the connection'],
  ['echo', 'model_garbage', 'what came is not HTTP; check host and port in base_url'],
  // Not HTTP to one runner, and of the wrong type before that to another.
  ['bad_chunk', 'model_garbage', ''],
  ['error_echo', 'model_rejected', 'HTTP 400'],
  ['page_echo', 'model_garbage', 'answered with text/html, not '],
];

let peer: BrokenPeer | undefined;
afterEach(() => peer?.close());

const RUNNERS: readonly (readonly [string, (url: string) => ModelRunner])[] = [
  ['ollama', (url) => openOllama({ id: 'm', model: 'x', base_url: url, api_key: KEY, context_tokens: 2048, ...LIMITS })],
  ['openai', (url) => openOpenAi({ id: 'm', model: 'x', base_url: `${url}/v1`, api_key: KEY, ...LIMITS })],
];

describe.each(RUNNERS)('the runner of %s', (_, open) => {
  const asked = (runner: ModelRunner): readonly Promise<unknown>[] => [
    (async () => {
      for await (const _ of runner.generate({ messages: [{ role: 'user', content: PROMPT }] }, signal));
    })(),
    runner.embed([PROMPT], signal),
    runner.models(signal),
  ];

  it.each(FAULTS)('gives %s up as %s: "%s"', async (kind, code, words) => {
    peer = await openBrokenPeer(kind);
    const runner = open(peer.url);
    const ends = await Promise.allSettled(asked(runner));
    for (const end of ends) {
      const { reason } = end as PromiseRejectedResult;
      expect(reason).toMatchObject({ code, message: expect.stringContaining(words) });
      const all = inspect(reason, { depth: null, showHidden: true });
      for (const secret of [KEY, PROMPT]) expect(all).not.toContain(secret);
    }
    const health = await runner.health(signal);
    expect(health).toMatchObject({ ok: false, detail: expect.stringContaining(words) });
    expect(JSON.stringify(health)).not.toContain(KEY);
    await expect.poll(() => peer!.sockets()).toBe(0);
  });

  it('takes a body that ends too soon for none', async () => {
    peer = await openBrokenPeer('short_body');
    for (const end of await Promise.allSettled(asked(open(peer.url)))) {
      const { reason } = end as PromiseRejectedResult;
      expect(['model_unreachable', 'model_garbage']).toContain(reason.code);
      for (const secret of [KEY, PROMPT]) expect(inspect(reason, { depth: null })).not.toContain(secret);
    }
  });
});
