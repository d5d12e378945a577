// The gateway under load, failure and rules, with real small servers where the wire matters.
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accessConfigSchema, type CallSummary, type Decision, routingConfigSchema } from '../schemas/index.js';
import { LONGEST_PAUSE_MS } from './ask-loop.js';
import { HALF_LIFE_MS } from './averages.js';
import { modelFault } from './faults.js';
import type { ModelGateway } from './gateway.js';
import type { ModelGatewayOptions } from './model-gateway.js';
import { DEFAULT_HOLD_MS, REPROBE_MS } from './model-line.js';
import { defaultPolicy, type ModelPolicy } from './policy.js';
import { TRIAL_AFTER_MS } from './rules.js';
import { openScripted } from './scripted/runner.js';
import { ASK, type Config, eventually, type Gateways, openGateways, statusOf } from './testing/gateways.js';
import { openOpenAiServer } from './testing/openai-server.js';
import type { WireServer } from './testing/wire-server.js';

const { signal } = new AbortController();
let gateways: Gateways;
beforeEach(async () => {
  gateways = await openGateways();
});
afterEach(() => gateways.close());

const openai = (id: string, server: WireServer, over: Partial<Config> = {}): Config => ({
  id,
  runner: 'openai',
  base_url: `${server.url}/v1`,
  ...over,
});
const policyOf = (routing: object, over: Partial<ModelPolicy> = {}): ModelPolicy => ({
  version: 'v1',
  ...defaultPolicy(),
  routing: routingConfigSchema.parse(routing),
  ...over,
});
/** Asks, and tells what was decided and called on the way. */
const asking = async (gateway: ModelGateway, over: Partial<typeof ASK> = {}) => {
  const decisions: Decision[] = [];
  const calls: CallSummary[] = [];
  const answer = await gateway.ask(
    { ...ASK, ...over, onDecision: (decision) => decisions.push(decision), onCall: (call) => calls.push(call) },
    signal,
  );
  return { answer, decisions, calls };
};
/** Nothing of an ask is left: no slot, no timer, no listener. */
const nothingLeft = async (gateway: ModelGateway, ...signals: AbortSignal[]) => {
  for (const { running, queued } of await gateway.status()) expect({ running, queued }).toEqual({ running: 0, queued: 0 });
  for (const one of signals) expect(getEventListeners(one, 'abort')).toHaveLength(0);
  expect(gateways.clock.pending()).toBe(0);
};

