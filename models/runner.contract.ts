// What every runner passes. A runner's own test gives `open`, which makes a runner whose next generation behaves as asked.
import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Fault } from '../schemas/index.js';
import type { Limits } from './deadline.js';
import { LONGEST_RETRY_AFTER_MS } from './faults.js';
import type { GenerateChunk, GenerateRequest, ModelFaultCode, ModelRunner, Tool, ToolCall } from './runner.js';
import { type Behaviour, SERVER_SECRET } from './testing/wire-server.js';

export interface RunnerUnderTest {
  readonly runner: ModelRunner;
  /** Resolves when a generation runs that will not end by itself. */
  stuck(): Promise<void>;
  /** Resolves when the other side has seen the caller leave; absent where there is no other side. */
  left?(): Promise<void>;
  close(): Promise<void>;
}

export interface ContractOptions {
  /** Behaviours that this runner's protocol cannot show, each with the reason. */
  readonly cannot?: Readonly<Partial<Record<Behaviour | 'unreachable' | 'embed_together', string>>>;
  /** Of a real server, by the name of its model: then any answer is as good as another. */
  readonly real?: string;
}

export type OpenRunner = (behaviour: Behaviour | 'unreachable', limits: Limits) => Promise<RunnerUnderTest>;

const PROMPT = 'a prompt that must stay secret';
const REQUEST: GenerateRequest = {
  messages: [{ role: 'user', content: PROMPT }],
  max_tokens: 50,
  temperature: 0,
  seed: 1,
  stop: ['END'],
  loaded: true,
};
const TOOLS: readonly Tool[] = [
  { name: 'add', description: 'adds', parameters: { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] } },
  { name: 'sub' },
];
const PATIENT: Limits = { idle_timeout_ms: 10_000, timeout_ms: 10_000 };

const collect = async (chunks: AsyncIterable<GenerateChunk>): Promise<readonly GenerateChunk[]> => {
  const all: GenerateChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
};

const textOf = (chunks: readonly GenerateChunk[]): string => chunks.map((c) => (c.kind === 'text' ? c.text : '')).join('');

const callsOf = (chunks: readonly GenerateChunk[]): readonly ToolCall[] => {
  const calls: { id: string; name: string; arguments: string }[] = [];
  for (const chunk of chunks) {
    if (chunk.kind !== 'tool_call') continue;
    if (chunk.id !== undefined && chunk.name !== undefined) calls[chunk.index] = { id: chunk.id, name: chunk.name, arguments: '' };
    calls[chunk.index]!.arguments += chunk.arguments ?? '';
  }
  return calls;
};

const thrownBy = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
};

/** Everything of an error that a log might print, its causes too. */
const printed = (error: unknown): string => `${inspect(error, { depth: null, showHidden: true })} ${JSON.stringify(error)}`;

const FAULTS: readonly (readonly [Behaviour | 'unreachable', ModelFaultCode, Fault['kind']])[] = [
  ['unreachable', 'model_unreachable', 'retryable'],
  ['die_mid_stream', 'model_unreachable', 'retryable'],
  ['garbage', 'model_garbage', 'retryable'],
  ['truncated', 'model_garbage', 'retryable'],
  ['refuse', 'model_refused', 'retryable'],
  ['overloaded', 'model_overloaded', 'retryable'],
  ['overloaded_until', 'model_overloaded', 'retryable'],
  ['overloaded_silent', 'model_overloaded', 'retryable'],
  ['too_long', 'model_context', 'retryable'],
  ['bad_request', 'model_rejected', 'terminal'],
  ['empty', 'model_garbage', 'retryable'],
  ['wrong_type', 'model_garbage', 'retryable'],
  ['after_end', 'model_garbage', 'retryable'],
  ['redirect', 'model_unreachable', 'retryable'],
  ['proxy', 'model_unreachable', 'retryable'],
  ['error', 'model_error', 'retryable'],
  ['stream_error', 'model_error', 'retryable'],
  ['reject', 'model_rejected', 'terminal'],
  ['missing', 'model_missing', 'terminal'],
];

