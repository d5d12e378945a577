import { describe, expect, it } from 'vitest';
import { type Decision, type ModelCall, modelConfigSchema } from '../schemas/index.js';
import type { Ask } from './gateway.js';
import { callModel } from './model-call.js';
import type { GenerateChunk, GenerateRequest, ModelRunner, ToolCallChunk } from './runner.js';
import { manualClock } from './testing/manual-clock.js';

const DECISION: Decision = { chosen: 'm', reason: 'only_candidate', candidates: [] };
const ASK: Ask = { messages: [{ role: 'user', content: 'secret words' }], purpose: 'chat', tier: 'small', domain: 'code', user: 'ada' };
const DONE: GenerateChunk = { kind: 'done', finish_reason: 'stop', input_tokens: 10, output_tokens: 5 };
const PRICE = { version: '1', input_per_mtok: 1_000_000, output_per_mtok: 2_000_000 };

const open = (generate: (signal: AbortSignal) => AsyncIterable<GenerateChunk>) => {
  const requests: GenerateRequest[] = [];
  const calls: ModelCall[] = [];
  const runner: ModelRunner = {
    provider: 'p',
    scripted: false,
    generate: (request, signal) => {
      requests.push(request);
      return generate(signal);
    },
    embed: async () => ({ vectors: [], input_tokens: 0 }),
    models: async () => [],
    health: async () => ({ ok: true, latency_ms: 0 }),
    close: async () => {},
  };
  const config = modelConfigSchema.parse({ id: 'm', runner: 'openai', base_url: 'http://127.0.0.1:1', tiers: ['small'] });
  const call = (ask: Ask, over: object = {}, signal = new AbortController().signal) =>
    callModel(
      { config, runner, price: PRICE, clock: manualClock(), node: 'n', max_tokens: 100, onCall: (one) => calls.push(one), ...over },
      ask,
      DECISION,
      signal,
    );
  return { requests, calls, call };
};
const saying = (...chunks: GenerateChunk[]) =>
  open(async function* () {
    yield* chunks;
  });

describe('a call', () => {
  it('puts tool calls together from their pieces, and shows the pieces as they come', async () => {
    const pieces: ToolCallChunk[] = [
      { kind: 'tool_call', index: 1, id: 'b', name: 'read', arguments: '{"path"' },
      { kind: 'tool_call', index: 0, id: 'a', name: 'list' },
      { kind: 'tool_call', index: 1, arguments: ':"x"}' },
    ];
    const { call } = saying(...pieces, { ...DONE, finish_reason: 'tool_calls' } as GenerateChunk);
    const shown: ToolCallChunk[] = [];
    const answer = await call({ ...ASK, onToolCall: (piece) => shown.push(piece) });
    expect(answer).toMatchObject({
      finish_reason: 'tool_calls',
      text: '',
      tool_calls: [
        { id: 'a', name: 'list', arguments: '' },
        { id: 'b', name: 'read', arguments: '{"path":"x"}' },
      ],
    });
    expect(shown).toEqual(pieces);
    expect(await saying(DONE).call(ASK)).not.toHaveProperty('tool_calls');
  });

  it('hands everything that shapes the answer to the runner', async () => {
    const { call, requests } = saying(DONE);
    const shape = {
      temperature: 0.2,
      seed: 3,
      stop: ['END'],
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      json: true,
      json_schema: { name: 's', schema: { type: 'object' } },
      tools: [{ name: 'read' }],
      tool_choice: 'required' as const,
      traceparent: '00-a-b-01',
    };
    await call({ ...ASK, ...shape });
    expect(requests[0]).toEqual({ messages: ASK.messages, max_tokens: 100, hints: { purpose: 'chat', tier: 'small' }, ...shape });
    await call(ASK);
    expect(Object.keys(requests[1]!)).toEqual(['messages', 'max_tokens', 'hints']);
  });

  it('leaves what it cost, what was cached and whether the model was loaded for it in answer and record', async () => {
    const { call, calls } = saying({ ...DONE, cached_input_tokens: 4, cold: true } as GenerateChunk);
    expect(await call(ASK, { hedge: true })).toMatchObject({ cost_usd: 20, cached_input_tokens: 4 });
    expect(calls).toMatchObject([
      { cost_usd: 20, cached_input_tokens: 4, cold: true, user: 'ada', hedge: true, purpose: 'chat', operation: 'chat' },
    ]);
    expect(JSON.stringify(calls)).not.toContain('secret');
  });

  it('that was beaten shows nothing any more, even where its runner goes on', async () => {
    const { call, calls } = saying({ kind: 'text', text: 'late' }, DONE);
    const abort = new AbortController();
    const shown: string[] = [];
    const reason = new Error('beaten');
    const asked = call({ ...ASK, onText: (text) => shown.push(text) }, { onFirst: () => abort.abort(reason) }, abort.signal);
    await expect(asked).rejects.toBe(reason);
    expect(shown).toEqual([]);
    expect(calls).toMatchObject([{ outcome: 'aborted', error_type: 'aborted', input_tokens: 0, output_tokens: 0 }]);
  });

  it('that fails in the middle of a tool call counts what it said', async () => {
    const { call, calls } = saying({ kind: 'tool_call', index: 0, id: 'a', name: 'read', arguments: '12345678' });
    await expect(call(ASK)).rejects.toMatchObject({ code: 'model_garbage' });
    expect(calls).toMatchObject([{ outcome: 'error', error_type: 'model_garbage', input_tokens: 3, output_tokens: 2, cost_usd: 7 }]);
  });
});