describe('a model that is overloaded', () => {
  it('is waited for by the ask itself where it says a short time: nothing is sent before, and it answers then', async () => {
    const server = await gateways.serve(openOpenAiServer);
    server.behaviour = 'overloaded';
    server.retryAfterSeconds = 3;
    const gateway = await gateways.open([openai('cloud', server), { id: 'spare', runner: 'scripted', fallback: true }]);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_overloaded', retryAfterMs: 3_000 });
    server.behaviour = 'answer';
    const asks = Array.from({ length: 20 }, () => gateway.ask(ASK, new AbortController().signal));
    await eventually(() => gateways.clock.pending() === 20);
    gateways.clock.advance(2_999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.requests).toHaveLength(1);
    gateways.clock.advance(1);
    for (const { model } of await Promise.all(asks)) expect(model).toBe('cloud');
    await nothingLeft(gateway);
  });

  it('is waited for by those too that stood in its queue when it said so', async () => {
    const server = await gateways.serve(openOpenAiServer);
    server.behaviour = 'overloaded';
    server.retryAfterSeconds = 2;
    const gateway = await gateways.open([openai('cloud', server, { concurrency: 1 })]);
    await gateway.status();
    const [first, ...others] = Array.from({ length: 4 }, () => gateway.ask(ASK, new AbortController().signal));
    await expect(first).rejects.toMatchObject({ code: 'model_overloaded' });
    await eventually(() => gateways.clock.pending() === 3);
    expect(server.requests).toHaveLength(1);
    server.behaviour = 'answer';
    gateways.clock.advance(2_000);
    for (const { model } of await Promise.all(others)) expect(model).toBe('cloud');
    await nothingLeft(gateway);
  });

  it('is scheduling’s matter where it says a long time', async () => {
    const server = await gateways.serve(openOpenAiServer);
    server.behaviour = 'overloaded';
    const gateway = await gateways.open([openai('cloud', server)]);
    for (const code of ['model_overloaded', 'no_model'])
      await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code, retryAfterMs: 7_000 });
    expect(server.requests).toHaveLength(1);
    await nothingLeft(gateway);
  });

  it('without saying how long is left alone for longer each time, a storm of answers counting as one', async () => {
    const gateway = await gateways.open([await gateways.scripted('a', [{ fail: 'overloaded' }], { concurrency: 10 })]);
    const storm = () => Promise.allSettled(Array.from({ length: 10 }, () => gateway.ask(ASK, new AbortController().signal)));
    await storm();
    expect(gateways.calls).toHaveLength(10);
    const waits: (number | undefined)[] = [];
    for (let i = 0; i < 7; i++) {
      const { retry_after_ms } = await statusOf(gateway, 'a');
      waits.push(retry_after_ms);
      gateways.clock.advance(retry_after_ms!);
      await storm();
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30].map((s) => s * DEFAULT_HOLD_MS));
  });

  it('waits longer than asked by chance, so that not all come back at once', async () => {
    const gateway = await gateways.open([await gateways.scripted('a', [{ fail: 'overloaded', retry_after_ms: 1_000 }, { text: 'x' }])], {
      random: () => 0.5,
    });
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_overloaded' });
    const asked = gateway.ask({ ...ASK, attempt: 2 }, signal);
    await eventually(() => gateways.clock.pending() === 1);
    gateways.clock.advance(1_124);
    expect(gateways.clock.pending()).toBe(1);
    gateways.clock.advance(1);
    expect((await asked).text).toBe('x');
  });

  it('hands the ask to another one that is ready', async () => {
    const gateway = await gateways.open([
      await gateways.scripted('a', [{ fail: 'overloaded', retry_after_ms: 100 }], { preference: 1 }),
      await gateways.scripted('b', [{ text: 'b' }]),
    ]);
    const { answer, calls } = await asking(gateway);
    expect(answer.model).toBe('b');
    expect(calls.map(({ model, error_type }) => [model, error_type])).toEqual([
      ['a', 'model_overloaded'],
      ['b', undefined],
    ]);
  });

  it('lets an ask that waits for it go at an abort, and when the gateway closes', async () => {
    const gateway = await gateways.open([await gateways.scripted('a', [{ fail: 'overloaded', retry_after_ms: LONGEST_PAUSE_MS }])]);
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_overloaded' });
    const abort = new AbortController();
    const waiting = gateway.ask(ASK, abort.signal);
    const other = gateway.ask(ASK, signal);
    await eventually(() => gateways.clock.pending() === 2);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(gateways.clock.pending()).toBe(1);
    await gateway.close();
    await expect(other).rejects.toMatchObject({ code: 'no_model' });
    await nothingLeft(gateway, abort.signal);
  });
});

