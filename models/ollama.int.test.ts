// The Ollama runner against a real Ollama, with a model whose answers are noise: the wire is what is looked at.
import { afterAll, describe, expect, it } from 'vitest';
import { type LocalModelServer, startOllama } from '../deploy/local/index.mjs';
import { CHECKS, checkConformance } from './conformance/index.js';
import { openOllama } from './ollama.js';
import { runnerContract } from './runner.contract.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';
import { asking, collected, REAL_CANNOT, REAL_LIMITS, realServer, reasonsOf, textOf } from './testing/real-server.js';

const CONTEXT = 2_048;
/** A template that shows tools: from it Ollama knows how a call looks. */
const TOOL_TEMPLATE =
  '{{ range .Tools }}{{ . }}\n{{ end }}{{ range .Messages }}<{{ .Role }}>\n{{ .Content }}' +
  '{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}{{ end }}\n{{ end }}<assistant>\n';
const { signal } = new AbortController();

const found = await realServer('Ollama', startOllama);
const server = found as LocalModelServer;
afterAll(() => found?.close());

const open = (more: object = {}) =>
  openOllama({ id: 'm', model: server.model, base_url: server.url, context_tokens: CONTEXT, ...REAL_LIMITS, ...more });

if (found !== undefined)
  runnerContract(
    'a real Ollama',
    async (behaviour, limits) => {
      const odd = { unreachable: { base_url: 'http://127.0.0.1:9' }, missing: { model: 'absent' }, too_long: { context_tokens: 32 } };
      return {
        runner: open({ ...limits, ...(behaviour in odd ? odd[behaviour as keyof typeof odd] : {}) }),
        stuck: async () => {},
        close: async () => {},
      };
    },
    { cannot: REAL_CANNOT, real: 'tiny' },
  );

