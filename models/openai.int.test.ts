// The OpenAI runner against llama.cpp's real server, with a model whose answers are noise. vLLM speaks the same wire.
import { afterAll, describe, expect, it } from 'vitest';
import { type LocalModelServer, startLlama } from '../deploy/local/index.mjs';
import { openOpenAi } from './openai.js';
import { runnerContract } from './runner.contract.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';
import { REAL_CANNOT, realServer } from './testing/real-server.js';

const LIMITS = { idle_timeout_ms: 60_000, timeout_ms: 120_000 };
const { signal } = new AbortController();

const found = await realServer("llama.cpp's server", startLlama);
const server = found as LocalModelServer;
afterAll(() => found?.close());

const open = (more: object = {}) => openOpenAi({ id: 'm', model: server.model, base_url: server.url, ...LIMITS, ...more });
const asking = (content: string, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  messages: [{ role: 'user', content }],
  seed: 1,
  temperature: 0,
  ...more,
});
const collected = async (chunks: AsyncIterable<GenerateChunk>): Promise<readonly GenerateChunk[]> => {
  const all: GenerateChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
};
const reasonsOf = (ends: readonly PromiseSettledResult<unknown>[]): readonly unknown[] =>
  ends.map((end) => (end.status === 'rejected' ? end.reason : 'it ended by itself'));
const textOf = (chunks: readonly GenerateChunk[]): string => chunks.map((c) => (c.kind === 'text' ? c.text : '')).join('');

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
        embed_together: 'see below',
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
    expect(textOf(await collected(open().generate(asking('hi', { json: true, max_tokens: 20 }), signal))).trim()).toMatch(/^\{/);
  });

  // Of a model that was not made for it (causal, pooled by mean): what of a text is computed after its shorter neighbours are done makes its vector alone.
  it('embeds texts of one length as it embeds each alone, which is not so for texts of several', async () => {
    const vectorsOf = async (...texts: string[]) =>
      (await open().embed(texts, signal)).vectors.map((vector) => Math.round(vector[0]! * 1e4));
    const [[one], [two], [three]] = [await vectorsOf('one'), await vectorsOf('two'), await vectorsOf('three')];
    expect(await vectorsOf('one', 'two')).toEqual([one, two]);
    expect((await vectorsOf('one', 'three'))[1]).not.toBe(three);
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