export const runnerContract = (name: string, open: OpenRunner, { cannot = {}, real }: ContractOptions = {}): void => {
  const model = real ?? 'test-model';
  const can = (behaviour: Behaviour): boolean => !(behaviour in cannot);
  describe(`${name} as a model runner`, () => {
    let opened: RunnerUnderTest | undefined;
    const start = async (behaviour: Behaviour | 'unreachable', limits: Limits = PATIENT): Promise<RunnerUnderTest> => {
      opened = await open(behaviour, limits);
      return opened;
    };
    afterEach(async () => {
      await opened?.runner.close();
      await opened?.close();
      opened = undefined;
    });

    it('streams text, then exactly one done with tokens and the model that answered', async () => {
      const { runner } = await start('answer');
      const chunks = await collect(runner.generate(REQUEST, new AbortController().signal));
      expect(textOf(chunks)).toEqual(real === undefined ? 'Hello, world' : expect.stringMatching(/./));
      expect(chunks.filter((c) => c.kind === 'text').length).toBeGreaterThan(1);
      expect(chunks.filter((c) => c.kind === 'done')).toHaveLength(1);
      expect(chunks.at(-1)).toMatchObject({ kind: 'done', response_model: model });
      const { input_tokens, output_tokens, finish_reason } = chunks.at(-1) as Extract<GenerateChunk, { kind: 'done' }>;
      if (real === undefined) expect([finish_reason, input_tokens, output_tokens]).toEqual(['stop', 11, 3]);
      else expect(Math.min(input_tokens, output_tokens)).toBeGreaterThan(0);
    });

    it('says when the answer was cut at the token limit', async () => {
      const { runner } = await start('length');
      const short = { ...REQUEST, max_tokens: 3 };
      expect((await collect(runner.generate(short, new AbortController().signal))).at(-1)).toMatchObject({ finish_reason: 'length' });
    });

    it.runIf(can('tool_calls'))('gives the calls of tools that the model wants, and ends with them', async () => {
      const { runner } = await start('tool_calls');
      const chunks = await collect(runner.generate({ ...REQUEST, tools: TOOLS, tool_choice: 'auto' }, new AbortController().signal));
      expect(callsOf(chunks)).toEqual([
        { id: expect.any(String), name: 'add', arguments: '{"a":1}' },
        { id: expect.any(String), name: 'sub', arguments: '{}' },
      ]);
      expect(chunks.at(-1)).toMatchObject({ kind: 'done', finish_reason: 'tool_calls' });
    });

    it.runIf(can('repeated'))('takes what comes twice once, where that can be told', async () => {
      const { runner } = await start('repeated');
      const chunks = await collect(runner.generate(REQUEST, new AbortController().signal));
      expect(textOf(chunks)).toBe('Hello, world');
      expect(chunks.filter((c) => c.kind === 'done')).toEqual([
        expect.objectContaining({ finish_reason: 'stop', input_tokens: 11, output_tokens: 3 }),
      ]);
    });

    it.runIf(can('unmetered'))('estimates the tokens where nobody counted them', async () => {
      const { runner } = await start('unmetered');
      const done = (await collect(runner.generate(REQUEST, new AbortController().signal))).at(-1);
      expect(done).toMatchObject({ input_tokens: Math.ceil(PROMPT.length / 4), output_tokens: 3 });
    });

    for (const [behaviour, code, kind] of FAULTS) {
      if (behaviour in cannot) continue;
      it(`turns "${behaviour}" into ${code}, and quotes neither prompt nor server`, async () => {
        const { runner } = await start(behaviour);
        const error = await thrownBy(collect(runner.generate(REQUEST, new AbortController().signal)));
        expect(error).toBeInstanceOf(Fault);
        expect(error).toMatchObject({ code, kind });
        expect(printed(error)).not.toContain(SERVER_SECRET);
        expect(printed(error)).not.toContain(PROMPT);
        if (behaviour === 'overloaded_silent') expect((error as Fault).retryAfterMs).toBeUndefined();
        if (behaviour === 'overloaded') expect((error as Fault).retryAfterMs).toBe(7_000);
        if (behaviour === 'overloaded_until') {
          expect((error as Fault).retryAfterMs).toBeGreaterThan(20_000);
          expect((error as Fault).retryAfterMs).toBeLessThanOrEqual(LONGEST_RETRY_AFTER_MS);
        }
      });
    }

    for (const behaviour of (['hang', 'slow'] as const).filter(can)) {
      it(`gives a ${behaviour === 'hang' ? 'silent' : 'stalled'} answer up after the idle time`, async () => {
        const { runner, left } = await start(behaviour, { idle_timeout_ms: 40, timeout_ms: 10_000 });
        const error = await thrownBy(collect(runner.generate(REQUEST, new AbortController().signal)));
        expect(error).toMatchObject({ code: 'model_timeout', kind: 'retryable', message: expect.stringContaining('40 ms') });
        await left?.();
      });

      it(`gives a ${behaviour === 'hang' ? 'silent' : 'stalled'} answer up after the total time`, async () => {
        const { runner, left } = await start(behaviour, { idle_timeout_ms: 10_000, timeout_ms: 40 });
        const error = await thrownBy(collect(runner.generate(REQUEST, new AbortController().signal)));
        expect(error).toMatchObject({ code: 'model_timeout', message: expect.stringContaining('40 ms') });
        await left?.();
      });

      it(`ends a ${behaviour === 'hang' ? 'silent' : 'stalled'} answer at an abort with the signal's reason, and frees the connection`, async () => {
        const { runner, left, stuck } = await start(behaviour);
        const abort = new AbortController();
        const thrown = thrownBy(collect(runner.generate(REQUEST, abort.signal)));
        await stuck();
        const reason = new Error('cancelled by the task');
        abort.abort(reason);
        expect(await thrown).toBe(reason);
        expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
        await left?.();
      });
    }

    it.runIf(can('slow'))('frees the connection when the reader stops reading', async () => {
      const { runner, left } = await start('slow');
      const abort = new AbortController();
      for await (const chunk of runner.generate(REQUEST, abort.signal)) {
        expect(chunk.kind).toBe('text');
        break;
      }
      expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
      await left?.();
    });

    it('asks nobody when the signal is aborted already', async () => {
      const { runner } = await start('answer');
      const reason = new Error('too late');
      const signal = AbortSignal.abort(reason);
      expect(await thrownBy(collect(runner.generate(REQUEST, signal)))).toBe(reason);
      expect(await thrownBy(runner.embed(['a'], signal))).toBe(reason);
      expect(await thrownBy(runner.models(signal))).toBe(reason);
    });

    it('leaves no listener on the signal after an answer', async () => {
      const { runner } = await start('answer');
      const { signal } = new AbortController();
      await collect(runner.generate(REQUEST, signal));
      await runner.embed(['a'], signal);
      await runner.models(signal);
      await runner.health(signal);
      expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    });

    it('gives one vector for each text, in order, the same each time', async () => {
      const { runner } = await start('answer');
      const { signal } = new AbortController();
      const first = await runner.embed(['one', 'three'], signal);
      expect(first.vectors).toHaveLength(2);
      expect(first.input_tokens).toBeGreaterThan(0);
      expect(first.vectors[0]).not.toEqual(first.vectors[1]);
      if ('embed_together' in cannot) return;
      // The last digits of a real server depend on what it computes beside.
      const digits = (vector: readonly number[] | undefined) => vector?.map((x) => Math.round(x * 1e4));
      expect(digits((await runner.embed(['three'], signal)).vectors[0])).toEqual(digits(first.vectors[1]));
    });

    it('lists its models, and is healthy', async () => {
      const { runner } = await start('answer');
      const { signal } = new AbortController();
      expect((await runner.models(signal)).map(({ name }) => name.replace(/:latest$/, ''))).toContain(model);
      const health = await runner.health(signal);
      expect(health).toEqual({ ok: true, latency_ms: expect.any(Number) });
    });
  });
};