describe.skipIf(found === undefined)('a real Ollama', () => {
  it('refuses a prompt that does not fit instead of cutting it, and what it said before is not blamed on the length', async () => {
    const long = asking('word '.repeat(1_000), { max_tokens: 4 });
    await expect(collected(open().generate(long, signal))).rejects.toMatchObject({ code: 'model_context', kind: 'retryable' });
    await expect(open().embed(['short', 'word '.repeat(1_000)], signal)).rejects.toMatchObject({ code: 'model_context' });
    // The same length, and another reason: its template has no tools.
    const withTools = asking('word '.repeat(150), { tools: [{ name: 'add' }], max_tokens: 4 });
    await expect(collected(open().generate(withTools, signal))).rejects.toMatchObject({ code: 'model_rejected', kind: 'terminal' });
  });

  it('ends an answer that fills the context with `length`', async () => {
    let last: GenerateChunk | undefined;
    for (let seed = 1; seed <= 20 && last?.kind !== 'done'; seed++) {
      const chunks = await collected(
        open({ context_tokens: 128 }).generate(asking('x', { max_tokens: 1_000, temperature: 1, seed }), signal),
      );
      const end = chunks.at(-1) as Extract<GenerateChunk, { kind: 'done' }>;
      if (end.finish_reason === 'length') last = end;
    }
    expect(last).toMatchObject({ finish_reason: 'length' });
    const { input_tokens, output_tokens } = last as Extract<GenerateChunk, { kind: 'done' }>;
    expect(input_tokens + output_tokens).toBeLessThanOrEqual(129);
  });

  it('is loaded, seen in memory with the context that was asked for, and unloaded', async () => {
    const { residency } = open({ keep_alive_s: 300 });
    await residency!.unload(signal);
    await expect.poll(() => residency!.loaded(signal)).toEqual([]);
    await residency!.load(signal);
    expect(await residency!.loaded(signal)).toEqual([{ name: 'tiny:latest', memory_bytes: expect.any(Number), context_tokens: CONTEXT }]);
    await residency!.unload(signal);
    await expect.poll(() => residency!.loaded(signal)).toEqual([]);
    await expect(open({ model: 'absent' }).residency!.load(signal)).rejects.toMatchObject({ code: 'model_missing' });
  });

  it('says of a call whether the model was loaded for it, and embedding does not load it anew', async () => {
    const runner = open();
    const endOf = async () => (await collected(runner.generate(asking('hi', { max_tokens: 4 }), signal))).at(-1);
    await runner.residency!.unload(signal);
    await expect.poll(() => runner.residency!.loaded(signal)).toEqual([]);
    expect(await endOf()).toMatchObject({ cold: true });
    await runner.embed(['a'], signal);
    // A busy machine may be slow to find a model that is there.
    await expect.poll(endOf, { timeout: 20_000 }).not.toHaveProperty('cold');
  });

  it('keeps the model as long as each call says', async () => {
    const runner = open({ keep_alive_s: 0 });
    await collected(runner.generate(asking('hi', { max_tokens: 4 }), signal));
    await expect.poll(() => runner.residency!.loaded(signal), { timeout: 10_000 }).toEqual([]);
  });

  it('answers in JSON, and in that of a schema', async () => {
    const schema = { type: 'object', properties: { verdict: { enum: ['yes', 'no'] } }, required: ['verdict'] };
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

  it('calls a tool, and takes the answer of it', async () => {
    const made = await fetch(`${server.url}/api/create`, {
      method: 'POST',
      body: JSON.stringify({ model: 'with-tools', from: 'tiny', template: TOOL_TEMPLATE, stream: false }),
    });
    expect(made.status).toBe(200);
    const runner = open({ model: 'with-tools' });
    const parameters = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
    const call = {
      type: 'object',
      properties: { name: { enum: ['add'] }, arguments: { type: 'object', properties: { a: { enum: [1, 2] } }, required: ['a'] } },
      required: ['name', 'arguments'],
    };
    const tools = [{ name: 'add', description: 'adds', parameters }];
    const chunks = await collected(
      runner.generate(asking('hi', { tools, json_schema: { name: 'call', schema: call }, max_tokens: 200 }), signal),
    );
    const [first, end] = [chunks[0], chunks.at(-1)];
    expect(first).toEqual({
      kind: 'tool_call',
      index: 0,
      id: expect.any(String),
      name: 'add',
      arguments: expect.stringMatching(/^\{"a":[12]\}$/),
    });
    expect(end).toMatchObject({ kind: 'done', finish_reason: 'tool_calls' });
    const { id, name, arguments: given } = first as { id: string; name: string; arguments: string };
    const answered: GenerateRequest = {
      messages: [
        { role: 'user', content: 'hi' },
        { role: 'assistant', content: '', tool_calls: [{ id, name, arguments: given }] },
        { role: 'tool', tool_call_id: id, content: '3' },
      ],
      max_tokens: 8,
      seed: 2,
    };
    expect((await collected(runner.generate(answered, signal))).at(-1)).toMatchObject({ kind: 'done' });
  });

  it('stops at an abort: the next call answers at once, though all its slots were taken', async () => {
    const runner = open();
    const reason = new Error('enough');
    for (let round = 0; round < 3; round++) {
      const abort = new AbortController();
      const calls = Array.from({ length: 4 }, async (_, i) => {
        for await (const chunk of runner.generate(asking('hi', { max_tokens: 2_000, temperature: 1, seed: i }), abort.signal))
          if (chunk.kind === 'text') abort.abort(reason);
      });
      const ends = await Promise.allSettled(calls);
      expect(reasonsOf(ends)).toEqual(ends.map(() => reason));
    }
    const chunks = await collected(runner.generate(asking('hi', { max_tokens: 4 }), AbortSignal.timeout(10_000)));
    expect(chunks.at(-1)).toMatchObject({ kind: 'done' });
  });

  it('has what DATS needs, and its gaps are found', async () => {
    const model = { model: server.model, context_tokens: CONTEXT, concurrency: 4, paid: false };
    const { ok, checks, not_made } = await checkConformance(open(), { model }, signal);
    expect({ ok, not_made }).toEqual({ ok: true, not_made: [] });
    const found = Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]));
    // Noise may be too long for JSON, and may not call a tool by chance; embedding depends on what is done at the same time.
    expect(found).toEqual({
      ...Object.fromEntries(CHECKS.map(({ name }) => [name, 'ok'])),
      json: expect.stringMatching(/ok|partly/),
      embeddings: expect.stringMatching(/ok|partly/),
      ...{ tools: 'missing' },
    });
  });

  it('that dies in the middle is unreachable, and answers again after its restart', async () => {
    const runner = open();
    const calls = Array.from({ length: 4 }, (_, i) =>
      collected(runner.generate(asking('hi', { max_tokens: 2_000, temperature: 1, seed: i, json: true }), signal)),
    );
    const ends = Promise.allSettled(calls);
    await server.kill();
    expect(reasonsOf(await ends)).toEqual(calls.map(() => expect.objectContaining({ code: 'model_unreachable' })));
    expect(await runner.health(signal)).toMatchObject({ ok: false, detail: expect.stringContaining('ECONNREFUSED') });
    await server.start();
    expect(await runner.health(signal)).toMatchObject({ ok: true });
    expect((await collected(runner.generate(asking('hi', { max_tokens: 4 }), signal))).at(-1)).toMatchObject({ kind: 'done' });
  });

  it('tells the context that the model was made for', async () => {
    expect(await open().models(signal)).toContainEqual(expect.objectContaining({ name: 'tiny:latest', context_tokens: 16_384 }));
  });
});
