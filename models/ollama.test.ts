import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openOllama } from './ollama.js';
import { runnerContract } from './runner.contract.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';
import { type ManualClock, manualClock } from './testing/manual-clock.js';
import { openOllamaServer } from './testing/ollama-server.js';
import type { WireServer } from './testing/wire-server.js';

const LIMITS = { idle_timeout_ms: 10_000, timeout_ms: 10_000 };
const { signal } = new AbortController();
const HI: GenerateRequest = { messages: [{ role: 'user', content: 'hi' }] };

const collected = async (chunks: AsyncIterable<GenerateChunk>): Promise<readonly GenerateChunk[]> => {
  const all: GenerateChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
};

runnerContract(
  'ollama',
  async (behaviour, limits) => {
    const server = await openOllamaServer();
    if (behaviour === 'unreachable') await server.close();
    else server.behaviour = behaviour;
    return {
      runner: openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 1024, ...limits }),
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
      truncate: false,
      shift: false,
      format: 'json',
      options: { num_ctx: 8192, num_predict: 9, temperature: 0.5, seed: 3, stop: ['X'] },
    });
  });

  it('sends tools, calls and their answers, a schema and the rest in the names of the protocol', async () => {
    const [add, sub] = [
      { name: 'add', description: 'adds', parameters: { type: 'object', properties: { a: { type: 'integer' } } } },
      { name: 'sub' },
    ];
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } } };
    const request: GenerateRequest = {
      messages: [
        { role: 'user', content: 'hi' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            { id: 'c1', name: 'add', arguments: '{"a":1}' },
            { id: 'c2', name: 'sub', arguments: 'no JSON' },
          ],
        },
        { role: 'tool', content: '2', tool_call_id: 'c1' },
      ],
      tools: [add, sub],
      json: true,
      json_schema: { name: 'answer', schema },
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
    };
    const runner = openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 8192, keep_alive_s: -1, ...LIMITS });
    for await (const _ of runner.generate(request, signal));
    for await (const _ of runner.generate({ ...request, tool_choice: { name: 'sub' } }, signal));
    for await (const _ of runner.generate({ ...request, tool_choice: 'none' }, signal));
    const wired = (name: string, description?: string, parameters: object = { type: 'object', properties: {} }) => ({
      type: 'function',
      function: { name, ...(description && { description }), parameters },
    });
    expect(server.requests[0]).toMatchObject({
      messages: [
        { role: 'user', content: 'hi' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            { id: 'c1', function: { name: 'add', arguments: { a: 1 } } },
            { id: 'c2', function: { name: 'sub', arguments: { text: 'no JSON' } } },
          ],
        },
        { role: 'tool', content: '2', tool_call_id: 'c1', tool_name: 'add' },
      ],
      tools: [wired('add', 'adds', add!.parameters), wired('sub')],
      format: schema,
      keep_alive: -1,
      options: { num_ctx: 8192, top_p: 0.9, presence_penalty: 0.1, frequency_penalty: 0.2 },
    });
    expect(server.requests[1]).toMatchObject({ tools: [wired('sub')] });
    expect(server.requests[2]).not.toHaveProperty('tools');
  });

  it('says which models are in memory, loads its own and unloads it', async () => {
    const runner = openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 8192, keep_alive_s: 60, ...LIMITS });
    expect(await runner.residency!.loaded(signal)).toEqual([]);
    await runner.residency!.load(signal);
    expect(await runner.residency!.loaded(signal)).toEqual([{ name: 'test-model', memory_bytes: 5, context_tokens: 4096 }]);
    await runner.residency!.unload(signal);
    expect(await runner.residency!.loaded(signal)).toEqual([]);
    const bodies = server.others.filter(({ path }) => path === '/api/generate').map(({ body }) => body);
    expect(bodies).toEqual([
      { model: 'test-model', prompt: '', stream: false, keep_alive: 60, options: { num_ctx: 8192 } },
      { model: 'test-model', prompt: '', stream: false, keep_alive: 0 },
    ]);
  });

  describe('that may have to load its model', () => {
    const idle = { idle_timeout_ms: 100, timeout_ms: 1_000 };
    const asked = (request: Partial<GenerateRequest>, clock: ManualClock) => {
      const runner = openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 8192, clock, ...idle });
      return collected(runner.generate({ ...HI, ...request }, signal));
    };
    const begun = () => server.until(() => server.running() === 1);

    it.each([undefined, false])('waits for the first byte as long as a whole call may take (loaded: %s)', async (loaded) => {
      const clock = manualClock();
      server.behaviour = 'loading';
      const chunks = asked(loaded === undefined ? {} : { loaded }, clock);
      await begun();
      clock.advance(999);
      server.release();
      expect((await chunks).at(-1)).toMatchObject({ kind: 'done' });
      expect(clock.pending()).toBe(0);
    });

    it('waits no longer than that', async () => {
      const clock = manualClock();
      server.behaviour = 'loading';
      const chunks = asked({}, clock);
      await begun();
      clock.advance(1_000);
      await expect(chunks).rejects.toMatchObject({ code: 'model_timeout', message: expect.stringContaining('1000 ms') });
    });

    it('waits for every other byte the idle time', async () => {
      const clock = manualClock();
      server.behaviour = 'slow';
      const runner = openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 8192, clock, ...idle });
      const chunks = runner.generate(HI, signal)[Symbol.asyncIterator]();
      await chunks.next();
      const next = chunks.next();
      clock.advance(100);
      await expect(next).rejects.toMatchObject({ code: 'model_timeout', message: expect.stringContaining('nothing came for 100 ms') });
    });

    it('waits for the first byte the idle time where it is known to have it', async () => {
      const clock = manualClock();
      server.behaviour = 'loading';
      const chunks = asked({ loaded: true }, clock);
      await begun();
      clock.advance(100);
      await expect(chunks).rejects.toMatchObject({ code: 'model_timeout', message: expect.stringContaining('nothing came for 100 ms') });
    });
  });

  it('embeds with the context and the time in memory of every call, and nothing is cut', async () => {
    const runner = openOllama({ id: 'm', model: 'test-model', base_url: server.url, context_tokens: 8192, keep_alive_s: 60, ...LIMITS });
    await runner.embed(['a'], signal);
    expect(server.others.at(-1)?.body).toEqual({
      model: 'test-model',
      input: ['a'],
      truncate: false,
      keep_alive: 60,
      options: { num_ctx: 8192 },
    });
  });

  it('tells the length of the context that its model was made for', async () => {
    expect(await open().models(signal)).toEqual([{ name: 'test-model', digest: 'digest-of-test-model', context_tokens: 131_072 }]);
  });

  it('takes a refused short prompt for what it is, and asks no second time', async () => {
    server.behaviour = 'too_long';
    await expect(collected(open().generate(HI, signal))).rejects.toMatchObject({ code: 'model_rejected' });
    expect(server.requests).toHaveLength(1);
  });

  it('notices a prompt that the server cut in silence', async () => {
    // The server counts 11 tokens, whatever it is sent.
    const long = { messages: [{ role: 'user' as const, content: 'word '.repeat(9_000) }] };
    await expect(collected(open().generate(long, signal))).rejects.toMatchObject({
      code: 'model_context',
      message: expect.stringContaining('a part of the prompt'),
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