describe('a model that fails', () => {
  it('in the middle of an ask, its server killed: the ask moves on, both calls are told, and it is asked again when it is back', async () => {
    let server = await openOpenAiServer();
    const port = new URL(server.url).port;
    server.behaviour = 'slow';
    const gateway = await gateways.open([
      openai('real', server, { preference: 1 }),
      await gateways.scripted('backup', [{ text: 'from the backup' }]),
    ]);
    let said = '';
    const asked = asking(gateway, { onText: (text) => (said += text), onRestart: () => (said = '') });
    await eventually(() => said !== '');
    await server.close();
    const { answer, calls, decisions } = await asked;
    expect(answer).toMatchObject({ model: 'backup', text: 'from the backup' });
    expect(said).toBe('from the backup');
    expect(calls).toMatchObject([
      { model: 'real', outcome: 'error', error_type: 'model_unreachable', output_tokens: 2 },
      { model: 'backup', outcome: 'ok' },
    ]);
    expect(decisions.map(({ chosen }) => chosen)).toEqual(['real', 'backup']);
    expect(decisions[1]!.candidates[0]).toMatchObject({ id: 'real', verdict: 'failed' });
    await eventually(async () => (await statusOf(gateway, 'real')).health.ok === false);
    expect((await gateway.ask(ASK, signal)).model).toBe('backup');

    server = await gateways.serve(() => openOpenAiServer(Number(port)));
    gateways.clock.advance(REPROBE_MS);
    await eventually(async () => (await statusOf(gateway, 'real')).health.ok);
    expect(await statusOf(gateway, 'real')).toMatchObject({ breaker: 'closed' });
    expect((await gateway.ask(ASK, signal)).model).toBe('real');
    await nothingLeft(gateway);
  });

  it('several times in a row is left alone, and one call finds out that it is back', async () => {
    const server = await gateways.serve(openOpenAiServer);
    server.behaviour = 'error';
    const gateway = await gateways.open([openai('real', server, { preference: 1 }), await gateways.scripted('backup', [{ text: 'b' }])]);
    for (let i = 0; i < 4; i++) expect((await gateway.ask(ASK, signal)).model).toBe('backup');
    expect(server.requests).toHaveLength(3);
    expect(await statusOf(gateway, 'real')).toMatchObject({ breaker: 'open', retry_after_ms: 2_000 });
    server.behaviour = 'answer';
    gateways.clock.advance(2_000);
    expect((await gateway.ask(ASK, signal)).model).toBe('real');
    expect(await statusOf(gateway, 'real')).toMatchObject({ breaker: 'closed' });
  });

  it.each(['slow', 'hang'] as const)('by being silent (%s) is given up after its idle time', async (behaviour) => {
    const server = await gateways.serve(openOpenAiServer);
    server.behaviour = behaviour;
    const gateway = await gateways.open([
      openai('real', server, { preference: 1, idle_timeout_ms: 500 }),
      await gateways.scripted('backup', [{ text: 'b' }]),
    ]);
    const asked = asking(gateway);
    await server.until(() => server.running() === 1);
    while (gateways.calls.length === 0) {
      gateways.clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await asked).calls).toMatchObject([{ model: 'real', outcome: 'timeout', error_type: 'model_timeout' }, { model: 'backup' }]);
    await nothingLeft(gateway);
  });

  it('is passed over for what its errors cost it, and is asked again when they are forgotten', async () => {
    const gateway = await gateways.open([
      await gateways.scripted('a', [{ fail: 'error' }, { text: 'a' }], { preference: 1 }),
      await gateways.scripted('b', [{ text: 'b' }], { preference: 40 }),
    ]);
    const attempt = async (n: number) => (await gateway.ask({ ...ASK, attempt: n }, signal)).model;
    for (const n of [1, 1, 2, 1]) await attempt(n);
    expect(await statusOf(gateway, 'a')).toMatchObject({ features: { error_rate: 0.75 }, breaker: 'closed' });
    gateways.calls.length = 0;
    expect(await attempt(2)).toBe('b');
    expect(gateways.outcomes()).toEqual(['b ok']);
    gateways.clock.advance(HALF_LIFE_MS);
    expect((await statusOf(gateway, 'a')).features).not.toHaveProperty('error_rate');
    expect(await attempt(2)).toBe('a');
  });
});

describe('a prompt that is too long', () => {
  const long = 'word '.repeat(20_000);
  it('goes to models with a longer context only, and says so where there is none', async () => {
    const server = await gateways.serve(openOpenAiServer);
    const models = [openai('short', server, { preference: 1, context_tokens: 8_192 }), openai('long', server, { context_tokens: 131_072 })];
    const gateway = await gateways.open(models);
    const { answer } = await asking(gateway, { messages: [{ role: 'user', content: long }] });
    expect(answer.model).toBe('long');
    expect(answer.decision!.candidates[0]).toMatchObject({ id: 'short', verdict: 'not_able' });
    const alone = await gateways.open([models[0]!, { id: 'spare', runner: 'scripted', fallback: true }]);
    await expect(asking(alone, { messages: [{ role: 'user', content: long }] })).rejects.toMatchObject({
      code: 'model_context',
      kind: 'terminal',
      message: expect.stringContaining('8192 tokens'),
    });
  });
});

