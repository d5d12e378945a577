// What every adapter of live text must do (T1..T4 in live-text.ts). An adapter's own test opens it and calls this.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FOLLOWER_CHARS, type LiveChunk, type LiveText, REPLAY_BYTES } from './live-text.js';
import { Collector } from './testing/log-driver.js';

export interface LiveTextHarness {
  /** Each is one more process that the text reaches. */
  open(): Promise<LiveText>;
  dispose(): Promise<void>;
}

/** One who reads all there is, as it comes. */
export const watch = (live: LiveText, taskId: string) => {
  const stop = new AbortController();
  const seen = new Collector<LiveChunk>();
  const done = (async () => {
    for await (const chunk of live.follow(taskId, stop.signal)) seen.push(chunk);
  })();
  return {
    seen,
    done,
    stop: async () => {
      stop.abort();
      await done;
    },
    /** The numbers seen once `seq` of `attempt` is among them. */
    until: async (seq: number, attempt = 1) => {
      await seen.until((chunks) => chunks.some((chunk) => chunk.attempt === attempt && chunk.seq === seq));
      return seen.items.map((chunk) => chunk.seq);
    },
  };
};

export const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
export const say = (live: LiveText, taskId: string, from: number, to: number, text = (seq: number) => `word ${seq} `): void => {
  for (const seq of numbers(from, to)) live.publish(taskId, { attempt: 1, seq, text: text(seq) });
};

export const liveTextContract = (name: string, make: () => Promise<LiveTextHarness>): void => {
  describe(`${name}: the contract of live text`, () => {
    let harness: LiveTextHarness;
    let here: LiveText;
    let there: LiveText;
    beforeEach(async () => {
      harness = await make();
      here = await harness.open();
      there = await harness.open();
    });
    afterEach(async () => {
      await here.close();
      await there.close();
      await harness.dispose();
    });

    test('who follows sees what is said, in order and as it was said', async () => {
      const watcher = watch(there, 'task');
      const said: LiveChunk[] = [
        { attempt: 1, seq: 0, text: 'größe ' },
        { attempt: 1, seq: 1, text: '漢字\u0000"\n' },
        { attempt: 1, seq: 2, text: '', end: true },
        { attempt: 2, seq: 0, text: 'again' },
      ];
      for (const chunk of said) here.publish('task', chunk);
      await watcher.until(0, 2);
      expect(watcher.seen.items).toEqual(said);
      await watcher.stop();
    });

    test('who comes late sees what was said, then what follows, each once', async () => {
      say(here, 'task', 0, 50);
      const first = watch(there, 'task');
      expect(await first.until(49)).toEqual(numbers(0, 50));
      say(here, 'task', 50, 100);
      const second = watch(there, 'task');
      expect(await first.until(99)).toEqual(numbers(0, 100));
      expect(await second.until(99)).toEqual(numbers(0, 100));
      await Promise.all([first.stop(), second.stop()]);
    });

    test('whoever joins while it is being said misses nothing and sees nothing twice', async () => {
      const leading = watch(there, 'task');
      const watchers = [leading];
      for (let from = 0; from < 600; from += 20) {
        say(here, 'task', from, from + 20);
        watchers.push(watch(from % 40 === 0 ? here : there, 'task'));
        if (from % 100 === 0) await leading.until(from + 19);
      }
      for (const watcher of watchers) expect(await watcher.until(599)).toEqual(numbers(0, 600));
      await Promise.all(watchers.map((watcher) => watcher.stop()));
    });

    test('tasks have nothing to do with each other, nor have followers', async () => {
      const [one, leaving, other] = [watch(there, 'one'), watch(there, 'one'), watch(there, 'two')];
      say(here, 'one', 0, 10);
      await leaving.until(9);
      await leaving.stop();
      say(here, 'one', 10, 20);
      here.publish('two', { attempt: 1, seq: 7, text: 'two' });
      expect(await one.until(19)).toEqual(numbers(0, 20));
      expect(await other.until(7)).toEqual([7]);
      expect(leaving.seen.items.length).toBe(10);
      await Promise.all([one.stop(), other.stop()]);
    });

    test('text never goes back: not to an earlier attempt, not to an earlier place', async () => {
      const watcher = watch(there, 'task');
      for (const [attempt, seq] of [
        [1, 0],
        [1, 1],
        [2, 0],
        [1, 2],
        [2, 2],
        [2, 1],
        [2, 2],
        [2, 3],
      ] as const)
        here.publish('task', { attempt, seq, text: `${attempt}.${seq}` });
      await watcher.until(3, 2);
      const order = ['1.0', '1.1', '2.0', '2.2', '2.3'];
      expect(watcher.seen.items.map(({ text }) => text)).toEqual(order);
      const late = watch(there, 'task');
      await late.until(3, 2);
      expect(late.seen.items.map(({ text }) => text)).toEqual(order);
      await Promise.all([watcher.stop(), late.stop()]);
    });

    test('of much text the end is kept for who comes late', async () => {
      const watcher = watch(there, 'task');
      const chunk = 'x'.repeat(1_000);
      for (let from = 0; from < 200; from += 20) {
        say(here, 'task', from, from + 20, () => chunk);
        await watcher.until(from + 19);
      }
      const late = watch(there, 'task');
      const seen = await late.until(199);
      expect(seen).toEqual(numbers(200 - seen.length, 200));
      expect(seen.length).toBeLessThanOrEqual(REPLAY_BYTES / 1_000);
      expect(seen.length).toBeGreaterThan(50);
      await Promise.all([watcher.stop(), late.stop()]);
    });

    test('a follower that does not keep up loses the oldest, sees the hole, and holds up nobody', async () => {
      const stop = new AbortController();
      const slow = there.follow('task', stop.signal)[Symbol.asyncIterator]();
      const fast = watch(there, 'task');
      say(here, 'task', 0, 1);
      expect(await slow.next()).toMatchObject({ value: { seq: 0 } });
      const text = 'x'.repeat(1_000);
      const count = 3 * Math.ceil(FOLLOWER_CHARS / text.length);
      for (let from = 1; from < count; from += 50) {
        const to = Math.min(count, from + 50);
        say(here, 'task', from, to, () => text);
        await fast.until(to - 1);
      }
      const seen: number[] = [];
      while (seen.at(-1) !== count - 1) seen.push((await slow.next()).value!.seq);
      expect(seen).toEqual(numbers(count - seen.length, count));
      expect(seen.length * text.length).toBeLessThanOrEqual(FOLLOWER_CHARS);
      expect(seen.length * text.length).toBeGreaterThan(FOLLOWER_CHARS / 2);
      expect(fast.seen.items.map(({ seq }) => seq)).toEqual(numbers(0, count));
      stop.abort();
      expect(await slow.next()).toMatchObject({ done: true });
      await fast.stop();
    });

    test('a follower ends when it is told to, whether anything was said or not', async () => {
      const silent = watch(there, 'silent');
      await silent.stop();
      expect(silent.seen.items).toEqual([]);
      const stopped = new AbortController();
      stopped.abort();
      say(here, 'task', 0, 3);
      for await (const chunk of there.follow('task', stopped.signal)) expect(chunk).toBeUndefined();
    });

    test('closing ends all followers; afterwards saying and following do nothing, and do not fail', async () => {
      const watcher = watch(there, 'task');
      say(here, 'task', 0, 3);
      await watcher.until(2);
      await there.close();
      await watcher.done;
      await there.close();
      expect(() => say(there, 'task', 3, 6)).not.toThrow();
      for await (const chunk of there.follow('task', new AbortController().signal)) expect(chunk).toBeUndefined();
    });
  });
};
