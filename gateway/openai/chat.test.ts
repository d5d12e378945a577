// What the routes under /v1 do whatever the client is: headers, names, errors, streams, budgets.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { type Ask, MODEL_FAULTS } from '../../models/index.js';
import type { SpendingAnswer, SpendingRequest, Spent } from '../../processors/quota/index.js';
import { Fault } from '../../schemas/index.js';
import type { Spending } from '../deps.js';
import { openWorld, type World, type WorldOptions } from '../testing/world.js';
import { completionSchema } from './chat-answer.js';
import { openAiErrorSchema } from './errors.js';
import { ANSWER, modelsThat, SCRIPTED, type Served, serve, untilAborted } from './testing/served.js';

let world: World;
let served: Served | undefined;
const open = async (options: WorldOptions = {}) => {
  world = await openWorld({ models: modelsThat(() => ANSWER), ...options });
};
afterEach(async () => {
  await world?.close();
  await served?.close();
  served = undefined;
});

const CHAT = '/v1/chat/completions';
const hello = { model: 'auto', messages: [{ role: 'user', content: 'hello' }] };
const chat = (more: object = {}, headers: Record<string, string> = {}) => world.post(CHAT, { ...hello, ...more }, headers);
const errorOf = async (response: Response) => openAiErrorSchema.strict().parse(await response.json()).error;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The events of a stream: comments as they are, data parsed. */
const eventsOf = (text: string): unknown[] =>
  text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => (event.startsWith('data: {') ? JSON.parse(event.slice(6)) : event));
const textIn = (events: readonly unknown[]): string =>
  events.map((event) => (event as { choices?: { delta: { content?: string } }[] }).choices?.[0]?.delta.content ?? '').join('');

describe('a request', () => {
  it('is asked for whoever it is: project, user, what is confidential, the trace', async () => {
    const asks: Ask[] = [];
    await open({
      models: modelsThat((ask) => {
        asks.push(ask);
        return ANSWER;
      }),
    });
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await chat({ user: 'ann' }, { 'x-dats-project': 'website', 'x-dats-confidential': 'true', traceparent });
    await chat({}, { 'openai-project': 'proj_1' });
    await chat();
    expect(
      asks.map(({ purpose, project_id, user, local_only, traceparent: trace }) => [purpose, project_id, user, local_only, trace]),
    ).toEqual([
      ['chat', 'website', 'ann', true, traceparent],
      ['chat', 'proj_1', undefined, undefined, undefined],
      ['chat', 'default', undefined, undefined, undefined],
    ]);
    for (const [name, value] of [
      ['x-dats-project', 'not/one'],
      ['x-dats-confidential', 'maybe'],
    ] as const)
      expect(await errorOf(await chat({}, { [name]: value }))).toMatchObject({ param: name, code: 'invalid_value' });
  });

  it('is known by its id, in the answer and in an error', async () => {
    await open();
    for (const more of [{}, { model: 'nobody' }, { stream: true }]) {
      const response = await chat(more, { 'x-correlation-id': 'mine-1' });
      expect([response.headers.get('x-request-id'), response.headers.get('x-correlation-id')]).toEqual(['mine-1', 'mine-1']);
      await response.body?.cancel();
    }
  });

  it('leaves neither key nor prompt nor answer in the log', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    let failing = false;
    await open({
      logger,
      models: modelsThat((ask) => {
        ask.onText?.('an answer of gold');
        if (failing) throw new Fault('retryable', 'model_error', 'model scripted: the server failed');
        return { ...ANSWER, text: 'an answer of gold' };
      }),
    });
    const secret = { messages: [{ role: 'user', content: 'a prompt of silver' }] };
    for (const stream of [true, false])
      for (failing of [false, true]) await (await chat({ ...secret, stream }, { authorization: 'Bearer sk-lead' })).text();
    await (await chat({ ...secret, temperature: 9 }, { authorization: 'Bearer sk-lead' })).text();
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.join('')).not.toMatch(/silver|gold|lead/);
  });
});