describe('a model that says the prompt is too long', () => {
  it('is followed by one with a longer context only', async () => {
    const asked: string[] = [];
    const openRunner: ModelGatewayOptions['openRunner'] = async ({ id }) => ({
      ...openScripted({ id }),
      // biome-ignore lint/correctness/useYield: it fails before it says anything
      async *generate() {
        asked.push(id);
        throw modelFault(id, 'model_context');
      },
    });
    const sizes = { first: 8_192, same: 8_192, smaller: 4_096, longer: 16_384 };
    const models = Object.entries(sizes).map(([id, context_tokens], i) => ({
      id,
      runner: 'scripted' as const,
      context_tokens,
      preference: i,
    }));
    const gateway = await gateways.open(models, { openRunner });
    await expect(gateway.ask(ASK, signal)).rejects.toMatchObject({ code: 'model_context' });
    expect(asked).toEqual(['first', 'longer']);
    expect(await statusOf(gateway, 'first')).toMatchObject({ breaker: 'closed' });
  });
});

describe('rules', () => {
  const models = async (): Promise<readonly Config[]> => [
    await gateways.scripted('local', [{ text: 'l' }, { fail: 'error' }], { preference: 10, gpu: 0 }),
    await gateways.scripted('cloud', [{ text: 'c' }], { preference: 500 }),
  ];

  it('move work to the cloud while the GPU is above 80 %, and back when it is not', async () => {
    let gpu: number | undefined;
    const rules = [{ name: 'gpu-busy', watch: { models: ['local'], gpu_above: 0.8 }, to: ['cloud'] }];
    const gateway = await gateways.open(await models(), {
      policy: () => policy,
      gpu: (index) => (index === 0 && gpu !== undefined ? { utilisation_ratio: gpu } : undefined),
    });
    const policy = policyOf({ rules });
    const chosen: unknown[] = [];
    for (const ratio of [undefined, 0.79, 0.81, 0.7, 0.61, 0.59, 0.79]) {
      gpu = ratio;
      const { answer } = await asking(gateway);
      chosen.push(answer.model);
      expect(answer.decision!.config_version).toBe('v1');
      if (answer.model === 'cloud') expect(answer.decision).toMatchObject({ reason: 'rule', rules: ['gpu-busy'] });
      if (ratio !== undefined) expect(answer.decision!.candidates[0]!.features.gpu_ratio).toBe(ratio);
    }
    expect(chosen).toEqual(['local', 'local', 'cloud', 'cloud', 'cloud', 'local', 'local']);
  });

  it('move work to the backup while errors are above 10 %; trials of one call now and then bring it back', async () => {
    const rules = [{ name: 'errors', watch: { models: ['local'], errors_above: 0.1 }, to: ['cloud'] }];
    const policy = policyOf({ rules, weights: { errors: 0 } });
    const gateway = await gateways.open(await models(), { policy: () => policy });
    const attempt = async (n: number) => (await asking(gateway, { attempt: n })).answer;
    for (const n of [1, 1, 1, 1, 2]) await attempt(n);
    expect((await statusOf(gateway, 'local')).features!.error_rate).toBeCloseTo(0.2);
    expect(await attempt(1)).toMatchObject({ model: 'cloud', decision: { reason: 'rule', rules: ['errors'] } });
    gateways.clock.advance(TRIAL_AFTER_MS);
    // It is its turn to be tried, and fails: the ask goes to the backup, and no other tries it meanwhile.
    gateways.calls.length = 0;
    expect((await attempt(2)).model).toBe('cloud');
    expect(gateways.outcomes()).toEqual(['local error model_error', 'cloud ok']);
    expect((await attempt(1)).model).toBe('cloud');
    let trials = 0;
    while ((await attempt(1)).model === 'cloud') {
      gateways.clock.advance(TRIAL_AFTER_MS);
      expect((await attempt(1)).model).toBe('local');
      trials += 1;
    }
    expect(trials).toBeLessThan(8);
    for (let i = 0; i < 5; i++) expect((await attempt(1)).model).toBe('local');
  });

  it('are read at every ask: a change takes effect with the next one', async () => {
    let policy = policyOf({});
    const gateway = await gateways.open(await models(), { policy: () => policy });
    expect((await asking(gateway)).answer.model).toBe('local');
    policy = policyOf({ rules: [{ name: 'all-out', to: ['cloud'] }] }, { version: 'v2' });
    expect((await asking(gateway)).answer).toMatchObject({ model: 'cloud', decision: { config_version: 'v2', rules: ['all-out'] } });
    policy = policyOf({}, { version: 'v3', access: accessConfigSchema.parse({ projects: { p1: { block: ['local'] } } }) });
    expect((await asking(gateway, { project_id: 'p1' })).answer.model).toBe('cloud');
    expect((await asking(gateway, { project_id: 'p2' })).answer.model).toBe('local');
    await expect(asking(gateway, { project_id: 'p1', model: 'local' })).rejects.toMatchObject({
      code: 'model_not_allowed',
      kind: 'terminal',
      message: expect.stringContaining('local is not on the access list'),
    });
  });
});

