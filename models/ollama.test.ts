import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openOllama } from './ollama.js';
import { runnerContract } from './runner.contract.js';
import type { GenerateChunk } from './runner.js';
import { openOllamaServer } from './testing/ollama-server.js';
import type { WireServer } from './testing/wire-server.js';

const LIMITS = { idle_timeout_ms: 10_000, timeout_ms: 10_000 };
const { signal } = new AbortController();

runnerContract(
  'ollama',
  async (behaviour, limits) => {
    const server = await openOllamaServer();
    if (behaviour === 'unreachable') await server.close();
    else server.behaviour = behaviour;
    return {
      runner: openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 4096, ...limits }),
      stuck: () => server.until(() => server.running() > 0),
      left: () => server.until(() => server.left() > 0 && server.running() === 0),
      close: () => server.close(),
    };
  },
  { cannot: { refuse: "Ollama's protocol has no refusal" } },
);

describe('the Ollama runner', () => {
  let server: WireServer;
  beforeEach(async () => {
    server = await openOllamaServer();
  });
  afterEach(() => server.close());
  const open = (model = 'test-model') => openOllama({ id: 'm', model, base_url: server.url, context_tokens: 8192, ...LIMITS });

  it('sends what was asked in the names of the protocol', async () => {
    const request = {
      messages: [{ role: 'user', content: 'hi' } as const],
      max_tokens: 9,
      temperature: 0.5,
      seed: 3,
      stop: ['X'],
      json: true,
    };
    for await (const _ of open().generate({ ...request, hints: { task: 'secret' } }, signal));
    expect(server.requests[0]).toEqual({
      model: 'test-model',
      messages: request.messages,
      stream: true,
      format: 'json',
      options: { num_ctx: 8192, num_predict: 9, temperature: 0.5, seed: 3, stop: ['X'] },
    });
  });

  it('tells the digest of the build once it knows it', async () => {
    const runner = open();
    await runner.health(signal);
    let last: GenerateChunk | undefined;
    for await (const chunk of runner.generate({ messages: [{ role: 'user', content: 'hi' }] }, signal)) last = chunk;
    expect(last).toMatchObject({ kind: 'done', model_digest: 'digest-of-test-model' });
  });

  it('is unhealthy without its model, and says how to get it', async () => {
    server.models = ['other:latest'];
    expect(await open('mine').health(signal)).toMatchObject({ ok: false, detail: expect.stringContaining('ollama pull mine') });
    expect(await open('other').health(signal)).toMatchObject({ ok: true });
  });

  it('prints nothing, whatever comes', async () => {
    const spies = (['log', 'warn', 'error'] as const).map((level) => vi.spyOn(console, level).mockImplementation(() => {}));
    for (const behaviour of ['garbage', 'error', 'reject', 'stream_error', 'truncated'] as const) {
      server.behaviour = behaviour;
      await expect(
        (async () => {
          for await (const _ of open().generate({ messages: [{ role: 'user', content: 'hi' }] }, signal));
        })(),
      ).rejects.toBeDefined();
    }
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });

  it('uses a connection again after a whole answer', async () => {
    const runner = open();
    for (let i = 0; i < 5; i++) for await (const _ of runner.generate({ messages: [{ role: 'user', content: 'hi' }] }, signal));
    expect(server.left()).toBe(0);
    // A second may be opened in the instant before the first is known to be free.
    expect(await server.sockets()).toBeLessThan(3);
  });
});
