// A core of several processes: a call waits in one, the node comes to any of them, and to another one each time.
import { setMaxListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { isFault } from '../../schemas/index.js';
import { systemClock } from '../clock.js';
import type { GenerateChunk } from '../runner.js';
import { type Exchange, openExchange, type RemoteCall } from './exchange.js';
import { openRemote } from './runner.js';
import type { Words } from './words.js';

const never = new AbortController().signal;
setMaxListeners(0, never);
const DONE: GenerateChunk = { kind: 'done', finish_reason: 'stop', input_tokens: 3, output_tokens: 2 };
const OFFERED = [{ id: 'lab', ok: true }];
const textOf = (text: string): GenerateChunk => ({ kind: 'text', text });

/** Words between processes, each of them once and in order, some time later. */
const openHub = () => {
  const processes = new Map<number, Map<string, Set<(message: string) => void>>>();
  const underWay = new Set<Promise<void>>();
  let lost: (message: string) => boolean = () => false;
  return {
    /** Words for which this is true are lost from now on. */
    lose: (which: typeof lost) => {
      lost = which;
    },
    /** As when its process is killed. */
    kill: (process: number) => processes.delete(process),
    settled: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
    wordsOf: (process: number): Words => {
      const heard = new Map<string, Set<(message: string) => void>>();
      processes.set(process, heard);
      return {
        publish: async (channel, message) => {
          if (!processes.has(process) || lost(message)) return;
          const arrived = Promise.resolve().then(() => {
            for (const [other, listeners] of processes)
              if (other !== process) for (const listener of listeners.get(channel) ?? []) listener(message);
          });
          underWay.add(arrived);
          await arrived.finally(() => underWay.delete(arrived));
        },
        subscribe: (channel, listener) => {
          heard.set(channel, (heard.get(channel) ?? new Set()).add(listener));
          return () => void heard.get(channel)?.delete(listener);
        },
      };
    },
  };
};

let ids = 0;
const open = (count: number, leaseMs?: number) => {
  const hub = openHub();
  const time = { ms: 0 };
  const newId = (): string => `00000000-0000-7000-8000-${String(++ids).padStart(12, '0')}`;
  const exchanges = Array.from({ length: count }, (_, at) =>
    openExchange({ newId, words: hub.wordsOf(at), ...(leaseMs === undefined ? { now: () => time.ms } : { leaseMs }) }),
  );
  const runners = exchanges.map((exchange) => openRemote({ id: 'lab', node: 'edge-1', provider: 'ollama', exchange, clock: systemClock }));
  const ask = async (process: number, content: string): Promise<string> => {
    let said = '';
    for await (const chunk of runners[process]!.generate({ messages: [{ role: 'user', content }] }, never))
      if (chunk.kind === 'text') said += chunk.text;
    return said;
  };
  return { hub, time, exchanges, runners, ask };
};
const askedIn = ({ wish }: RemoteCall): string => (wish.kind === 'generate' ? String(wish.request.messages[0]!.content) : '');
const takenAt = async (exchange: Exchange, signal = never): Promise<RemoteCall> => (await exchange.take('edge-1', OFFERED, signal))[0]!;

describe('a call that waits in one process', () => {
  it('is taken and answered at another one, chunk by chunk, also at a third one; once it is over it is not wanted at any', async () => {
    const { hub, exchanges, ask } = open(3);
    const [, second, third] = exchanges as [Exchange, Exchange, Exchange];
    const taking = takenAt(second);
    const answer = ask(0, 'Hello');
    const { call_id } = await taking;
    expect(await second.give('edge-1', call_id, { chunks: [textOf('Hel')] })).toBe(true);
    expect(await third.give('edge-1', call_id, {})).toBe(true);
    expect(await third.give('edge-1', call_id, { chunks: [textOf('lo'), DONE] })).toBe(true);
    expect(await answer).toBe('Hello');
    await hub.settled();
    expect(await Promise.all(exchanges.map((exchange) => exchange.give('edge-1', call_id, {})))).toEqual([false, false, false]);
  });

  it('is given to the node once, to whichever it comes next, and to no other node', async () => {
    const { hub, exchanges, ask } = open(3);
    const answers = ['a', 'b', 'c'].map((text, at) => ask(at, text));
    await hub.settled();
    const none = AbortSignal.abort();
    expect(await exchanges[1]!.take('edge-2', [], none)).toEqual([]);
    const calls = await exchanges[1]!.take('edge-1', OFFERED, never);
    expect(calls.map(askedIn).sort()).toEqual(['a', 'b', 'c']);
    await hub.settled();
    for (const exchange of exchanges) expect(await exchange.take('edge-1', OFFERED, none)).toEqual([]);
    for (const [at, call] of calls.entries())
      await exchanges[at]!.give('edge-1', call.call_id, { chunks: [textOf(askedIn(call).toUpperCase()), DONE] });
    expect(await Promise.all(answers)).toEqual(['A', 'B', 'C']);
  });

  it('that was taken back before the node came is given to nobody', async () => {
    const { hub, exchanges, runners } = open(2);
    const stop = new AbortController();
    const asked = runners[0]!.embed(['a'], stop.signal).catch((error: unknown) => error);
    await hub.settled();
    stop.abort(new Error('cancelled'));
    expect(String(await asked)).toContain('cancelled');
    await hub.settled();
    expect(await exchanges[1]!.take('edge-1', OFFERED, AbortSignal.abort())).toEqual([]);
  });

  it('ends when the connection of the node that has it ends at another process, unless the node is back at a third one', async () => {
    for (const isBack of [false, true]) {
      const { hub, exchanges, ask, runners } = open(3);
      const [, second, third] = exchanges as [Exchange, Exchange, Exchange];
      const taking = takenAt(second);
      const answer = ask(0, 'Hello').catch((error: unknown) => error);
      const { call_id } = await taking;
      await hub.settled();
      const gone = new AbortController();
      const next = second.take('edge-1', OFFERED, gone.signal, gone.signal);
      const back = new AbortController();
      const there = isBack ? third.take('edge-1', OFFERED, back.signal) : undefined;
      await hub.settled();
      gone.abort();
      expect(await next).toEqual([]);
      await hub.settled();
      expect((await runners[0]!.health(never)).ok).toBe(isBack);
      if (isBack) {
        await third.give('edge-1', call_id, { chunks: [textOf('Hi'), DONE] });
        expect(await answer).toBe('Hi');
      } else expect(isFault(await answer, 'retryable')).toBe(true);
      back.abort();
      await there;
    }
  });

  it('ends as a lost connection when the word of it was lost, and is not handed out later', async () => {
    const { hub, exchanges, ask } = open(2, 40);
    hub.lose((message) => message.includes('"waits"'));
    const error = await ask(0, 'Hello').catch((thrown: unknown) => thrown);
    expect(isFault(error, 'retryable') && error.code).toBe('model_unreachable');
    expect(await exchanges[1]!.take('edge-1', OFFERED, AbortSignal.abort())).toEqual([]);
  });

  it('is wanted while its process lives, however long it takes, and for a lease after that died', async () => {
    const { hub, exchanges, ask } = open(2, 600);
    const taking = takenAt(exchanges[1]!);
    void ask(0, 'Hello').catch(() => undefined);
    const { call_id } = await taking;
    const began = performance.now();
    while (performance.now() - began < 1_300) {
      expect(await exchanges[1]!.give('edge-1', call_id, {})).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    hub.kill(0);
    const died = performance.now();
    while (await exchanges[1]!.give('edge-1', call_id, {})) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(performance.now() - died).toBeLessThan(5_000);
  });

  it('of a process that died is handed out for a lease at the most', async () => {
    const { hub, time, exchanges, ask } = open(2);
    void ask(0, 'Hello').catch(() => undefined);
    await hub.settled();
    hub.kill(0);
    time.ms = 20_000;
    expect(await exchanges[1]!.take('edge-1', OFFERED, AbortSignal.abort())).toEqual([]);
  });
});

describe('the health of a model', () => {
  it('is known to all processes when its node came to one of them', async () => {
    const { hub, time, exchanges, runners } = open(2);
    await exchanges[0]!.take('edge-1', OFFERED, AbortSignal.abort());
    await hub.settled();
    expect(await runners[1]!.health(never)).toMatchObject({ ok: true });
    time.ms = 20_000;
    expect(await runners[1]!.health(never)).toMatchObject({ ok: false, detail: expect.stringContaining('not connected') });
  });
});

it('many calls of all processes, and a node that comes to a random one each time: each gets its own answer', async () => {
  const seed = Number(process.env['DATS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  console.info(`DATS_SEED=${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
  const { exchanges, ask } = open(4);
  const anywhere = (): Exchange => exchanges[random(exchanges.length)]!;
  const answers = Array.from({ length: 200 }, (_, i) => ask(random(exchanges.length), `question ${i}`));
  const over = new AbortController();
  const done = Promise.all(answers).finally(() => over.abort());
  const seen = new Set<string>();
  while (!over.signal.aborted) {
    const calls = await anywhere().take('edge-1', OFFERED, AbortSignal.any([over.signal, AbortSignal.timeout(20)]));
    for (const call of calls) {
      // As the node does (nodes/link/lending.ts).
      if (seen.has(call.call_id)) continue;
      seen.add(call.call_id);
      void (async () => {
        for (const piece of askedIn(call).replace('question', 'answer').split(''))
          await anywhere().give('edge-1', call.call_id, { chunks: [textOf(piece)] });
        await anywhere().give('edge-1', call.call_id, { chunks: [DONE] });
      })();
    }
  }
  expect(await done).toEqual(answers.map((_, i) => `answer ${i}`));
});
