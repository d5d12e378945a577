// The official client against the gateway on a port: what people's programs do.
import OpenAI, { APIError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { openOpenAiServer } from '../../models/testing/openai-server.js';
import { Fault } from '../../schemas/index.js';
import { ANSWER, modelsThat, SCRIPTED, type Served, type ServedOptions, serve } from './testing/served.js';

let served: Served;
const client = (options: object = {}) => new OpenAI({ baseURL: served.baseURL, apiKey: 'sk-anything', maxRetries: 0, ...options });
const start = async (options: Partial<ServedOptions> = {}) => {
  served = await serve({ config: { models: [SCRIPTED] }, ...options });
  return client();
};
afterEach(() => served.close());

const ask = { model: 'auto', messages: [{ role: 'user' as const, content: 'Write add(a, b) in Python.' }] };

describe('the official client', () => {
  it('gets an answer with its usage, and headers that say who answered and why', async () => {
    const openai = await start();
    const { data, response } = await openai.chat.completions.create(ask).withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'scripted',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', refusal: null } }],
    });
    expect(data.id).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
    expect(data.choices[0]?.message.content).toContain('No rule of the script matches this request.');
    expect(data.usage?.total_tokens).toBe(data.usage!.prompt_tokens + data.usage!.completion_tokens);
    expect(Math.abs(data.created - Date.now() / 1000)).toBeLessThan(60);
    expect(Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('x-dats-')))).toEqual({
      'x-dats-model': 'scripted',
      'x-dats-tier': 'small',
      'x-dats-reason': 'only_candidate',
      'x-dats-calls': '1',
      'x-dats-config-version': 'c0ffee',
    });
    expect(response.headers.get('x-request-id')).toBe(response.headers.get('x-correlation-id'));
    expect(served.calls).toMatchObject([{ purpose: 'chat', model: 'scripted', outcome: 'ok' }]);
  });

  it('streams, with the usage in a last chunk without choices when it asks for it', async () => {
    const openai = await start();
    const stream = await openai.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '', refusal: null });
    expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(chunks.at(-1)).toMatchObject({ choices: [], model: 'scripted' });
    expect(chunks.at(-1)?.usage?.completion_tokens).toBeGreaterThan(0);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    const whole = await openai.chat.completions.create(ask);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0]?.message.content);
  });

  it('streams with its own helper, which puts the answer together', async () => {
    const openai = await start();
    const final = await openai.chat.completions.stream(ask).finalChatCompletion();
    expect(final.choices[0]?.message.content).toContain('placeholder');
  });

  it('lists models, and gets one whose id needs quoting', async () => {
    const openai = await start({ config: { models: [{ ...SCRIPTED, id: 'org/model:1' }] } });
    const ids: string[] = [];
    for await (const { id } of openai.models.list()) ids.push(id);
    expect(ids).toEqual(['auto', 'auto:cheap', 'auto:best', 'small', 'medium', 'large', 'org/model:1']);
    expect(await openai.models.retrieve('org/model:1')).toMatchObject({ id: 'org/model:1', object: 'model', owned_by: 'scripted' });
    await expect(openai.models.retrieve('gpt-5')).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
  });

  it('gets embeddings, the same as numbers and as base64, which is what it asks for by itself', async () => {
    const openai = await start();
    const input = ['add two numbers', 'the sum of a list'];
    const packed = await openai.embeddings.create({ model: 'auto:cheap', input });
    const plain = await openai.embeddings.create({ model: 'auto:cheap', input, encoding_format: 'float' });
    expect(packed.data.map(({ index }) => index)).toEqual([0, 1]);
    packed.data.forEach(({ embedding }, i) => {
      expect(embedding.length).toBeGreaterThan(1);
      embedding.forEach((value, j) => {
        expect(value).toBeCloseTo(plain.data[i]!.embedding[j]!, 6);
      });
    });
    expect(plain.usage.prompt_tokens).toBeGreaterThan(0);
  });

  it('aborts: the model is left at once, also while it says nothing yet', async () => {
    const wire = await openOpenAiServer();
    try {
      const openai = await start({
        config: { models: [{ id: 'wire', runner: 'openai', base_url: `${wire.url}/v1`, model: 'test-model', tiers: ['small'] }] },
      });
      for (const [behaviour, stream] of [
        ['slow', true],
        ['hang', true],
        ['hang', false],
      ] as const) {
        wire.behaviour = behaviour;
        const left = wire.left();
        const controller = new AbortController();
        const running = (async () => {
          const answer = await openai.chat.completions.create({ ...ask, stream }, { signal: controller.signal });
          if (stream) for await (const _chunk of answer as AsyncIterable<unknown>);
        })().catch((error: unknown) => error);
        await wire.until(() => wire.running() === 1);
        controller.abort();
        await running;
        await wire.until(() => wire.running() === 0);
        expect(wire.left()).toBe(left + 1);
      }
    } finally {
      await wire.close();
    }
  });
});