describe('an error', () => {
  it('has one shape, whatever is wrong with the request', async () => {
    await open({ config: { version: 1, models: [SCRIPTED], gateway: { body_limit_bytes: 1024 } } });
    const found: unknown[] = [];
    const at = async (path: string, init: RequestInit) => {
      const response = await world.app.request(path, init);
      const { type, code, param } = await errorOf(response);
      expect([response.headers.get('content-type'), type]).toEqual(['application/json', 'invalid_request_error']);
      expect(response.headers.get('x-request-id')).toBeTruthy();
      found.push([response.status, code, param]);
      return response;
    };
    const json = { 'content-type': 'application/json' };
    await at(CHAT, { method: 'POST', headers: json, body: '{"model":' });
    await at(CHAT, { method: 'POST', headers: json, body: '[]' });
    await at(CHAT, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' });
    await at(CHAT, { method: 'POST', headers: json, body: JSON.stringify({ ...hello, user: 'x'.repeat(2_000) }) });
    await at('/v1/responses', { method: 'POST', headers: json, body: '{}' });
    await at('/v1/models/nobody', {});
    expect((await at(CHAT, { method: 'PUT' })).headers.get('allow')).toBe('POST');
    expect(found).toEqual([
      [400, 'malformed_json', null],
      [400, 'invalid_value', null],
      [415, 'unsupported_media_type', null],
      [413, 'body_too_large', null],
      [404, 'unknown_url', null],
      [404, 'model_not_found', 'model'],
      [405, 'method_not_allowed', null],
    ]);
    expect((await world.app.request('/nothing')).headers.get('content-type')).toBe('application/problem+json');
  });

  it('of a model has the status of its fault, whole and streamed, and says when to come again', async () => {
    let code = '';
    await open({
      models: modelsThat(() => Promise.reject(new Fault('retryable', code, `model scripted: ${code}`, { retryAfterMs: 2_500 }))),
    });
    const seen: Record<string, unknown> = {};
    for (code of MODEL_FAULTS) {
      for (const stream of [false, true]) {
        const response = await chat({ stream });
        expect(response.headers.get('retry-after')).toBe('3');
        seen[code] = [response.status, (await errorOf(response)).code];
      }
    }
    expect(seen).toEqual({
      model_unreachable: [502, 'model_unreachable'],
      model_timeout: [504, 'model_timeout'],
      model_overloaded: [429, 'rate_limit_exceeded'],
      model_error: [502, 'model_error'],
      model_garbage: [502, 'model_garbage'],
      model_refused: [400, 'content_filter'],
      model_context: [400, 'context_length_exceeded'],
      model_rejected: [400, 'model_rejected'],
      model_missing: [404, 'model_not_found'],
      no_model: [503, 'no_model'],
      model_not_allowed: [403, 'model_not_allowed'],
      call_limit: [429, 'insufficient_quota'],
      budget_exceeded: [429, 'insufficient_quota'],
    });
  });

  it('that nobody classified says nothing of its cause', async () => {
    await open({ models: modelsThat(() => Promise.reject(new Error('the prompt was: hello'))) });
    for (const stream of [false, true]) {
      const response = await chat({ stream });
      const { message, code } = await errorOf(response);
      expect([response.status, code]).toEqual([500, 'internal_error']);
      expect(message).not.toContain('prompt');
    }
  });

  it('of a dimension that the model does not give names the parameter', async () => {
    await open({ models: { embed: async () => ({ ...ANSWER, vectors: [[1, 2]] }) } });
    const asked = { model: 'auto', input: 'x' };
    expect((await world.post('/v1/embeddings', { ...asked, dimensions: 2 })).status).toBe(200);
    expect(await errorOf(await world.post('/v1/embeddings', { ...asked, dimensions: 3 }))).toMatchObject({
      param: 'dimensions',
      code: 'unsupported_value',
    });
  });

  it('says that the endpoint is turned off, before it looks at anything', async () => {
    await open({ config: { version: 1, models: [SCRIPTED], flags: { openai_endpoint: false } } });
    for (const response of [await world.post(CHAT, '{"'), await world.app.request('/v1/models')])
      expect([response.status, (await errorOf(response)).code]).toEqual([404, 'endpoint_off']);
    expect((await world.app.request('/health')).status).toBe(200);
  });
});

describe('a stream', () => {
  it('is what was said, in order, with one id', async () => {
    await open({
      models: modelsThat(async (ask) => {
        for (const text of ['one ', 'two ', 'three']) {
          ask.onText?.(text);
          await turn();
        }
        return { ...ANSWER, text: 'one two three', model: 'other' };
      }),
    });
    const response = await chat({ stream: true });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('x-dats-calls')).toBe('1');
    const events = eventsOf(await response.text());
    expect(textIn(events)).toBe('one two three');
    expect(events.at(-1)).toBe('data: [DONE]');
    expect(events.at(-2)).toMatchObject({ model: 'other', choices: [{ delta: {}, finish_reason: 'stop' }] });
    expect(events.at(-2)).not.toHaveProperty('usage');
  });

  it('holds its headers back until it has said what it can say at once, as they go out together then', async () => {
    await open();
    const done: string[] = [];
    const outgoing = { cork: () => done.push('cork'), uncork: () => done.push('uncork'), destroy: () => {} };
    const ask = async (stream: boolean): Promise<Response> => {
      const headers = { 'content-type': 'application/json' };
      const request = new Request(`http://x${CHAT}`, { method: 'POST', headers, body: JSON.stringify({ ...hello, stream }) });
      return world.app.fetch(request, { outgoing });
    };
    await (await ask(false)).text();
    expect(done).toEqual([]);
    const response = await ask(true);
    expect(done).toEqual(['cork']);
    await turn();
    expect(done).toEqual(['cork', 'uncork']);
    expect(await response.text()).toContain('[DONE]');
  });

  it('of a model that does not stream is its answer in one piece', async () => {
    const tool_calls = [
      { id: 'c', name: 'f', arguments: '{}' },
      { id: 'd', name: 'g', arguments: '{}' },
    ];
    await open({ models: modelsThat(() => ({ ...ANSWER, tool_calls })) });
    const events = eventsOf(await (await chat({ stream: true })).text());
    expect(textIn(events)).toBe('four');
    expect(JSON.stringify(events)).toContain('"tool_calls":[{"index":1,"id":"d"');
    expect(events.at(-2)).toMatchObject({ choices: [{ finish_reason: 'tool_calls' }] });
    for (const stream of [true, false]) {
      const text = await (await chat({ stream, parallel_tool_calls: false })).text();
      expect([text.includes('"name":"f"'), text.includes('"name":"g"')]).toEqual([true, false]);
    }
  });

  it('whose model thinks for long is open meanwhile, with comments', async () => {
    let speak: () => void = () => undefined;
    const waiting = new Promise<void>((resolve) => {
      speak = resolve;
    });
    await open({
      gateway: { streams: { heartbeatMs: 5 } },
      models: modelsThat(async (ask) => {
        await waiting;
        ask.onText?.('at last');
        return { ...ANSWER, text: 'at last' };
      }),
    });
    const response = await chat({ stream: true });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (text.split(': keep-alive\n\n').length < 4) text += (await reader.read()).value;
    expect(text.replaceAll(': keep-alive\n\n', '')).toBe('');
    speak();
    for (let step = await reader.read(); !step.done; step = await reader.read()) text += step.value;
    const events = eventsOf(text).filter((event) => event !== ': keep-alive');
    expect(events[0]).toMatchObject({ choices: [{ delta: { role: 'assistant' } }] });
    expect(textIn(events)).toBe('at last');
  });

  it('that fails after its first piece ends with an error and no [DONE]', async () => {
    await open({
      models: modelsThat(async (ask) => {
        ask.onText?.('half');
        await turn();
        await turn();
        throw new Fault('retryable', 'model_unreachable', 'model scripted: the connection was lost');
      }),
    });
    const events = eventsOf(await (await chat({ stream: true })).text());
    expect(textIn(events)).toBe('half');
    expect(events.at(-1)).toEqual({
      error: { message: 'model scripted: the connection was lost', type: 'server_error', param: null, code: 'model_unreachable' },
    });
  });

  it('is stopped with its client: the model is left', async () => {
    let reason: unknown;
    await open({
      models: modelsThat((ask, signal) => {
        ask.onText?.('one');
        return untilAborted(signal).catch((error: unknown) => {
          reason = error;
          throw error;
        });
      }),
    });
    const response = await chat({ stream: true });
    await response.body?.cancel();
    await turn();
    expect(reason).toMatchObject({ code: 'client_gone' });
  });

  it('that nobody takes is cut off, and the model is left', async () => {
    let left: () => void = () => undefined;
    const leaving = new Promise<void>((resolve) => {
      left = resolve;
    });
    await open({
      gateway: { streams: { heartbeatMs: 2, stallMs: 10, graceMs: 1 } },
      models: modelsThat(async (ask, signal) => {
        ask.onText?.('one');
        signal.addEventListener('abort', left);
        return untilAborted(signal);
      }),
    });
    const response = await chat({ stream: true });
    await leaving;
    const events = eventsOf(await response.text());
    expect(events.at(-1)).toMatchObject({ error: { code: 'client_too_slow' } });
  });
});