describe('what must stay in the building', () => {
  it('goes to local models only, named or not', async () => {
    const server = await gateways.serve(openOpenAiServer);
    const outside = openai('outside', server, { local: false, preference: 1 });
    const gateway = await gateways.open([outside, openai('inside', server)]);
    expect((await asking(gateway, { local_only: true })).answer.model).toBe('inside');
    expect((await asking(gateway)).answer.model).toBe('outside');
    const decisions: Decision[] = [];
    const alone = await gateways.open([outside]);
    const asked = alone.ask({ ...ASK, local_only: true, onDecision: (decision) => decisions.push(decision) }, signal);
    await expect(asked).rejects.toMatchObject({ code: 'model_not_allowed', message: expect.stringContaining('outside is outside') });
    expect(decisions).toMatchObject([{ reason: 'not_allowed', candidates: [{ verdict: 'not_allowed' }] }]);
    await expect(asking(gateway, { local_only: true, model: 'outside' })).rejects.toMatchObject({ code: 'model_not_allowed' });
    expect(await statusOf(gateway, 'outside')).toMatchObject({ local: false });
  });
});

describe('an allowance', () => {
  it('stops an ask before the call that would exceed it, failed calls counting', async () => {
    const gateway = await gateways.open([
      await gateways.scripted('a', [{ text: 'half an answer', fail: 'error', tokens: { output: 500 } }], { preference: 1 }),
      await gateways.scripted('b', [{ text: 'b' }]),
    ]);
    const fails = (allowance: object, code: string) =>
      expect(asking(gateway, { allowance })).rejects.toMatchObject({ code, kind: 'terminal' });
    await fails({ calls: 1 }, 'call_limit');
    expect(gateways.outcomes()).toEqual(['a error model_error']);
    await fails({ calls: 0 }, 'call_limit');
    await fails({ tokens: 5 }, 'budget_exceeded');
    expect(gateways.calls).toHaveLength(1);
    expect((await asking(gateway, { allowance: { calls: 2, tokens: 1_000 } })).answer.model).toBe('b');
    await nothingLeft(gateway);
  });

  it('counts what a call had said before it failed', async () => {
    const gateway = await gateways.open([
      await gateways.scripted('a', [{ text: 'word '.repeat(800), fail: 'die_mid_stream' }], { preference: 1 }),
      await gateways.scripted('b', [{ text: 'b' }]),
    ]);
    await expect(asking(gateway, { allowance: { tokens: 530 } })).rejects.toMatchObject({ code: 'budget_exceeded' });
    expect(gateways.calls).toMatchObject([{ model: 'a', input_tokens: 3, output_tokens: 512 }]);
    expect((await asking(gateway, { allowance: { tokens: 535 } })).answer.model).toBe('b');
  });

  it('cuts the answer to what is left', async () => {
    const server = await gateways.serve(openOpenAiServer);
    const gateway = await gateways.open([openai('cloud', server, { price_input_per_mtok: 0, price_output_per_mtok: 10 })]);
    await asking(gateway, { allowance: { tokens: 103 } });
    await asking(gateway, { allowance: { cost_usd: 0.0005 } });
    await asking(gateway, { allowance: { tokens: 1_000_000 } });
    expect(server.requests.map((request) => (request as { max_tokens?: number; max_completion_tokens?: number }).max_tokens)).toEqual([
      100, 50, 4_096,
    ]);
  });
});