const tools: OpenAI.ChatCompletionTool[] = [
  {
    type: 'function',
    function: { name: 'weather', description: 'of a city', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  },
];

describe('tools', () => {
  const calling = (streamed: boolean) =>
    modelsThat((asked) => {
      const answered = asked.messages.some(({ role }) => role === 'tool');
      if (answered) return { ...ANSWER, text: `It is ${asked.messages.at(-1)!.content}.` };
      const parts = ['{"city"', ':"Oslo"}'];
      if (streamed) {
        asked.onToolCall?.({ kind: 'tool_call', index: 0, id: 'call_7', name: 'weather' });
        for (const part of parts) asked.onToolCall?.({ kind: 'tool_call', index: 0, arguments: part });
      }
      return {
        ...ANSWER,
        text: '',
        finish_reason: 'tool_calls',
        tool_calls: [{ id: 'call_7', name: 'weather', arguments: parts.join('') }],
      };
    });

  it.each([true, false])("are called and answered by the client's own runner; calls that come in pieces: %s", async (streamed) => {
    const openai = await start({ models: calling(streamed) });
    const seen: unknown[] = [];
    const runnable = [
      {
        type: 'function' as const,
        function: {
          name: 'weather',
          description: 'of a city',
          parameters: { type: 'object', properties: {} },
          parse: JSON.parse,
          function: (args: object) => {
            seen.push(args);
            return 'sunny';
          },
        },
      },
    ];
    const whole = openai.chat.completions.runTools({ ...ask, tools: runnable });
    expect(await whole.finalContent()).toBe('It is sunny.');
    const stream = openai.chat.completions.runTools({ ...ask, stream: true, tools: runnable });
    expect(await stream.finalContent()).toBe('It is sunny.');
    expect(seen).toEqual([{ city: 'Oslo' }, { city: 'Oslo' }]);
  });

  it('stand in the answer with their reason', async () => {
    const openai = await start({ models: calling(true) });
    const { choices } = await openai.chat.completions.create({ ...ask, tools });
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: null,
        tool_calls: [{ id: 'call_7', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
      },
    });
  });
});

describe('a server behind it', () => {
  it('is told what the client said, and its tool calls come back as they were made', async () => {
    const wire = await openOpenAiServer();
    wire.behaviour = 'tool_calls';
    try {
      const openai = await start({
        config: { models: [{ id: 'wire', runner: 'openai', base_url: `${wire.url}/v1`, model: 'test-model', tiers: ['small'] }] },
      });
      const json_schema = { name: 'sum', schema: { type: 'object' } };
      const asked = {
        ...ask,
        tools,
        tool_choice: { type: 'function' as const, function: { name: 'weather' } },
        response_format: { type: 'json_schema' as const, json_schema },
        top_p: 0.5,
        seed: 7,
        stop: ['end'],
        max_completion_tokens: 50,
      };
      const whole = await openai.chat.completions.create(asked);
      const streamed = await openai.chat.completions.stream(asked).finalChatCompletion();
      const calls = whole.choices[0]?.message.tool_calls;
      expect(calls?.map((call) => call.type === 'function' && call.function.name)).toEqual(['add', 'sub']);
      expect(streamed.choices[0]?.message.tool_calls).toMatchObject(calls!);
      for (const { choices } of [whole, streamed]) expect(choices[0]?.finish_reason).toBe('tool_calls');
      for (const request of wire.requests)
        expect(request).toMatchObject({
          model: 'test-model',
          messages: ask.messages,
          tools,
          tool_choice: asked.tool_choice,
          response_format: { type: 'json_schema', json_schema },
          top_p: 0.5,
          seed: 7,
          stop: ['end'],
          max_tokens: 50,
        });
      expect(wire.requests.length).toBe(2);
    } finally {
      await wire.close();
    }
  });
});

