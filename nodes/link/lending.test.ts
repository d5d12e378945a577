import { describe, expect, it } from 'vitest';
import { type Exchange, type GenerateChunk, type ModelLender, openExchange, openRemote, systemClock } from '../../models/index.js';
import { Fault, isFault } from '../../schemas/index.js';
import { type LendingOptions, lendModels } from './lending.js';

const never = new AbortController().signal;
const DONE: GenerateChunk = { kind: 'done', finish_reason: 'stop', input_tokens: 3, output_tokens: 2 };
const ASKED = { messages: [{ role: 'user', content: 'Hello' }] } as const;

/** The line of a node, straight into the exchange of a core in this process. */
const lineTo = (exchange: Exchange, cut: AbortSignal): LendingOptions['line'] => {
  const down = () => new Fault('retryable', 'link_down', 'the core does not answer');
  return {
    takeCalls: async (models, signal) => {
      if (cut.aborted) throw down();
      return exchange.take('edge-1', models, AbortSignal.any([signal, cut]));
    },
    givePart: async (id, part) => {
      if (cut.aborted) throw down();
      return exchange.give('edge-1', id, part);
    },
  };
};

const status = [
  { id: 'lab', health: { ok: true, latency_ms: 0 } },
  { id: 'private', health: { ok: true, latency_ms: 0 } },
];

const world = (lender: Partial<ModelLender>, leaseMs?: number) => {
  let ids = 0;
  const exchange = openExchange({ newId: () => `call-${++ids}`, ...(leaseMs === undefined ? {} : { leaseMs }) });
  const runner = openRemote({ id: 'lab', node: 'edge-1', provider: 'ollama', exchange, clock: systemClock });
  const [stop, cut] = [new AbortController(), new AbortController()];
  const models = {
    status: async () => status as never,
    lend: () => {
      throw new Error('not asked');
    },
    lendEmbedding: async () => ({ vectors: [], input_tokens: 0 }),
    ...lender,
  };
  const problems: unknown[] = [];
  const lending = lendModels(
    { line: lineTo(exchange, cut.signal), models, lent: new Set(['lab']), onProblem: (error) => void problems.push(error) },
    stop.signal,
  ).catch((error: unknown) => error);
  return { exchange, runner, cut, problems, lending, stop: () => stop.abort() };
};

const all = async (chunks: AsyncIterable<GenerateChunk>): Promise<GenerateChunk[]> => {
  const got: GenerateChunk[] = [];
  for await (const chunk of chunks) got.push(chunk);
  return got;
};

describe('a node that lends its models', () => {
  it('makes the calls of the core and says what comes, in order', async () => {
    const asked: unknown[] = [];
    const { runner, stop, lending } = world({
      lend: async function* (model, request) {
        asked.push([model, request]);
        for (const text of ['a', 'b', 'c']) yield { kind: 'text', text };
        yield DONE;
      },
    });
    const chunks = await all(runner.generate(ASKED, never));
    expect(chunks).toEqual([...['a', 'b', 'c'].map((text) => ({ kind: 'text', text })), DONE]);
    expect(asked).toEqual([['lab', ASKED]]);
    stop();
    await lending;
  });

  it('offers those that are to be lent, and no others', async () => {
    const { exchange, runner, stop, lending } = world({
      lend: async function* () {
        yield DONE;
      },
    });
    await all(runner.generate(ASKED, never));
    expect(exchange.healthOf('edge-1', 'lab')).toEqual({ ok: true });
    expect(exchange.healthOf('edge-1', 'private').ok).toBe(false);
    stop();
    await lending;
  });

  it('stops a call that nobody waits for any more', async () => {
    let begun = () => {};
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    let ended: AbortSignal | undefined;
    const { runner, stop, lending } = world({
      lend: async function* (_model, _request, signal) {
        ended = signal;
        begun();
        for (let i = 0; !signal.aborted; i++) {
          yield { kind: 'text', text: `${i} ` };
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    });
    const leave = new AbortController();
    const answer = all(runner.generate(ASKED, leave.signal)).catch((error: unknown) => error);
    await running;
    leave.abort(new Error('cancelled'));
    await answer;
    await new Promise<void>((resolve) => (ended!.aborted ? resolve() : ended!.addEventListener('abort', () => resolve())));
    stop();
    await lending;
  });

  it('tells what went wrong by its code, and nothing else', async () => {
    const { runner, stop, lending } = world({
      // biome-ignore lint/correctness/useYield: it fails before
      lend: async function* () {
        throw new Fault('retryable', 'model_overloaded', 'secret words', { retryAfterMs: 1_500 });
      },
    });
    const error = await all(runner.generate(ASKED, never)).catch((one: unknown) => one);
    expect(error).toMatchObject({ code: 'model_overloaded', retryAfterMs: 1_500 });
    expect(String(error)).not.toContain('secret');
    stop();
    await lending;
  });

  it('whose line breaks in the middle: the core asks elsewhere, the call ends here, and the session with it', async () => {
    let first: AbortSignal | undefined;
    const { runner, cut, lending } = world(
      {
        lend: async function* (_model, _request, signal) {
          first = signal;
          yield { kind: 'text', text: 'half of ' };
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        },
      },
      50,
    );
    const got: GenerateChunk[] = [];
    const reading = (async () => {
      for await (const chunk of runner.generate(ASKED, never)) {
        got.push(chunk);
        cut.abort();
      }
    })().catch((error: unknown) => error);
    const error = await reading;
    expect(isFault(error, 'retryable') && error.code).toBe('model_unreachable');
    expect(got).toEqual([{ kind: 'text', text: 'half of ' }]);
    expect(await lending).toMatchObject({ code: 'link_down' });
    expect(first).toBeDefined();
  });
});
