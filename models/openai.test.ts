import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openOpenAi } from './openai.js';
import { runnerContract } from './runner.contract.js';
import { openOpenAiServer } from './testing/openai-server.js';
import type { WireServer } from './testing/wire-server.js';

const LIMITS = { idle_timeout_ms: 10_000, timeout_ms: 10_000 };
const { signal } = new AbortController();
const ASK = { messages: [{ role: 'user', content: 'hi' } as const] };

runnerContract('openai', async (behaviour, limits) => {
  const server = await openOpenAiServer();
  if (behaviour === 'unreachable') await server.close();
  else server.behaviour = behaviour;
  return {
    runner: openOpenAi({ id: 'm', model: 'test-model', base_url: `${server.url}/v1`, ...limits }),
    stuck: () => server.until(() => server.running() > 0),
    left: () => server.until(() => server.left() > 0 && server.running() === 0),
    close: () => server.close(),
  };
});

describe('the OpenAI runner', () => {
  let server: WireServer;
  beforeEach(async () => {
    server = await openOpenAiServer();
  });
  afterEach(() => server.close());
  const open = (options: { model?: string; api_key?: string } = {}) =>
    openOpenAi({ id: 'm', model: 'test-model', base_url: `${server.url}/v1`, ...LIMITS, ...options });

  it('sends what was asked in the names of the protocol', async () => {
    const request = { ...ASK, max_tokens: 9, temperature: 0.5, seed: 3, stop: ['X'], json: true };
    for await (const _ of open().generate({ ...request, hints: { task: 'secret' } }, signal));
    expect(server.requests[0]).toEqual({
      model: 'test-model',
      messages: ASK.messages,
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 9,
      temperature: 0.5,
      seed: 3,
      stop: ['X'],
      response_format: { type: 'json_object' },
    });
  });

  it('sends its own key, a dummy where there is none, and never one of the environment', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'key-of-the-environment');
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'authorization: Bearer key-of-the-environment');
    for await (const _ of open().generate(ASK, signal));
    for await (const _ of open({ api_key: 'key-of-the-config' }).generate(ASK, signal));
    vi.unstubAllEnvs();
    expect(server.authorizations).toEqual(['Bearer none', 'Bearer key-of-the-config']);
  });

  it.each([
    ['https://api.openai.com/v1', 'max_completion_tokens'],
    ['https://api.openai.com.example/v1', 'max_tokens'],
  ])('names the token limit for %s as %s', async (base_url, name) => {
    const bodies: unknown[] = [];
    const toServer: typeof fetch = (_, init) => {
      bodies.push(JSON.parse(String(init?.body)));
      return fetch(`${server.url}/v1/chat/completions`, init);
    };
    for await (const _ of openOpenAi({ id: 'm', model: 'test-model', base_url, fetch: toServer, ...LIMITS }).generate(
      { ...ASK, max_tokens: 7 },
      signal,
    ));
    expect(bodies).toEqual([expect.objectContaining({ [name]: 7 })]);
  });

  it('asks once: retrying is not its business', async () => {
    for (const behaviour of ['error', 'overloaded', 'die_mid_stream'] as const) {
      server.behaviour = behaviour;
      const before = server.requests.length;
      await expect(
        (async () => {
          for await (const _ of open().generate(ASK, signal));
        })(),
      ).rejects.toBeDefined();
      expect(server.requests.length - before).toBe(1);
    }
  });

  it('is unhealthy when the server lists other models only', async () => {
    expect(await open({ model: 'unknown' }).health(signal)).toMatchObject({ ok: false, detail: expect.stringContaining('unknown') });
    server.models = [];
    expect(await open({ model: 'unknown' }).health(signal)).toMatchObject({ ok: true });
  });

  it('prints nothing, whatever comes', async () => {
    const spies = (['log', 'warn', 'error', 'debug', 'info'] as const).map((level) =>
      vi.spyOn(console, level).mockImplementation(() => {}),
    );
    for (const behaviour of ['garbage', 'error', 'reject', 'stream_error', 'truncated'] as const) {
      server.behaviour = behaviour;
      await expect(
        (async () => {
          for await (const _ of open().generate(ASK, signal));
        })(),
      ).rejects.toBeDefined();
    }
    for (const spy of spies) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });
});