describe('a second call beside a slow one', () => {
  const pair = async (over: Partial<Config> = {}, second: Partial<Config> = {}) => {
    const [slow, fast] = [await gateways.serve(openOpenAiServer), await gateways.serve(openOpenAiServer)];
    slow.behaviour = 'hang';
    fast.pieces = ['fast', ' answer'];
    const gateway = await gateways.open([
      openai('slow', slow, { preference: 1, hedge_after_ms: 200, ...over }),
      openai('fast', fast, { ...second }),
    ]);
    await gateway.status({ fresh: true });
    return { slow, fast, gateway };
  };

  it('answers, the slow one is ended, and both are on record', async () => {
    const { slow, gateway } = await pair();
    let said = '';
    const asked = asking(gateway, { onText: (text) => (said += text) });
    await slow.until(() => slow.running() === 1);
    gateways.clock.advance(200);
    const { answer, calls, decisions } = await asked;
    expect(answer).toMatchObject({ model: 'fast', text: 'fast answer', decision: { chosen: 'fast' } });
    expect(said).toBe('fast answer');
    expect(calls.map(({ model, outcome, hedge }) => [model, outcome, hedge])).toEqual([
      ['slow', 'aborted', undefined],
      ['fast', 'ok', true],
    ]);
    expect(gateways.calls.map(({ model, hedge }) => [model, hedge])).toEqual([
      ['slow', undefined],
      ['fast', true],
    ]);
    expect(decisions.map(({ chosen }) => chosen)).toEqual(['slow', 'fast']);
    await slow.until(() => slow.left() === 1);
    expect(await statusOf(gateway, 'slow')).toMatchObject({ breaker: 'closed', health: { ok: true } });
    await nothingLeft(gateway);
  });

  it('shows how slow the slow one is at least', async () => {
    const { slow, gateway } = await pair();
    for (let i = 1; i <= 4; i++) {
      const asked = gateway.ask(ASK, new AbortController().signal);
      await slow.until(() => slow.running() === 1);
      gateways.clock.advance(200);
      expect((await asked).model).toBe('fast');
      await slow.until(() => slow.left() === i);
    }
    expect((await statusOf(gateway, 'slow')).features).toMatchObject({ latency_ms: 200 });
    expect((await statusOf(gateway, 'slow')).features).not.toHaveProperty('error_rate');
  });

  it('is not made where the flag is off, the model is named, or nobody else is there', async () => {
    for (const [over, policy] of [
      [{}, policyOf({}, { flags: { hedging: false, openai_endpoint: true } })],
      [{ model: 'slow' }, policyOf({})],
      [{ local_only: true }, policyOf({})],
    ] as const) {
      const { slow, fast, gateway: other } = await pair({}, { local: false });
      await other.close();
      const gateway = await gateways.open(
        [openai('slow', slow, { hedge_after_ms: 200, preference: 1 }), openai('fast', fast, { local: false })],
        {
          policy: () => policy,
        },
      );
      const abort = new AbortController();
      const asked = gateway.ask({ ...ASK, ...over }, abort.signal);
      await slow.until(() => slow.running() === 1);
      gateways.clock.advance(200);
      expect(await statusOf(gateway, 'fast')).toMatchObject({ running: 0 });
      abort.abort(new Error('enough'));
      await expect(asked).rejects.toThrow('enough');
      await nothingLeft(gateway, abort.signal);
    }
  });

  it('is made at the same tier only, and only within the allowance', async () => {
    for (const [second, over] of [
      [{ tiers: ['large'] }, {}],
      [{}, { allowance: { calls: 1 } }],
      [{}, { allowance: { tokens: 4_100 } }],
    ] as const) {
      const { slow, gateway } = await pair({}, second as Partial<Config>);
      const abort = new AbortController();
      const asked = gateway.ask({ ...ASK, ...over }, abort.signal);
      await slow.until(() => slow.running() === 1);
      gateways.clock.advance(200);
      expect(await statusOf(gateway, 'fast')).toMatchObject({ running: 0 });
      abort.abort(new Error('enough'));
      await expect(asked).rejects.toThrow('enough');
      await nothingLeft(gateway, abort.signal);
    }
  });

  it('ends with the caller: both calls are gone, and nothing is left', async () => {
    const { slow, fast, gateway } = await pair();
    fast.behaviour = 'hang';
    const abort = new AbortController();
    const asked = gateway.ask(ASK, abort.signal);
    await slow.until(() => slow.running() === 1);
    gateways.clock.advance(200);
    await fast.until(() => fast.running() === 1);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(asked).rejects.toBe(reason);
    await Promise.all([slow.until(() => slow.left() === 1), fast.until(() => fast.left() === 1)]);
    expect(gateways.outcomes()).toEqual(['slow aborted aborted', 'fast aborted aborted']);
    await nothingLeft(gateway, abort.signal);
  });

  it('that fails leaves the slow one, and where that fails too the next model is asked', async () => {
    const { slow, fast, gateway } = await pair({ idle_timeout_ms: 1_000 });
    fast.behaviour = 'error';
    const asked = gateway.ask(ASK, signal);
    await slow.until(() => slow.running() === 1);
    gateways.clock.advance(200);
    await eventually(() => gateways.calls.length === 1);
    gateways.clock.advance(800);
    await expect(asked).rejects.toMatchObject({ code: 'model_timeout' });
    expect(gateways.outcomes()).toEqual(['fast error model_error', 'slow timeout model_timeout']);
    await nothingLeft(gateway);
  });
});

