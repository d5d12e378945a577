import { describe, expect, it } from 'vitest';
import { isFault } from '../../schemas/index.js';
import { systemClock } from '../clock.js';
import type { GenerateChunk } from '../runner.js';
import { AWAY_MS, openExchange } from './exchange.js';
import { openRemote } from './runner.js';

const never = new AbortController().signal;
const DONE: GenerateChunk = { kind: 'done', finish_reason: 'stop', input_tokens: 3, output_tokens: 2 };
const ASKED = { messages: [{ role: 'user', content: 'Hello' }] } as const;

const opened = (leaseMs?: number) => {
  const time = { ms: 0 };
  let ids = 0;
  const exchange = openExchange({ newId: () => `call-${++ids}`, now: () => time.ms, ...(leaseMs === undefined ? {} : { leaseMs }) });
  const runner = openRemote({ id: 'lab', node: 'edge-1', provider: 'ollama', exchange, clock: systemClock });
  return { exchange, runner, time };
};
const all = async (chunks: AsyncIterable<GenerateChunk>): Promise<GenerateChunk[]> => {
  const got: GenerateChunk[] = [];
  for await (const chunk of chunks) got.push(chunk);
  return got;
};
const OFFERED = [{ id: 'lab', ok: true }];

describe('a call of a model that another node has', () => {
  it('waits for the node, is made there, and comes back chunk by chunk', async () => {
    const { exchange, runner } = opened();
    const answer = all(runner.generate(ASKED, never));
    const [call] = await exchange.take('edge-1', OFFERED, never);
    expect(call).toEqual({ call_id: 'call-1', model: 'lab', wish: { kind: 'generate', request: ASKED } });
    expect(await exchange.give('edge-1', 'call-1', { chunks: [{ kind: 'text', text: 'Hel' }] })).toBe(true);
    expect(await exchange.give('edge-1', 'call-1', {})).toBe(true);
    expect(await exchange.give('edge-1', 'call-1', { chunks: [{ kind: 'text', text: 'lo' }, DONE] })).toBe(true);
    expect(await answer).toEqual([{ kind: 'text', text: 'Hel' }, { kind: 'text', text: 'lo' }, DONE]);
    expect(await exchange.give('edge-1', 'call-1', {})).toBe(false);
  });

  it('wakes a node that waits for it', async () => {
    const { exchange, runner } = opened();
    const taken = exchange.take('edge-1', OFFERED, never);
    const answer = all(runner.generate(ASKED, never));
    expect(await taken).toHaveLength(1);
    await exchange.give('edge-1', 'call-1', { chunks: [DONE] });
    expect(await answer).toEqual([DONE]);
  });

  it('is given to its own node only, and once', async () => {
    const { exchange, runner } = opened();
    const answer = all(runner.generate(ASKED, never));
    const ended = AbortSignal.abort();
    expect(await exchange.take('edge-2', [], ended)).toEqual([]);
    expect(await exchange.take('edge-1', OFFERED, never)).toHaveLength(1);
    expect(await exchange.take('edge-1', OFFERED, ended)).toEqual([]);
    expect(await exchange.give('edge-2', 'call-1', { chunks: [DONE] })).toBe(false);
    await exchange.give('edge-1', 'call-1', { chunks: [DONE] });
    expect(await answer).toEqual([DONE]);
  });

  it('ends as a lost connection when the node says nothing of it for as long as the lease, and not before', async () => {
    const { exchange, runner, time } = opened(20);
    const answer = all(runner.generate(ASKED, never)).catch((error: unknown) => error);
    await exchange.take('edge-1', OFFERED, never);
    time.ms = 15;
    expect(await exchange.give('edge-1', 'call-1', {})).toBe(true);
    time.ms = 30;
    expect(await exchange.give('edge-1', 'call-1', {})).toBe(true);
    time.ms = 51;
    const error = await answer;
    expect(isFault(error, 'retryable') && error.code).toBe('model_unreachable');
    expect(String(error)).toContain('edge-1');
    expect(await exchange.give('edge-1', 'call-1', { chunks: [DONE] })).toBe(false);
  });

  it('ends at once when the connection of the node that has it ends; one that it has not taken waits for its return', async () => {
    const { exchange, runner } = opened();
    const taken = all(runner.generate(ASKED, never)).catch((error: unknown) => error);
    await exchange.take('edge-1', OFFERED, never);
    const [over, gone] = [new AbortController(), new AbortController()];
    const next = exchange.take('edge-1', OFFERED, over.signal, gone.signal);
    gone.abort();
    over.abort();
    expect(await next).toEqual([]);
    expect(isFault(await taken, 'retryable')).toBe(true);
    expect((await runner.health(never)).ok).toBe(false);
    const waiting = all(runner.generate(ASKED, never));
    expect(await exchange.take('edge-1', OFFERED, never)).toMatchObject([{ call_id: 'call-2' }]);
    await exchange.give('edge-1', 'call-2', { chunks: [DONE] });
    expect(await waiting).toEqual([DONE]);
    expect((await runner.health(never)).ok).toBe(true);
  });

  it('is not ended by an old connection that ends after the node is back', async () => {
    const { exchange, runner } = opened();
    const gone = new AbortController();
    const old = exchange.take('edge-1', OFFERED, gone.signal, gone.signal);
    const answer = all(runner.generate(ASKED, never));
    expect(await old).toHaveLength(1);
    const [staleOver, newOver] = [new AbortController(), new AbortController()];
    const stale = exchange.take('edge-1', OFFERED, staleOver.signal, staleOver.signal);
    const fresh = exchange.take('edge-1', OFFERED, newOver.signal, newOver.signal);
    staleOver.abort();
    await stale;
    expect((await runner.health(never)).ok).toBe(true);
    await exchange.give('edge-1', 'call-1', { chunks: [DONE] });
    expect(await answer).toEqual([DONE]);
    newOver.abort();
    await fresh;
  });

  it('that nobody waits for any more is taken back, or answered as not wanted', async () => {
    const { exchange, runner } = opened();
    const stop = new AbortController();
    const answer = all(runner.generate(ASKED, stop.signal)).catch((error: unknown) => error);
    await exchange.take('edge-1', OFFERED, never);
    stop.abort(new Error('cancelled'));
    expect(String(await answer)).toContain('cancelled');
    expect(await exchange.give('edge-1', 'call-1', {})).toBe(false);
  });

  it('fails as it failed there: by its code, an unknown one as an error of the server', async () => {
    const { exchange, runner } = opened();
    for (const [said, code] of [
      ['model_overloaded', 'model_overloaded'],
      ['model_rejected', 'model_rejected'],
      ['disk_full', 'model_error'],
    ] as const) {
      const answer = all(runner.generate(ASKED, never)).catch((error: unknown) => error);
      const [call] = await exchange.take('edge-1', OFFERED, never);
      await exchange.give('edge-1', call!.call_id, { fault: { code: said, retry_after_ms: 700 } });
      expect(await answer).toMatchObject({ code, retryAfterMs: 700 });
    }
  });

  it('can be for vectors', async () => {
    const { exchange, runner } = opened();
    const answer = runner.embed(['a', 'b'], never);
    const [call] = await exchange.take('edge-1', OFFERED, never);
    expect(call!.wish).toEqual({ kind: 'embed', texts: ['a', 'b'] });
    await exchange.give('edge-1', call!.call_id, { embedded: { vectors: [[1], [2]], input_tokens: 2 } });
    expect(await answer).toEqual({ vectors: [[1], [2]], input_tokens: 2 });
  });
});

describe('the health of a model that another node has', () => {
  it('is what its node said when it came last, and down when it has not come for long', async () => {
    const { exchange, runner, time } = opened();
    expect(await runner.health(never)).toMatchObject({ ok: false, detail: expect.stringContaining('not connected') });
    const none = AbortSignal.abort();
    await exchange.take('edge-1', [{ id: 'lab', ok: false, detail: 'no such model' }], none);
    expect(await runner.health(never)).toMatchObject({ ok: false, detail: 'no such model' });
    await exchange.take('edge-1', OFFERED, none);
    expect(await runner.health(never)).toMatchObject({ ok: true });
    await exchange.take('edge-1', [{ id: 'other', ok: true }], none);
    expect(await runner.health(never)).toMatchObject({ ok: false, detail: expect.stringContaining('does not have it') });
    await exchange.take('edge-1', OFFERED, none);
    time.ms = AWAY_MS + 1;
    expect(await runner.health(never)).toMatchObject({ ok: false, detail: expect.stringContaining('not connected') });
  });
});
