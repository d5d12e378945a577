import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openOpenAi } from './openai.js';
import { runnerContract } from './runner.contract.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';
import { openOpenAiServer } from './testing/openai-server.js';
import type { WireServer } from './testing/wire-server.js';
import { addressOf, type HttpRequest, nodeTransport, type Transport } from './transport.js';

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

  /** A server of this test answers under another's address. */
  const at = (base_url: string, options: { provider?: string } = {}) => {
    const seen: { readonly headers: HttpRequest['headers']; readonly body: Record<string, unknown> }[] = [];
    const toServer: Transport = (request) => {
      const { path, hostname } = request.to;
      expect(hostname).toBe(new URL(base_url).hostname);
      seen.push({ headers: request.headers, body: JSON.parse(request.body ?? '{}') });
      return nodeTransport({ ...request, to: addressOf(`${server.url}/v1`, path.slice(new URL(base_url).pathname.length)) });
    };
    const runner = openOpenAi({ id: 'm', model: 'test-model', base_url, api_key: 'key', transport: toServer, ...LIMITS, ...options });
    return { runner, seen };
  };

  it.each([
    ['https://api.openai.com/v1', 'max_completion_tokens'],
    ['https://api.openai.com.example/v1', 'max_tokens'],
    ['https://mine.openai.azure.com/openai/v1', 'max_completion_tokens'],
  ])('names the token limit for %s as %s', async (base_url, name) => {
    const { runner, seen } = at(base_url);
    for await (const _ of runner.generate({ ...ASK, max_tokens: 7 }, signal));
    expect(seen.map(({ body }) => body)).toEqual([expect.objectContaining({ [name]: 7 })]);
  });

  it.each([
    ['https://api.anthropic.com/v1', undefined],
    ['https://proxy.example/v1', 'anthropic'],
  ])('sends Anthropic at %s what it does not ignore, and lists its models as it wants it', async (base_url, provider) => {
    const { runner, seen } = at(base_url, provider === undefined ? {} : { provider });
    const request: GenerateRequest = {
      ...ASK,
      max_tokens: 7,
      temperature: 1.5,
      top_p: 0.9,
      seed: 3,
      stop: ['\n', 'X'],
      json: true,
      presence_penalty: 1,
      frequency_penalty: 1,
      tools: [{ name: 'sub' }],
      tool_choice: 'auto',
    };
    for await (const _ of runner.generate(request, signal));
    expect(seen[0]?.body).toEqual({
      model: 'test-model',
      messages: ASK.messages,
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 7,
      temperature: 1,
      top_p: 0.9,
      stop: ['X'],
      tools: [{ type: 'function', function: { name: 'sub' } }],
      tool_choice: 'auto',
    });
    expect(seen[0]?.headers.authorization).toBe('Bearer key');
    expect(await runner.health(signal)).toMatchObject({ ok: true });
    expect(['authorization', 'x-api-key', 'anthropic-version'].map((name) => seen[1]?.headers[name])).toEqual([
      undefined,
      'key',
      '2023-06-01',
    ]);
  });

  it('sends tools, calls and their answers, a schema and the rest in the names of the protocol', async () => {
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } } };
    const parameters = { type: 'object', properties: { a: { type: 'integer' } } };
    const request: GenerateRequest = {
      messages: [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: '', tool_calls: [{ id: 'c1', name: 'add', arguments: '{"a":1}' }] },
        { role: 'tool', content: '2', tool_call_id: 'c1' },
      ],
      tools: [{ name: 'add', description: 'adds', parameters }, { name: 'sub' }],
      tool_choice: { name: 'add' },
      json: true,
      json_schema: { name: 'answer', schema },
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
    };
    for await (const _ of open().generate(request, signal));
    for await (const _ of open().generate({ ...ASK, tool_choice: 'auto' }, signal));
    expect(server.requests).toEqual([
      {
        model: 'test-model',
        messages: [
          { role: 'user', content: 'hi' },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
          },
          { role: 'tool', content: '2', tool_call_id: 'c1' },
        ],
        stream: true,
        stream_options: { include_usage: true },
        top_p: 0.9,
        presence_penalty: 0.1,
        frequency_penalty: 0.2,
        tools: [
          { type: 'function', function: { name: 'add', description: 'adds', parameters } },
          { type: 'function', function: { name: 'sub' } },
        ],
        tool_choice: { type: 'function', function: { name: 'add' } },
        response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
      },
      expect.not.objectContaining({ tool_choice: expect.anything() }),
    ]);
  });

  it('tells how much of the prompt the server had already, what contexts its models have, and how many answers it makes', async () => {
    let last: GenerateChunk | undefined;
    for await (const chunk of open().generate(ASK, signal)) last = chunk;
    expect(last).toMatchObject({ input_tokens: 11, cached_input_tokens: 7 });
    expect(last).not.toHaveProperty('estimated');
    expect(await open().models(signal)).toEqual([{ name: 'test-model', context_tokens: 8192 }]);
    expect(await open().busy!(signal)).toBe(1);
    expect(await openOpenAi({ id: 'm', model: 'test-model', base_url: `${server.url}/other/v1`, ...LIMITS }).busy!(signal)).toBeUndefined();
  });

  it('takes a refused prompt that is longer than the context for too long, where the server has no code for it', async () => {
    server.behaviour = 'bad_request';
    const refused = async (content: string) => {
      const runner = openOpenAi({ id: 'm', model: 'test-model', base_url: `${server.url}/v1`, context_tokens: 256, ...LIMITS });
      for await (const _ of runner.generate({ messages: [{ role: 'user', content }] }, signal));
    };
    await expect(refused('word '.repeat(300))).rejects.toMatchObject({ code: 'model_context', kind: 'retryable' });
    await expect(refused('word '.repeat(100))).rejects.toMatchObject({ code: 'model_rejected', kind: 'terminal' });
  });

  it('sends no key that cannot be sent, and does not repeat it', async () => {
    const error: unknown = await (async () => {
      for await (const _ of open({ api_key: 'key\u2028 with a line end' }).generate(ASK, signal));
    })().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'model_rejected', message: expect.stringContaining('api_key_env') });
    expect(inspect(error, { depth: null })).not.toContain('with a line end');
    expect(server.requests).toEqual([]);
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
