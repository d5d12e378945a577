// The OpenAI runner against llama.cpp's real server, with a model whose answers are noise. vLLM speaks the same wire.
import { afterAll, describe, expect, it } from 'vitest';
import { type LocalModelServer, startLlama } from '../deploy/local/index.mjs';
import { CHECKS, checkConformance } from './conformance/index.js';
import { openOpenAi } from './openai.js';
import { runnerContract } from './runner.contract.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';
import { asking, collected, REAL_CANNOT, REAL_LIMITS, realServer, reasonsOf, textOf } from './testing/real-server.js';

/** A call of a tool begins with a letter that noise says soon; from there llama.cpp's grammar makes it whole. */
const TOOL_TEMPLATE = `{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% for message in messages %}<{{ message['role'] }}>
{{ message['content'] or '' }}{% for call in message['tool_calls'] or [] %}~{"name": "{{ call['function']['name'] }}", "arguments": {{ call['function']['arguments'] | tojson }}}{% endfor %}
{% endfor %}{% if add_generation_prompt %}<assistant>
{% endif %}`;
/** Found by `dats models check`: of a causal model pooled by mean, a text that is longer than what is embedded beside it may get the vector of its end alone. */
const SEVERAL_LENGTHS = 'what is embedded at the same time changes its vectors';
const { signal } = new AbortController();

const found = await realServer("llama.cpp's server", (options) => startLlama({ ...options, template: TOOL_TEMPLATE }));
const server = found as LocalModelServer;
afterAll(() => found?.close());

const open = (more: object = {}) => openOpenAi({ id: 'm', model: server.model, base_url: server.url, ...REAL_LIMITS, ...more });

if (found !== undefined)
  runnerContract(
    "llama.cpp's server",
    async (behaviour, limits) => ({
      runner: open({ ...limits, ...(behaviour === 'unreachable' ? { base_url: 'http://127.0.0.1:9/v1' } : {}) }),
      stuck: async () => {},
      close: async () => {},
    }),
    {
      cannot: {
        ...REAL_CANNOT,
        missing: 'it has one model and answers for it under every name',
        too_long: 'tested below, with a long prompt',
        embed_together: SEVERAL_LENGTHS,
      },
      real: 'tiny',
    },
  );

