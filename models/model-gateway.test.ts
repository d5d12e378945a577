import { getEventListeners } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault, type ModelCall, type ModelConfig, modelCalled, modelConfigSchema } from '../schemas/index.js';
import type { Ask, ModelGateway, ModelStatus } from './gateway.js';
import { type ModelGatewayOptions, openModelGateway } from './model-gateway.js';
import { REPROBE_MS } from './model-line.js';
import { type ManualClock, manualClock } from './testing/manual-clock.js';
import { openOllamaServer } from './testing/ollama-server.js';
import { openOpenAiServer } from './testing/openai-server.js';
import type { WireServer } from './testing/wire-server.js';
import type { Transport } from './transport.js';

const ASK: Ask = {
  messages: [{ role: 'user', content: 'write a slug' }],
  purpose: 'generate',
  tier: 'small',
  domain: 'code',
  task_id: 't1',
  attempt: 1,
};
const { signal } = new AbortController();

let closing: (() => Promise<unknown>)[] = [];
let calls: { call: ModelCall; cost: number | undefined }[] = [];
let clock: ManualClock;
let folder: string;
beforeEach(async () => {
  closing = [];
  calls = [];
  clock = manualClock(1);
  folder = await mkdtemp(join(tmpdir(), 'dats-models-'));
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

const serve = async (open: () => Promise<WireServer>): Promise<WireServer> => {
  const server = await open();
  closing.push(() => server.close());
  return server;
};
type Config = Partial<ModelConfig> & { id: string; runner: ModelConfig['runner'] };
const config = (over: Config): ModelConfig =>
  modelConfigSchema.parse({ tiers: ['small'], model: over.runner === 'scripted' ? undefined : 'test-model', ...over });
const gatewayOf = async (models: readonly Config[], options: Partial<ModelGatewayOptions> = {}): Promise<ModelGateway> => {
  const gateway = await openModelGateway({
    models: models.map(config),
    baseDir: folder,
    env: {},
    node: 'n1',
    clock,
    random: () => 0,
    onCall: (call, cost) => calls.push({ call, cost }),
    ...options,
  });
  closing.push(() => gateway.close());
  return gateway;
};
const scripted = async (id: string, answers: readonly object[], over: Partial<ModelConfig> = {}): Promise<Config> => {
  await writeFile(join(folder, `${id}.json`), JSON.stringify({ version: 1, rules: [{ answers }] }));
  return { id, runner: 'scripted', script: `${id}.json`, ...over };
};
const ollama = (server: WireServer, over: Partial<ModelConfig> = {}): Config => ({
  id: 'real',
  runner: 'ollama',
  base_url: server.url,
  ...over,
});
const statusOf = async (gateway: ModelGateway, id: string): Promise<ModelStatus> =>
  (await gateway.status()).find((status) => status.id === id)!;
const outcomes = () => calls.map(({ call }) => `${call.model} ${call.outcome}${call.error_type ? ` ${call.error_type}` : ''}`);
/** Looks again each turn of the event loop: for what happens inside this process and tells nobody. */
const eventually = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
};

describe('the model gateway', () => {
  it('answers, and leaves a record with tokens, times and cost', async () => {
    const server = await serve(openOllamaServer);
    const gateway = await gatewayOf([ollama(server, { price_input_per_mtok: 1_000_000, price_output_per_mtok: 2_000_000 })]);
    const said: string[] = [];
    const answer = await gateway.ask({ ...ASK, onText: (text) => said.push(text) }, signal);
    expect(answer).toMatchObject({
      text: 'Hello, world',
      model: 'real',
      provider: 'ollama',
      scripted: false,
      finish_reason: 'stop',
      input_tokens: 11,
      output_tokens: 3,
      model_digest: 'digest-of-test-model',
      decision: { chosen: 'real', reason: 'only_candidate' },
    });
    expect(said.join('')).toBe(answer.text);
    expect(calls).toHaveLength(1);
    const { call, cost } = calls[0]!;
    expect(modelCalled.parse(call)).toEqual(call);
    expect(cost).toBe(17);
    expect(call).toMatchObject({
      model: 'real',
      request_model: 'test-model',
      outcome: 'ok',
      cost_usd: 17,
      price_version: 'model',
      node: 'n1',
      task_id: 't1',
      attempt: 1,
      purpose: 'generate',
    });
    expect(JSON.stringify(call)).not.toContain('slug');
  });

  it('prices every call by the list, failed ones too, and leaves cost and version out where there is no price', async () => {
    const server = await serve(openOllamaServer);
    const prices = {
      version: '2026-11',
      models: [{ model: 'test-model', provider: 'ollama', input_per_mtok: 1_000_000, output_per_mtok: 0 }],
    };
    const broken = await scripted('broken', [{ fail: 'error' }], { preference: 1 });
    const gateway = await gatewayOf([ollama(server), broken], {
      prices: { ...prices, models: [...prices.models, { model: 'broken', input_per_mtok: 1, output_per_mtok: 1 }] },
    });
    await gateway.ask(ASK, signal);
    expect(calls.map(({ call }) => [call.model, call.outcome, call.cost_usd, call.price_version])).toEqual([
      ['broken', 'error', 0, '2026-11'],
      ['real', 'ok', 11, '2026-11'],
    ]);
    const unpriced = await gatewayOf([await scripted('free', [{ text: 'x' }])], { prices });
    await unpriced.ask(ASK, signal);
    expect(calls[2]).toMatchObject({ call: { model: 'free', outcome: 'ok' }, cost: undefined });
    expect(Object.keys(calls[2]!.call)).not.toEqual(expect.arrayContaining(['cost_usd']));
    expect(Object.keys(calls[2]!.call)).not.toEqual(expect.arrayContaining(['price_version']));
  });

  it('never asks for more tokens than the model may give', async () => {
    const server = await serve(openOllamaServer);
    const gateway = await gatewayOf([ollama(server, { max_output_tokens: 100 })]);
    for (const max_tokens of [50, 5_000]) await gateway.ask({ ...ASK, max_tokens }, signal);
    await gateway.ask(ASK, signal);
    expect(server.requests.map((request) => (request as { options: { num_predict: number } }).options.num_predict)).toEqual([50, 100, 100]);
  });

  it('uses a fallback only while no other model answers, and returns to the other when it is back', async () => {
    const server = await serve(openOllamaServer);
    const gateway = await gatewayOf([{ id: 'spare', runner: 'scripted', fallback: true, preference: 0 }, ollama(server)]);
    expect((await gateway.ask(ASK, signal)).model).toBe('real');
    server.behaviour = 'die_mid_stream';
    server.models = [];
    expect(await gateway.ask(ASK, signal)).toMatchObject({ model: 'spare', scripted: true });
    await eventually(async () => (await statusOf(gateway, 'real')).health.ok === false);
    const before = server.requests.length;
    expect((await gateway.ask(ASK, signal)).model).toBe('spare');
    expect(server.requests).toHaveLength(before);
    server.behaviour = 'answer';
    server.models = ['test-model'];
    clock.advance(REPROBE_MS);
    await eventually(async () => (await statusOf(gateway, 'real')).health.ok);
    expect((await gateway.ask(ASK, signal)).model).toBe('real');
  });

  it('with every model down from the start says which and when to come back, and works once one is up', async () => {
    const server = await serve(openOllamaServer);
    server.models = [];
    const gateway = await gatewayOf([ollama(server)]);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({
      code: 'no_model',
      kind: 'retryable',
      retryAfterMs: REPROBE_MS,
      message: expect.stringContaining('ollama pull test-model'),
    });
    expect(calls).toHaveLength(0);
    server.models = ['test-model'];
    clock.advance(REPROBE_MS);
    await eventually(async () => (await statusOf(gateway, 'real')).health.ok);
    expect((await gateway.ask(ASK, signal)).model).toBe('real');
  });

  it('goes on to the next model when one hangs, and says that what was said is void', async () => {
    const gateway = await gatewayOf([
      await scripted('stuck', [{ text: 'half an ans', fail: 'hang' }], { idle_timeout_ms: 500, preference: 1 }),
      await scripted('well', [{ text: 'whole' }]),
    ]);
    let said = '';
    const onText = (text: string): void => {
      said += text;
    };
    const onRestart = (): void => {
      said = '';
    };
    const asked = gateway.ask({ ...ASK, onText, onRestart }, signal);
    await eventually(() => said !== '');
    clock.advance(500);
    expect(await asked).toMatchObject({ text: 'whole', model: 'well' });
    expect(said).toBe('whole');
    expect(outcomes()).toEqual(['stuck timeout model_timeout', 'well ok']);
    expect(calls[0]!.call).toMatchObject({ duration_ms: 500, output_tokens: 3 });
  });

  it.each([
    ['refuse', 'model_refused'],
    ['error', 'model_error'],
    ['missing', 'model_missing'],
    ['garbage', 'model_garbage'],
    ['overloaded', 'model_overloaded'],
    ['unreachable', 'model_unreachable'],
  ])('asks each model once after "%s" and then throws the last fault', async (fail, code) => {
    const gateway = await gatewayOf([await scripted('a', [{ fail }], { preference: 1 }), await scripted('b', [{ fail: 'error' }])]);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_error' });
    expect(outcomes()).toEqual([`a error ${code}`, 'b error model_error']);
  });

  it('does not hand a rejected request to another model', async () => {
    const gateway = await gatewayOf([await scripted('a', [{ fail: 'reject' }], { preference: 1 }), await scripted('b', [{ text: 'x' }])]);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_rejected', kind: 'terminal' });
    expect(outcomes()).toEqual(['a error model_rejected']);
  });

  it('calls four models at most for one ask', async () => {
    const gateway = await gatewayOf(await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => scripted(id, [{ fail: 'error' }]))));
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_error' });
    expect(outcomes()).toHaveLength(4);
  });

  it('asks a named model only, and knows an unknown name', async () => {
    const gateway = await gatewayOf([await scripted('a', [{ fail: 'error' }]), await scripted('b', [{ text: 'x' }])]);
    await expect(gateway.ask({ ...ASK, model: 'a' }, signal)).rejects.toMatchObject({ code: 'model_error' });
    expect(outcomes()).toEqual(['a error model_error']);
    await expect(gateway.ask({ ...ASK, model: 'z' }, signal)).rejects.toMatchObject({
      code: 'model_missing',
      kind: 'terminal',
      message: expect.stringContaining('a, b'),
    });
  });

  it('waits out a 429 storm: nothing is sent until the time that was asked for, and no fallback stands in', async () => {
    const server = await serve(openOpenAiServer);
    server.behaviour = 'overloaded';
    const gateway = await gatewayOf([
      { id: 'cloud', runner: 'openai', base_url: `${server.url}/v1` },
      { id: 'spare', runner: 'scripted', fallback: true },
    ]);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_overloaded', retryAfterMs: 7_000 });
    server.behaviour = 'answer';
    for (let i = 0; i < 5; i++) await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'no_model', retryAfterMs: 7_000 });
    expect(server.requests).toHaveLength(1);
    expect(await statusOf(gateway, 'cloud')).toMatchObject({
      retry_after_ms: 7_000,
      health: { ok: false, detail: expect.stringContaining('asked to wait') },
    });
    clock.advance(7_000);
    expect((await gateway.ask(ASK, signal)).model).toBe('cloud');
    expect((await statusOf(gateway, 'cloud')).health.ok).toBe(true);
  });

  it('leaves a model alone that fails in a row, and finds out with one call', async () => {
    const gateway = await gatewayOf([await scripted('a', [{ fail: 'error' }])]);
    for (let i = 0; i < 3; i++) await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_error' });
    const refused = gateway.ask(ASK, signal);
    await expect(refused).rejects.toMatchObject({
      code: 'no_model',
      retryAfterMs: 2_000,
      message: expect.stringContaining('a is cooling'),
    });
    expect((await statusOf(gateway, 'a')).health).toMatchObject({ ok: false, detail: expect.stringContaining('failed several times') });
    clock.advance(2_000);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_error' });
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'no_model', retryAfterMs: 4_000 });
    expect(calls).toHaveLength(4);
  });

  it('never runs more calls of a model than it may, and serves the queue in order', async () => {
    const server = await serve(openOllamaServer);
    server.behaviour = 'slow';
    const gateway = await gatewayOf([ollama(server, { concurrency: 3 })]);
    const ended: number[] = [];
    const asks = Array.from({ length: 10 }, (_, i) => gateway.ask(ASK, signal).then(() => ended.push(i)));
    let most = 0;
    for (let left = 10; left > 0; left -= Math.min(3, left)) {
      const expected = Math.min(3, left);
      await server.until(() => server.running() >= expected);
      most = Math.max(most, server.running());
      expect(await statusOf(gateway, 'real')).toMatchObject({ running: expected, queued: left - expected });
      server.release();
      await eventually(() => ended.length === 10 - left + expected);
    }
    await Promise.all(asks);
    expect(most).toBe(3);
    expect(await statusOf(gateway, 'real')).toMatchObject({ running: 0, queued: 0 });
    expect([...ended.slice(0, 3)].sort()).toEqual([0, 1, 2]);
    expect(ended.at(-1)).toBe(9);
  });

  it('ends an ask in the queue at an abort: nothing was called, nothing is held', async () => {
    const gateway = await gatewayOf([await scripted('a', [{ fail: 'hang' }], { concurrency: 1 })]);
    const [first, second] = [new AbortController(), new AbortController()];
    const running = gateway.ask(ASK, first.signal);
    const queued = gateway.ask(ASK, second.signal);
    expect(await statusOf(gateway, 'a')).toMatchObject({ running: 1, queued: 1 });
    const reason = new Error('cancelled');
    second.abort(reason);
    await expect(queued).rejects.toBe(reason);
    expect(await statusOf(gateway, 'a')).toMatchObject({ running: 1, queued: 0 });
    first.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(outcomes()).toEqual(['a aborted aborted']);
    expect(await statusOf(gateway, 'a')).toMatchObject({ running: 0, health: { ok: true } });
    expect(clock.pending()).toBe(0);
  });

  it('ends an ask that waits for a probe at an abort', async () => {
    const silent: Transport = () => {
      let cancel = (): void => {};
      const answer = new Promise<never>((_resolve, reject) => {
        cancel = () => reject(new Error('cancelled'));
      });
      return { answer, cancel: () => cancel() };
    };
    const gateway = await gatewayOf([{ id: 'real', runner: 'ollama' }], { transport: silent });
    const abort = new AbortController();
    const asked = gateway.ask(ASK, abort.signal);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    const probed = gateway.status();
    clock.advance(2_000);
    expect((await probed)[0]?.health).toMatchObject({ ok: false, detail: expect.stringContaining('no answer in the time of a probe') });
  });

  it.each([
    // Over real connections, and, for the number, without them.
    ['connections', 200],
    ['script', 2_000],
  ])('keeps no connection, listener, slot or timer after aborted streams (%s, %i)', async (over, streams) => {
    const AT_ONCE = 20;
    const server = await serve(openOllamaServer);
    server.behaviour = 'slow';
    const model = over === 'script' ? await scripted('real', [{ text: 'half', fail: 'hang' }]) : ollama(server);
    const gateway = await gatewayOf([{ ...model, concurrency: AT_ONCE }]);
    await gateway.status();
    const reason = new Error('cancelled');
    for (let done = 0; done < streams; done += AT_ONCE) {
      const aborts = await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          const abort = new AbortController();
          await expect(gateway.ask({ ...ASK, onText: () => abort.abort(reason) }, abort.signal)).rejects.toBe(reason);
          return abort;
        }),
      );
      for (const abort of aborts) expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    }
    if (over === 'connections') await server.until(() => server.running() === 0 && server.left() === streams);
    // What is left are idle connections that were opened and never needed.
    expect(await server.sockets()).toBeLessThan(AT_ONCE);
    expect(await statusOf(gateway, 'real')).toMatchObject({ running: 0, queued: 0, health: { ok: true } });
    expect(clock.pending()).toBe(0);
    expect(calls.filter(({ call }) => call.outcome === 'aborted')).toHaveLength(streams);
  });

  it('gives the answer even when its record cannot be kept', async () => {
    const warnings: string[] = [];
    const logger = { info: () => {}, warn: (_: object, message: string) => warnings.push(message) };
    const onCall = (): void => {
      throw new Error('the log is full');
    };
    const gateway = await gatewayOf([await scripted('a', [{ text: 'x' }])], { onCall, logger });
    expect((await gateway.ask(ASK, signal)).text).toBe('x');
    expect(warnings).toHaveLength(1);
  });

  it('does not ask a model whose key is not set, and sends the key that is', async () => {
    const server = await serve(openOpenAiServer);
    const models: Config[] = [{ id: 'cloud', runner: 'openai', base_url: `${server.url}/v1`, api_key_env: 'CLOUD_KEY' }];
    const without = await gatewayOf(models);
    expect((await statusOf(without, 'cloud')).health).toMatchObject({ ok: false, detail: expect.stringContaining('CLOUD_KEY is not set') });
    await expect(without.ask(ASK, signal)).rejects.toMatchObject({ code: 'no_model' });
    expect(server.requests).toHaveLength(0);
    const withKey = await gatewayOf(models, { env: { CLOUD_KEY: 'secret-key\n' } });
    await withKey.ask(ASK, signal);
    expect(server.authorizations).toEqual(['Bearer secret-key']);
  });

  it('tells a scripted model the purpose, tier and attempt', async () => {
    const rules = [{ match: { purpose: 'analyse', tier: 'small', attempt: 1, task: 'slug' }, answers: [{ text: 'matched' }] }];
    await writeFile(join(folder, 's.json'), JSON.stringify({ version: 1, rules }));
    const gateway = await gatewayOf([{ id: 's', runner: 'scripted', script: 's.json' }]);
    expect((await gateway.ask({ ...ASK, purpose: 'analyse', hints: { task: 'slug' } }, signal)).text).toBe('matched');
    expect((await gateway.ask(ASK, signal)).text).toContain('no model was asked');
  });

  it('does not open with a bad script or with one id twice', async () => {
    await writeFile(join(folder, 'bad.json'), '{"version":1,"rules":[{}]}');
    await expect(gatewayOf([{ id: 's', runner: 'scripted', script: 'bad.json' }])).rejects.toMatchObject({ code: 'bad_script' });
    const twice: Config = { id: 's', runner: 'scripted' };
    await expect(gatewayOf([twice, twice])).rejects.toBeInstanceOf(Fault);
  });

  it('answers nothing after it was closed, and sends the queue away', async () => {
    const gateway = await gatewayOf([await scripted('a', [{ fail: 'hang' }], { concurrency: 1, idle_timeout_ms: 100 })]);
    const running = gateway.ask(ASK, signal);
    const queued = gateway.ask(ASK, signal);
    await eventually(async () => (await statusOf(gateway, 'a')).queued === 1);
    await gateway.close();
    await expect(queued).rejects.toMatchObject({ code: 'no_model' });
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'no_model' });
    clock.advance(100);
    await expect(running).rejects.toMatchObject({ code: 'model_timeout' });
  });
});
