import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ModelConfig } from '../schemas/index.js';
import type { GpuReading } from './model-gateway.js';
import { FRESH_MS, LOOK_MS, STALE_MS } from './residency.js';
import type { GenerateChunk, GenerateRequest } from './runner.js';
import { ASK, eventually, type Gateways, openGateways, statusOf } from './testing/gateways.js';
import { type MemoryServer, openMemoryServer } from './testing/memory-server.js';

const { signal } = new AbortController();
let gateways: Gateways;
let server: MemoryServer;
/** Calls that wait until they are let go. */
let held: (() => void)[] = [];
let holds = false;
beforeEach(async () => {
  gateways = await openGateways();
  server = openMemoryServer();
  held = [];
  told = [];
  holds = false;
});
afterEach(() => gateways.close());

/** What each call was told of the memory of its server. */
let told: (boolean | undefined)[] = [];

async function* answer({ loaded }: GenerateRequest): AsyncGenerator<GenerateChunk> {
  told.push(loaded);
  if (holds) await new Promise<void>((resolve) => held.push(resolve));
  yield { kind: 'text', text: 'hello' };
  yield { kind: 'done', finish_reason: 'stop', input_tokens: 1, output_tokens: 1 };
}
const open = (models: Readonly<Record<string, Partial<ModelConfig>>>, gpu?: () => GpuReading) =>
  gateways.open(
    Object.entries(models).map(([id, over]) => ({ id, runner: 'ollama', model: id, gpu: 0, ...over })),
    { openRunner: async ({ id }) => server.runner(id, answer), ...(gpu === undefined ? {} : { gpu }) },
  );
const ask = (model: string) => ({ ...ASK, model });
const loads = () => server.done.filter((what) => what.startsWith('load '));
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a model that is not in memory', () => {
  it('is loaded by the first call, once, and not again while it is there', async () => {
    const gateway = await open({ a: {} });
    await Promise.all(Array.from({ length: 4 }, () => gateway.ask(ask('a'), new AbortController().signal)));
    expect(server.done).toEqual(['load a', 'loaded a', 'generate a', 'generate a', 'generate a', 'generate a']);
    expect(told).toEqual([true, true, true, true]);
    expect(await statusOf(gateway, 'a')).toMatchObject({ features: { loaded: true } });
    await gateway.ask(ask('a'), signal);
    expect(loads()).toHaveLength(1);
  });

  it('is not loaded where its server had it already', async () => {
    server.loaded.set('a', 10);
    const gateway = await open({ a: {} });
    await gateway.ask(ask('a'), signal);
    expect(server.done).toEqual(['generate a']);
  });

  it('that was unloaded meanwhile is loaded again', async () => {
    const gateway = await open({ a: {} });
    await gateway.ask(ask('a'), signal);
    server.loaded.clear();
    gateways.clock.advance(FRESH_MS + 1);
    await gateway.ask(ask('a'), signal);
    expect(loads()).toHaveLength(2);
  });

  it('costs its candidate points, and the one that is there is chosen', async () => {
    server.loaded.set('b', 10);
    const gateway = await open({ a: {}, b: {} });
    await gateway.ask(ask('a'), signal);
    server.loaded.delete('a');
    gateways.clock.advance(FRESH_MS + 1);
    await gateway.status();
    await turn();
    const { model, decision } = await gateway.ask(ASK, signal);
    expect(model).toBe('b');
    expect(decision).toMatchObject({
      reason: 'score',
      candidates: [{ features: { loaded: false }, parts: { cold: 5 } }, { features: { loaded: true } }],
    });
  });

  it('is called anyhow where its server does not say what it has', async () => {
    server.silent = true;
    const gateway = await open({ a: {} });
    const asked = gateway.ask(ask('a'), signal);
    await turn();
    gateways.clock.advance(LOOK_MS);
    expect((await asked).text).toBe('hello');
    expect(server.done).toEqual(['generate a']);
    expect(gateways.clock.pending()).toBe(0);
    // It may load it then, which takes its time.
    expect(told).toEqual([undefined]);
  });

  it('that cannot be loaded is passed over: no call was made', async () => {
    server.broken.add('a');
    const gateway = await open({ a: { preference: 1 }, b: {} });
    expect((await gateway.ask(ASK, signal)).model).toBe('b');
    expect(gateways.outcomes()).toEqual(['b ok']);
    await expect(gateway.ask({ ...ask('a'), allowance: { calls: 1 } }, signal)).rejects.toMatchObject({ code: 'model_error' });
  });
});

