// A client of other make against the gateway on a port: the AI SDK, with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';
import { afterEach, describe, expect, it } from 'vitest';
import { Fault } from '../../schemas/index.js';
import { ANSWER, modelsThat, SCRIPTED, type Served, type ServedOptions, serve } from './testing/served.js';

let served: Served;
const start = async (options: Partial<ServedOptions> = {}) => {
  served = await serve({ config: { models: [SCRIPTED] }, ...options });
  return createOpenAICompatible({
    name: 'dats',
    baseURL: served.baseURL,
    apiKey: 'anything',
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
};
afterEach(() => served.close());

const prompt = 'Write add(a, b) in Python.';
const city = jsonSchema<{ city: string }>({ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] });

describe('the AI SDK', () => {
  it('generates, and says what it used', async () => {
    const dats = await start();
    const { text, usage, finishReason, response } = await generateText({ model: dats('auto'), prompt });
    expect(text).toContain('placeholder');
    expect(usage.inputTokens).toBeGreaterThan(0);
    expect([finishReason, response.modelId]).toEqual(['stop', 'scripted']);
  });

  it('streams the same, with its usage', async () => {
    const dats = await start();
    const stream = streamText({ model: dats('small'), prompt });
    let said = '';
    for await (const piece of stream.textStream) said += piece;
    expect(said).toBe((await generateText({ model: dats('small'), prompt })).text);
    expect((await stream.usage).outputTokens).toBeGreaterThan(0);
  });

  it('calls tools in several steps, whole and streamed', async () => {
    const dats = await start({
      models: modelsThat((asked) => {
        if (asked.messages.at(-1)!.role === 'tool') {
          asked.onText?.(`It is ${asked.messages.at(-1)!.content}.`);
          return { ...ANSWER, text: `It is ${asked.messages.at(-1)!.content}.` };
        }
        asked.onToolCall?.({ kind: 'tool_call', index: 0, id: 'call_1', name: 'weather', arguments: '{"city":' });
        asked.onToolCall?.({ kind: 'tool_call', index: 0, arguments: '"Oslo"}' });
        const tool_calls = [{ id: 'call_1', name: 'weather', arguments: '{"city":"Oslo"}' }];
        return { ...ANSWER, text: '', finish_reason: 'tool_calls', tool_calls };
      }),
    });
    const asked = {
      model: dats('auto'),
      prompt,
      stopWhen: stepCountIs(3),
      tools: { weather: tool({ inputSchema: city, execute: async (input) => `sunny in ${input.city}` }) },
    };
    expect((await generateText(asked)).text).toBe('It is sunny in Oslo.');
    const stream = streamText(asked);
    expect(await stream.text).toBe('It is sunny in Oslo.');
    expect((await stream.steps).length).toBe(2);
  });

  it('gets an object by its schema', async () => {
    const dats = await start({
      models: modelsThat(({ json_schema }) => ({ ...ANSWER, text: json_schema === undefined ? 'no schema' : '{"city":"Oslo"}' })),
    });
    const { output } = await generateText({ model: dats('auto'), prompt, output: Output.object({ schema: city }) });
    expect(output).toEqual({ city: 'Oslo' });
  });

  it('gets embeddings', async () => {
    const dats = await start();
    const { embeddings, usage } = await embedMany({ model: dats.embeddingModel('auto:cheap'), values: ['one', 'two'] });
    expect(embeddings.map(({ length }) => length > 1)).toEqual([true, true]);
    expect(usage.tokens).toBeGreaterThan(0);
  });

  it('understands errors: of the request, of a model, and in the middle of a stream', async () => {
    const dats = await start({
      models: modelsThat(async (asked) => {
        if (asked.model === undefined) throw new Fault('retryable', 'model_overloaded', 'busy');
        asked.onText?.('half');
        await new Promise((resolve) => setImmediate(resolve));
        throw new Fault('retryable', 'model_error', 'model scripted: the server failed');
      }),
    });
    const unknown = await generateText({ model: dats('gpt-5'), prompt }).catch((error: unknown) => error);
    expect(APICallError.isInstance(unknown) && [unknown.statusCode, unknown.isRetryable, unknown.message]).toMatchObject([
      404,
      false,
      expect.stringContaining('there is no model "gpt-5"'),
    ]);
    const busy = await generateText({ model: dats('auto'), prompt, maxRetries: 0 }).catch((error: unknown) => error);
    expect(APICallError.isInstance(busy) && [busy.statusCode, busy.isRetryable]).toEqual([429, true]);
    const errors: unknown[] = [];
    const stream = streamText({ model: dats('scripted'), prompt, onError: ({ error }) => void errors.push(error) });
    let said = '';
    for await (const part of stream.fullStream) if (part.type === 'text-delta') said += part.text;
    expect(said).toBe('half');
    expect(JSON.stringify(errors)).toContain('the server failed');
  });
});