describe.skipIf(found === undefined)("llama.cpp's server", () => {
  it('refuses a prompt that does not fit by its code', async () => {
    await expect(collected(open().generate(asking('x'.repeat(20_000), { max_tokens: 4 }), signal))).rejects.toMatchObject({
      code: 'model_context',
      kind: 'retryable',
    });
  });

  it('tells the context of a slot, what it had of a prompt already, and how many answers it makes', async () => {
    expect(await open().models(signal)).toEqual([{ name: 'tiny', context_tokens: 16_384 }]);
    const request = asking('the same prompt twice', { max_tokens: 4 });
    await collected(open().generate(request, signal));
    const end = (await collected(open().generate(request, signal))).at(-1) as Extract<GenerateChunk, { kind: 'done' }>;
    expect(end.cached_input_tokens).toBeGreaterThan(0);
    expect(end.cached_input_tokens).toBeLessThan(end.input_tokens);
    expect(await open().busy!(signal)).toBe(0);
  });

  it('answers in JSON, and in that of a schema', async () => {
    const schema = { type: 'object', properties: { verdict: { enum: ['yes', 'no'] } }, required: ['verdict'], additionalProperties: false };
    const chunks = await collected(open().generate(asking('hi', { json_schema: { name: 'v', schema }, max_tokens: 200 }), signal));
    expect(['yes', 'no']).toContain(JSON.parse(textOf(chunks)).verdict);
    const found = [];
    for (let seed = 1; seed <= 20 && found.length === 0; seed++) {
      const answer = await collected(open().generate(asking('hi', { json: true, max_tokens: 300, temperature: 1, seed }), signal));
      // Cut where noise wrote a long key: the next may be shorter.
      if ((answer.at(-1) as { finish_reason: string }).finish_reason === 'stop') found.push(JSON.parse(textOf(answer)));
    }
    expect(found).toEqual([expect.any(Object)]);
  });

  it('calls a tool, in pieces, and takes the answer of it', async () => {
    const parameters = { type: 'object', properties: { a: { enum: [1, 2] } }, required: ['a'], additionalProperties: false };
    const request = asking('hi', {
      tools: [{ name: 'add', description: 'adds', parameters }],
      tool_choice: 'required',
      temperature: 1,
      max_tokens: 1_000,
    });
    let chunks: readonly GenerateChunk[] = [];
    for (let seed = 1; seed <= 20 && !chunks.some(({ kind }) => kind === 'tool_call'); seed++)
      chunks = await collected(open().generate({ ...request, seed }, signal));
    const pieces = chunks.flatMap((chunk) => (chunk.kind === 'tool_call' && chunk.index === 0 ? [chunk] : []));
    expect(pieces[0]).toMatchObject({ id: expect.stringMatching(/./), name: 'add' });
    expect(pieces.length).toBeGreaterThan(1);
    const given = pieces.map((piece) => piece.arguments ?? '').join('');
    const messages: GenerateRequest['messages'] = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: '', tool_calls: [{ id: pieces[0]!.id!, name: 'add', arguments: given }] },
      { role: 'tool', tool_call_id: pieces[0]!.id!, content: '3' },
    ];
    // It may have been cut at the limit in another call, but not in its first.
    expect([1, 2]).toContain(JSON.parse(given).a);
    expect(['tool_calls', 'length']).toContain((chunks.at(-1) as { finish_reason: string }).finish_reason);
    expect((await collected(open().generate({ ...request, messages, tool_choice: 'none' }, signal))).at(-1)).toMatchObject({
      kind: 'done',
    });
  });

  it('whose name nobody knows is unreachable, and says so', async () => {
    const lost = open({ base_url: 'http://no-such-host.invalid/v1' });
    await expect(collected(lost.generate(asking('hi'), signal))).rejects.toMatchObject({
      code: 'model_unreachable',
      message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/),
    });
  });

  it('stops at an abort, and frees its slots', async () => {
    const runner = open();
    const reason = new Error('enough');
    const abort = new AbortController();
    const calls = Array.from({ length: 4 }, async (_, i) => {
      for await (const chunk of runner.generate(asking('hi', { max_tokens: 4_000, temperature: 1, seed: i, json: true }), abort.signal))
        if (chunk.kind === 'text') abort.abort(reason);
    });
    const ends = await Promise.allSettled(calls);
    expect(reasonsOf(ends)).toEqual(ends.map(() => reason));
    await expect.poll(() => runner.busy!(signal), { timeout: 10_000 }).toBe(0);
  });

  it('has what DATS needs, and its gaps are found', async () => {
    const model = { model: server.model, context_tokens: 16_384, concurrency: 4, paid: false };
    const { ok, checks, not_made } = await checkConformance(open(), { model }, signal);
    expect({ ok, not_made }).toEqual({ ok: true, not_made: [] });
    const found = Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]));
    // Noise may be too long for JSON, and may not call a tool by chance; embedding depends on what is done at the same time.
    expect(found).toEqual({
      ...Object.fromEntries(CHECKS.map(({ name }) => [name, 'ok'])),
      json: expect.stringMatching(/ok|partly/),
      tools: expect.stringMatching(/ok|partly|missing/),
      embeddings: expect.stringMatching(/ok|partly/),
      ...{ residency: 'missing' },
    });
  });

  it('that dies in the middle is unreachable, and answers again after its restart', async () => {
    const runner = open();
    const calls = Array.from({ length: 4 }, (_, i) =>
      collected(runner.generate(asking('hi', { max_tokens: 4_000, temperature: 1, seed: i, json: true }), signal)),
    );
    const ends = Promise.allSettled(calls);
    await server.kill();
    expect(reasonsOf(await ends)).toEqual(calls.map(() => expect.objectContaining({ code: 'model_unreachable' })));
    expect(await runner.health(signal)).toMatchObject({ ok: false, detail: expect.stringContaining('ECONNREFUSED') });
    await server.start();
    expect(await runner.health(signal)).toMatchObject({ ok: true });
    expect((await collected(runner.generate(asking('hi', { max_tokens: 4 }), signal))).at(-1)).toMatchObject({ kind: 'done' });
  });
});