describe('loads', () => {
  it('of one graphics processor run one at a time, those of another beside them', async () => {
    server.slow = true;
    const gateway = await open({ a: {}, b: {}, c: { gpu: 1 } });
    const asks = ['a', 'b', 'c'].map((id) => gateway.ask(ask(id), new AbortController().signal));
    await eventually(() => loads().length === 2);
    expect(loads()).toEqual(['load a', 'load c']);
    server.finish();
    await eventually(() => loads().length === 3);
    server.finish();
    await Promise.all(asks);
    expect(server.mostLoads()).toBe(2);
  });

  it('without a graphics processor run one at a time on their server', async () => {
    server.slow = true;
    const { gpu: _gpu, ...none } = { gpu: 0 };
    const gateway = await gateways.open(
      ['a', 'b'].map((id) => ({ id, runner: 'ollama', ...none })),
      { openRunner: async ({ id }) => server.runner(id, answer) },
    );
    const asks = ['a', 'b'].map((id) => gateway.ask(ask(id), new AbortController().signal));
    await eventually(() => loads().length === 1);
    server.finish();
    await eventually(() => loads().length === 2);
    server.finish();
    await Promise.all(asks);
    expect(server.mostLoads()).toBe(1);
  });

  it('go on to who waits when the one who loads leaves, and nothing of either is left', async () => {
    server.slow = true;
    const gateway = await open({ a: {}, b: {} });
    const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
    const loading = gateway.ask(ask('a'), first.signal);
    await eventually(() => loads().length === 1);
    const waiting = gateway.ask(ask('b'), second.signal);
    const next = gateway.ask(ask('a'), third.signal);
    await turn();
    const reason = new Error('cancelled');
    second.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    first.abort(reason);
    await expect(loading).rejects.toBe(reason);
    await eventually(() => loads().length === 2);
    server.finish();
    expect((await next).model).toBe('a');
    expect(gateways.calls).toHaveLength(1);
    for (const one of [first, second, third]) expect(getEventListeners(one.signal, 'abort')).toHaveLength(0);
    for (const status of await gateway.status()) expect(status).toMatchObject({ running: 0, queued: 0, health: { ok: true } });
    expect(gateways.clock.pending()).toBe(0);
  });
});