describe("errors are the client's own classes", () => {
  it('of an unknown model, an unknown parameter, a bad message', async () => {
    const openai = await start();
    const missing = await openai.chat.completions.create({ ...ask, model: 'gpt-5' }).catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(NotFoundError);
    expect(missing).toMatchObject({ code: 'model_not_found', param: 'model', type: 'invalid_request_error' });
    expect((missing as Error).message).toContain('there are: auto, auto:cheap, auto:best, small, medium, large, scripted');
    const unknown = await openai.chat.completions.create({ ...ask, top_k: 5 } as never).catch((error: unknown) => error);
    expect(unknown).toBeInstanceOf(BadRequestError);
    expect(unknown).toMatchObject({ code: 'unknown_parameter', param: 'top_k' });
    const bad = await openai.chat.completions.create({ ...ask, messages: [{ role: 'user' }] as never }).catch((error: unknown) => error);
    expect(bad).toMatchObject({ status: 400, code: 'missing_required_parameter', param: 'messages[0].content' });
    await expect(openai.embeddings.create({ model: 'auto', input: [1, 2, 3] })).rejects.toMatchObject({
      status: 400,
      param: 'input[0]',
      message: expect.stringContaining('lists of tokens are not supported'),
    });
  });

  it('of models that are busy, gone or out of reach, with what to wait', async () => {
    const faults: Fault[] = [
      new Fault('retryable', 'model_overloaded', 'busy', { retryAfterMs: 6_500 }),
      new Fault('retryable', 'model_unreachable', 'gone'),
      new Fault('retryable', 'no_model', 'none'),
    ];
    const openai = await start({ models: modelsThat(() => Promise.reject(faults.shift()!)) });
    const busy = await openai.chat.completions.create(ask).catch((error: unknown) => error);
    expect(busy).toBeInstanceOf(RateLimitError);
    expect((busy as APIError).headers?.get('retry-after')).toBe('7');
    const gone = await openai.chat.completions.create({ ...ask, stream: true }).catch((error: unknown) => error);
    expect(gone).toBeInstanceOf(InternalServerError);
    expect(gone).toMatchObject({ status: 502, code: 'model_unreachable' });
    expect(await openai.chat.completions.create(ask).catch((error: unknown) => error)).toMatchObject({ status: 503, code: 'no_model' });
  });

  it('of a model that fails in the middle of a stream: what came stays, then an error', async () => {
    const openai = await start({
      models: modelsThat(async (asked) => {
        asked.onText?.('half of');
        await new Promise((resolve) => setImmediate(resolve));
        throw new Fault('retryable', 'model_unreachable', 'model wire: the connection was lost');
      }),
    });
    const said: string[] = [];
    const failed = await (async () => {
      for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true }))
        said.push(chunk.choices[0]?.delta.content ?? '');
      return undefined;
    })().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(APIError);
    expect(failed).toMatchObject({ code: 'model_unreachable', type: 'server_error' });
    expect(said.join('')).toBe('half of');
  });

  it('are tried again by the client, which waits as long as it is told', async () => {
    let asked = 0;
    await start({
      models: modelsThat(() => {
        asked += 1;
        if (asked === 1) throw new Fault('retryable', 'model_overloaded', 'busy', { retryAfterMs: 1 });
        return ANSWER;
      }),
    });
    const { choices } = await client({ maxRetries: 1 }).chat.completions.create(ask);
    expect(choices[0]?.message.content).toBe('four');
    expect(asked).toBe(2);
  });
});

describe('JSON', () => {
  it('is asked for as an object, or by a schema', async () => {
    const asks: object[] = [];
    const openai = await start({
      models: modelsThat(({ json, json_schema }) => {
        asks.push({ json, json_schema });
        return { ...ANSWER, text: '{"sum":4}' };
      }),
    });
    const schema = { type: 'object', properties: { sum: { type: 'number' } } };
    await openai.chat.completions.create({ ...ask, response_format: { type: 'json_object' } });
    const parsed = await openai.chat.completions.parse({
      ...ask,
      response_format: { type: 'json_schema', json_schema: { name: 'sum', schema, strict: true } },
    });
    expect(parsed.choices[0]?.message.content).toBe('{"sum":4}');
    expect(asks).toEqual([
      { json: true, json_schema: undefined },
      { json: true, json_schema: { name: 'sum', schema } },
    ]);
  });
});