describe('vectors', () => {
  it('come through the same loop: from the next model where one fails, accounted for', async () => {
    const server = await gateways.serve(openOpenAiServer);
    const gateway = await gateways.open([
      { id: 'dead', runner: 'openai', base_url: 'http://127.0.0.1:9/v1', preference: 1 },
      openai('real', server, { price_input_per_mtok: 2_000_000, price_output_per_mtok: 0 }),
    ]);
    const calls: CallSummary[] = [];
    const embeddings = await gateway.embed({ ...ASK, purpose: 'embed', texts: ['a', 'bc'], onCall: (call) => calls.push(call) }, signal);
    expect(embeddings).toMatchObject({
      vectors: [
        [1, 1],
        [2, 1],
      ],
      model: 'real',
      input_tokens: 5,
      cost_usd: 10,
      decision: { chosen: 'real' },
    });
    expect(gateways.calls).toMatchObject([
      { operation: 'embeddings', model: 'real', purpose: 'embed', input_tokens: 5, cost_usd: 10, outcome: 'ok' },
    ]);
    expect(calls).toMatchObject([{ model: 'real', outcome: 'ok' }]);
    const asked = gateway.embed({ ...ASK, purpose: 'embed', texts: ['a'], allowance: { tokens: 0 } }, signal);
    await expect(asked).rejects.toMatchObject({ code: 'budget_exceeded' });
    expect(await statusOf(gateway, 'real')).toMatchObject({ running: 0, queued: 0 });
  });
});