describe('memory', () => {
  const gpu = (): GpuReading => ({ memory_total_bytes: 100 });
  const sized = (sizes: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(sizes).map(([id, memory_bytes]) => {
        server.sizes.set(id, memory_bytes);
        return [id, { memory_bytes }];
      }),
    );
  const use = async (gateway: Awaited<ReturnType<typeof open>>, ...ids: string[]) => {
    for (const id of ids) {
      await gateway.ask(ask(id), signal);
      gateways.clock.advance(10);
    }
  };
  const unloads = () => server.done.filter((what) => what.startsWith('unload'));

  it('that is short is made by unloading what was used longest ago, and no more than needed', async () => {
    const gateway = await open(sized({ a: 40, b: 30, c: 20, d: 50 }), gpu);
    await use(gateway, 'a', 'b', 'c', 'a');
    expect(unloads()).toEqual([]);
    await use(gateway, 'd');
    expect(unloads()).toEqual(['unload b', 'unload c']);
    expect([...server.loaded.keys()].sort()).toEqual(['a', 'd']);
    await use(gateway, 'b');
    expect(unloads()).toEqual(['unload b', 'unload c', 'unload a']);
  });

  it('is never taken from a model with calls', async () => {
    const gateway = await open(sized({ a: 60, b: 30, c: 60 }), gpu);
    await use(gateway, 'a', 'b');
    holds = true;
    const running = gateway.ask(ask('a'), new AbortController().signal);
    await eventually(() => held.length === 1);
    const asked = gateway.ask(ask('c'), new AbortController().signal);
    await eventually(() => held.length === 2);
    expect(unloads()).toEqual(['unload b']);
    for (const go of held) go();
    await Promise.all([running, asked]);
  });

  it('is believed to be free of a model that was unloaded, though its server, asked before, says otherwise later', async () => {
    const other = openMemoryServer();
    const gateway = await gateways.open(
      [
        { id: 'a', runner: 'ollama', model: 'a', gpu: 0, memory_bytes: 60 },
        { id: 'b', runner: 'ollama', model: 'b', gpu: 0, memory_bytes: 60, base_url: 'http://127.0.0.1:2' },
      ],
      { openRunner: async ({ id }) => (id === 'a' ? server : other).runner(id, answer), gpu },
    );
    await use(gateway, 'a');
    gateways.clock.advance(FRESH_MS + 1);
    server.slowLooks = true;
    await gateway.status();
    gateways.clock.advance(1);
    await use(gateway, 'b');
    expect(unloads()).toEqual(['unload a']);
    server.finishLooks();
    await turn();
    expect(await statusOf(gateway, 'a')).toMatchObject({ features: { loaded: false } });
  });

  it('that others use there counts, and a size that nobody set is learnt from the server', async () => {
    server.sizes.set('a', 30).set('b', 30);
    const gateway = await open({ a: {}, b: {} }, () => ({ memory_total_bytes: 100, memory_used_bytes: 75 }));
    await use(gateway, 'a', 'b');
    expect(unloads()).toEqual([]);
    await eventually(() => server.looks >= 2);
    await turn();
    server.loaded.delete('b');
    gateways.clock.advance(FRESH_MS + 1);
    await use(gateway, 'b');
    expect(unloads()).toEqual(['unload a']);
  });

  it('without a reading is the server’s matter', async () => {
    const gateway = await open(sized({ a: 60, b: 60 }));
    await use(gateway, 'a', 'b');
    expect(unloads()).toEqual([]);
  });
});

describe('what a server has in memory', () => {
  it('is asked while it is in use, not more often than needed, and by no timer', async () => {
    const gateway = await open({ a: {}, b: {} });
    for (let i = 0; i < 5; i++) await gateway.status();
    await turn();
    expect(server.looks).toBe(1);
    expect(await statusOf(gateway, 'a')).toMatchObject({ features: { loaded: false } });
    gateways.clock.advance(STALE_MS + 1);
    await turn();
    expect(server.looks).toBe(1);
    expect((await statusOf(gateway, 'a')).features).not.toHaveProperty('loaded');
    await turn();
    expect(server.looks).toBe(2);
    expect(gateways.clock.pending()).toBe(0);
  });

  it('is nothing where models are kept for no time', async () => {
    const gateway = await open({ a: { keep_alive_s: 0 } });
    await gateway.ask(ask('a'), signal);
    server.loaded.clear();
    await gateway.ask(ask('a'), signal);
    expect(loads()).toHaveLength(2);
  });
});

describe('the start', () => {
  it('does not wait for models that are warmed up, and they are there for their first call', async () => {
    server.slow = true;
    const gateway = await open({ a: { warm_up: true }, b: { warm_up: true }, c: {} });
    await eventually(() => loads().length === 1);
    server.finish();
    await eventually(() => loads().length === 2);
    server.finish();
    await eventually(() => server.loaded.size === 2);
    await gateway.ask(ask('a'), signal);
    expect(loads()).toEqual(['load a', 'load b']);
  });

  it('tells of a model that could not be warmed up, and goes on', async () => {
    server.broken.add('a');
    const told: object[] = [];
    const logger = { info: () => {}, warn: (fields: object) => told.push(fields) };
    const gateway = await gateways.open([{ id: 'a', runner: 'ollama', warm_up: true }], {
      openRunner: async ({ id }) => server.runner(id, answer),
      logger,
    });
    await eventually(() => told.length === 1);
    expect(told[0]).toMatchObject({ model: 'a' });
    await gateway.close();
  });

  it('that is ended at once leaves no load and no timer', async () => {
    server.slow = true;
    const gateway = await open({ a: { warm_up: true }, b: { warm_up: true } });
    await eventually(() => loads().length === 1);
    await gateway.close();
    await turn();
    expect(loads()).toHaveLength(1);
    expect(gateways.clock.pending()).toBe(0);
  });
});