const rules = (fail: boolean, chunk_latency_ms: number) =>
  JSON.stringify({
    version: 1,
    rules: [
      {
        match: {},
        answers: [
          {
            text: fail ? 'a wrong beginning' : 'the right answer',
            chunk_chars: 4,
            chunk_latency_ms,
            ...(fail ? { fail: 'die_mid_stream' } : {}),
          },
        ],
      },
    ],
  });
/** A gateway whose first model fails in the middle and whose second does not. */
const startFailing = async (chunkMs: number, spending?: Spending) => {
  const baseDir = await mkdtemp(join(tmpdir(), 'dats-'));
  await writeFile(join(baseDir, 'bad.yaml'), rules(true, chunkMs));
  await writeFile(join(baseDir, 'good.yaml'), rules(false, 0));
  served = await serve({
    baseDir,
    ...(spending === undefined ? {} : { spending }),
    config: {
      models: [
        { ...SCRIPTED, id: 'bad', preference: 1, script: 'bad.yaml' },
        { ...SCRIPTED, id: 'good', preference: 2, script: 'good.yaml' },
      ],
    },
  });
  world = served.world;
  await rm(baseDir, { recursive: true });
  return (stream: boolean, more: object = {}) =>
    fetch(`${served!.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...hello, stream, ...more }),
    });
};

describe('a model that fails in the middle while another is there', () => {
  it('is not seen in a whole answer, but for the number of calls', async () => {
    const ask = await startFailing(1);
    const response = await ask(false);
    expect(completionSchema.parse(await response.json()).choices[0]?.message.content).toBe('the right answer');
    expect([response.headers.get('x-dats-model'), response.headers.get('x-dats-calls')]).toEqual(['good', '2']);
  });

  it('ends a stream that began: two answers are never mixed', async () => {
    const ask = await startFailing(10);
    const events = eventsOf(await (await ask(true)).text());
    expect('a wrong beginning'.startsWith(textIn(events))).toBe(true);
    expect(textIn(events)).not.toBe('');
    expect(events.at(-1)).toMatchObject({ error: { code: 'model_unreachable', message: expect.stringContaining('not the whole answer') } });
  });
});

describe('what is set aside for a request', () => {
  /** 100 tokens. */
  const long = { messages: [{ role: 'user', content: 'word '.repeat(80) }], max_tokens: 20 };
  /** Sets aside so much at the most. */
  const ledger = (most: number) => {
    const settled: Spent[] = [];
    const reserve = async ({ tokens }: SpendingRequest): Promise<SpendingAnswer> => ({
      ok: true,
      reserved: { tokens: Math.min(tokens, most) },
      settle: async (used) => void settled.push(used),
    });
    return { settled, spending: { reserve } };
  };

  it('is a hard stop for all its calls together: a model that does not fit any more is not asked', async () => {
    const { settled, spending } = ledger(130);
    const ask = await startFailing(1, spending);
    const whole = await ask(false, long);
    expect([whole.status, (await errorOf(whole)).code]).toEqual([429, 'insufficient_quota']);
    const events = eventsOf(await (await ask(true, long)).text());
    expect(events.at(-1)).toMatchObject({ error: { type: 'insufficient_quota', code: 'insufficient_quota' } });
    expect(served!.calls.map(({ model }) => model)).toEqual(['bad', 'bad']);
    for (const { tokens, calls } of settled) {
      expect(calls).toBe(1);
      expect(tokens).toBeGreaterThan(100);
      expect(tokens).toBeLessThanOrEqual(130);
    }
    expect(settled).toHaveLength(2);
  });

  it('does for a model that fails in the middle and the one after it', async () => {
    const { settled, spending } = ledger(1_000);
    const ask = await startFailing(1, spending);
    const response = await ask(false, long);
    expect(completionSchema.parse(await response.json()).choices[0]?.message.content).toBe('the right answer');
    expect(settled).toMatchObject([{ calls: 2 }]);
    expect(settled[0]!.tokens).toBeGreaterThan(200);
    expect(settled[0]!.tokens).toBeLessThanOrEqual(240);
  });
});

describe('a budget', () => {
  const priced = {
    version: 1,
    models: [{ ...SCRIPTED, price_input_per_mtok: 1, price_output_per_mtok: 2, max_output_tokens: 100, timeout_ms: 5_000 }],
  };
  const BLOCKED = {
    subject: { kind: 'project', id: 'default' },
    limit: 'tokens_per_day',
    asked: 100,
    used: 1_000,
    allowed: 1_000,
  } as const;
  const ledger = (answer?: SpendingAnswer) => {
    const reserved: SpendingRequest[] = [];
    const settled: Spent[] = [];
    const reserve = async (request: SpendingRequest): Promise<SpendingAnswer> => {
      reserved.push(request);
      return answer ?? { ok: true, settle: async (used) => void settled.push(used) };
    };
    return { reserved, settled, spending: { reserve } };
  };
  const used = (ask: Ask, outcome: 'ok' | 'error') =>
    ask.onCall?.({ model: 'scripted', provider: 'scripted', outcome, input_tokens: 2, output_tokens: 5, cost_usd: 0.25, duration_ms: 1 });

  it('is asked before the model, for what two calls may use at most, and one at the least', async () => {
    const { reserved, spending } = ledger();
    await open({ config: priced, spending });
    await chat({ user: 'ann', max_tokens: 40 }, { 'x-dats-project': 'website' });
    await chat();
    const common = { agent: 'chat', expiresMs: 10_000 };
    const of = (tokens: number, costUsd: number) => ({
      tokens: 2 * tokens,
      costUsd: expect.closeTo(2 * costUsd, 9),
      least: { tokens, costUsd: expect.closeTo(costUsd, 9) },
    });
    expect(reserved).toEqual([
      { ...common, reservationId: expect.any(String), project: 'website', user: 'ann', ...of(42, 82e-6) },
      { ...common, reservationId: expect.any(String), project: 'default', ...of(102, 202e-6) },
    ]);
    expect(reserved[0]?.reservationId).not.toBe(reserved[1]?.reservationId);
  });

  it('is settled once with what all calls used: of answers, failures, and what was given up', async () => {
    const { settled, spending } = ledger();
    let how: 'answer' | 'fail' | 'hang' = 'answer';
    await open({
      config: priced,
      spending,
      models: modelsThat(async (ask, signal) => {
        used(ask, 'error');
        ask.onText?.('x');
        if (how === 'hang') return untilAborted(signal);
        used(ask, 'ok');
        if (how === 'fail') throw new Fault('retryable', 'model_error', 'failed');
        return ANSWER;
      }),
    });
    for (how of ['answer', 'fail'] as const) for (const stream of [false, true]) await (await chat({ stream })).text();
    expect(settled).toEqual(Array.from({ length: 4 }, () => ({ tokens: 14, costUsd: 0.5, calls: 2 })));
    how = 'hang';
    await (await chat({ stream: true })).body?.cancel();
    await turn();
    expect(settled.slice(4)).toEqual([{ tokens: 7, costUsd: 0.25, calls: 1 }]);
  });

  it('that is used up is 429, and no model is asked', async () => {
    const { spending } = ledger({
      ok: false,
      blocked: BLOCKED,
      message: 'project "default" has used its 1,000 tokens of today',
      retryAfterMs: 60_000,
    });
    await open({ config: priced, spending, models: modelsThat(() => Promise.reject(new Error('asked'))) });
    for (const stream of [false, true]) {
      const response = await chat({ stream });
      expect([response.status, response.headers.get('retry-after')]).toEqual([429, '60']);
      expect(await errorOf(response)).toMatchObject({
        type: 'insufficient_quota',
        code: 'insufficient_quota',
        message: expect.stringContaining('1,000 tokens'),
      });
    }
    expect((await world.post('/v1/embeddings', { model: 'auto', input: 'x' })).status).toBe(429);
  });

  it('that cannot be settled costs nobody the answer', async () => {
    await open({ spending: { reserve: async () => ({ ok: true, settle: () => Promise.reject(new Error('away')) }) } });
    expect((await chat()).status).toBe(200);
  });
});

describe('whatever fits', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 30 });
  const content = fc.oneof(text, fc.array(fc.record({ type: fc.constant('text'), text }), { maxLength: 3 }));
  const message = fc.oneof(
    fc.record({ role: fc.constantFrom('system', 'developer', 'user'), content }),
    fc.record({ role: fc.constant('assistant'), content: fc.option(content), refusal: fc.option(text) }, { requiredKeys: ['role'] }),
  );
  const body = fc.record(
    {
      model: fc.constantFrom('auto', 'auto:cheap', 'auto:best', 'small', 'medium', 'large', 'scripted'),
      messages: fc.array(message, { minLength: 1, maxLength: 6 }),
      stream: fc.option(fc.boolean()),
      temperature: fc.option(fc.double({ min: 0, max: 2, noNaN: true })),
      max_tokens: fc.option(fc.integer({ min: 1, max: 1e9 })),
      seed: fc.option(fc.maxSafeInteger()),
      stop: fc.option(fc.oneof(fc.string({ minLength: 1 }), fc.array(fc.string({ minLength: 1 }), { maxLength: 4 }))),
      user: fc.option(text),
      metadata: fc.dictionary(fc.string(), fc.string()),
      response_format: fc.constantFrom(null, { type: 'text' }, { type: 'json_object' }),
    },
    { requiredKeys: ['model', 'messages'] },
  );

  it('is answered, whole or streamed, as it is documented', async () => {
    await open({
      models: modelsThat((ask) => {
        ask.onText?.('four');
        return ANSWER;
      }),
    });
    await fc.assert(
      fc.asyncProperty(body, async (request) => {
        const response = await world.post(CHAT, request);
        expect(response.status, await response.clone().text()).toBe(200);
        if (request.stream === true) expect(textIn(eventsOf(await response.text()))).toBe('four');
        else completionSchema.strict().parse(await response.json());
      }),
      { numRuns: 200 },
    );
  });
});
