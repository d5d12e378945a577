// What every adapter of words must do (B1..B4 in broadcast.ts). An adapter's own test opens it and calls this.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Broadcast } from './broadcast.js';
import { Collector } from './testing/log-driver.js';

export interface BroadcastHarness {
  /** Each is one more process that hears the others. */
  open(): Promise<Broadcast>;
  dispose(): Promise<void>;
}

/** All that is heard from now on, as it comes. */
export const listenTo = (broadcast: Broadcast, channel: string): Collector<string> & { readonly end: () => void } => {
  const heard = new Collector<string>();
  return Object.assign(heard, { end: broadcast.subscribe(channel, (message) => heard.push(message)) });
};

/** Resolves when what was subscribed to by these is in force. */
export const inForce = async (...all: readonly Broadcast[]): Promise<void> => {
  await Promise.all(all.map((one) => one.publish('in force', '')));
};

/** `one-0` to `one-99`, for example. */
export const words = (speaker: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${speaker}-${i}`);

export const sayAll = async (speaker: Broadcast, channel: string, messages: readonly string[]): Promise<void> => {
  await Promise.all(messages.map((message) => speaker.publish(channel, message)));
};

const has = (message: string) => (heard: readonly string[]) => heard.includes(message);
const by = (speaker: string, heard: readonly string[]): string[] => heard.filter((word) => word.startsWith(`${speaker}-`));

export const broadcastContract = (name: string, make: () => Promise<BroadcastHarness>): void => {
  describe(`${name}: the contract of words between processes`, () => {
    let harness: BroadcastHarness;
    let opened: Broadcast[];
    let [one, two, three]: Broadcast[] = [];
    const open = async (): Promise<Broadcast> => {
      const broadcast = await harness.open();
      opened.push(broadcast);
      return broadcast;
    };
    const all = (): [Broadcast, Broadcast, Broadcast] => [one!, two!, three!];
    beforeEach(async () => {
      harness = await make();
      opened = [];
      one = await open();
      two = await open();
      three = await open();
    });
    afterEach(async () => {
      await Promise.all(opened.map((broadcast) => broadcast.close()));
      await harness.dispose();
    });

    test('each hears what every other one says, once, in order, and not itself', async () => {
      const names = ['one', 'two', 'three'];
      const heard = all().map((broadcast) => listenTo(broadcast, 'channel'));
      await inForce(...all());
      for (let i = 0; i < 100; i++) for (const [at, broadcast] of all().entries()) void broadcast.publish('channel', `${names[at]}-${i}`);
      await sayAll(one!, 'channel', ['one-end']);
      await sayAll(two!, 'channel', ['two-end']);
      await sayAll(three!, 'channel', ['three-end']);
      for (const [at, own] of names.entries()) {
        const others = names.filter((other) => other !== own);
        await heard[at]!.until((items) => others.every((other) => has(`${other}-end`)(items)));
        for (const other of others) expect(by(other, heard[at]!.items)).toEqual([...words(other, 100), `${other}-end`]);
        expect(by(own, heard[at]!.items)).toEqual([]);
      }
    });

    test('channels have nothing to do with each other, whatever they are called', async () => {
      const channels = ['channel', 'channel2', '', 'a:b', 'größe\n漢字 "{x}" *', 'hasOwnProperty'];
      const heard = channels.map((channel) => listenTo(two!, channel));
      await inForce(two!);
      for (const channel of channels) await one!.publish(channel, `to ${channel}`);
      await one!.publish('nobody listens', 'word');
      for (const [at, channel] of channels.entries()) {
        await heard[at]!.until((items) => items.length > 0);
        await one!.publish(channel, 'end');
        await heard[at]!.until(has('end'));
        expect(heard[at]!.items).toEqual([`to ${channel}`, 'end']);
      }
    });

    test('of several who listen in one process each hears all, until it ends that', async () => {
      const [first, second] = [listenTo(two!, 'channel'), listenTo(two!, 'channel')];
      await inForce(two!);
      await one!.publish('channel', '1');
      await Promise.all([first.until(has('1')), second.until(has('1'))]);
      first.end();
      first.end();
      await one!.publish('channel', '2');
      await second.until(has('2'));
      second.end();
      const again = listenTo(two!, 'channel');
      second.end();
      await inForce(two!);
      await one!.publish('channel', '3');
      await again.until(has('3'));
      expect([first.items, second.items, again.items]).toEqual([['1'], ['1', '2'], ['3']]);
    });

    test('who listens may end that, begin it and speak while it hears', async () => {
      const heard: string[] = [];
      const [other, answers] = [listenTo(two!, 'channel'), listenTo(one!, 'answers')];
      const once = (): void => {
        const end = two!.subscribe('channel', (message) => {
          end();
          heard.push(message);
          once();
          void two!.publish('answers', message);
        });
      };
      once();
      await inForce(one!, two!);
      await sayAll(one!, 'channel', words('word', 20));
      await answers.until(has('word-19'));
      expect(heard).toEqual(words('word', 20));
      expect(answers.items).toEqual(words('word', 20));
      expect(other.items).toEqual(words('word', 20));
    });

    test('a word is heard after the call that says it, not inside', async () => {
      const heard = listenTo(two!, 'channel');
      await inForce(two!);
      const said = one!.publish('channel', 'word');
      expect(heard.items).toEqual([]);
      await said;
      await heard.until(has('word'));
    });

    test('words arrive as they were said: empty, on several lines, in any script, five megabytes', async () => {
      const heard = listenTo(two!, 'channel');
      await inForce(two!);
      const said = ['', 'two\nlines\r\n', '\u0000\u2028"\\', 'größe 漢字 👩‍🚀', '', '漢"\n'.repeat(1_000_000), 'end'];
      await sayAll(one!, 'channel', said);
      await heard.until(has('end'));
      expect(heard.items.map(({ length }) => length)).toEqual(said.map(({ length }) => length));
      expect(heard.items.every((message, at) => message === said[at])).toBe(true);
    });

    test('5,000 words at once arrive in order', async () => {
      const heard = [listenTo(two!, 'channel'), listenTo(three!, 'channel')];
      await inForce(two!, three!);
      await sayAll(one!, 'channel', words('word', 5_000));
      for (const each of heard) {
        await each.until(has('word-4999'));
        expect(each.items).toEqual(words('word', 5_000));
      }
    });

    test('what is said after a word is on its way is heard after it, whoever says it', async () => {
      const [fourth, heard] = [await open(), listenTo(three!, 'channel')];
      await inForce(three!);
      const expected: string[] = [];
      // Somebody talks all the time, so that no socket is ever quiet for long.
      const noise = new AbortController();
      const talking = (async () => {
        for (let i = 0; !noise.signal.aborted; i++) {
          await fourth.publish('noise', `noise-${i}`);
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
      })();
      three!.subscribe('noise', () => undefined);
      const big = 'x'.repeat(1_000_000);
      for (let i = 0; i < 300; i++) {
        const speaker = i % 3 === 2 ? fourth : i % 3 === 1 ? two! : one!;
        expected.push(i % 50 === 0 ? `${i} ${big}` : `${i}`);
        await speaker.publish('channel', expected.at(-1)!);
      }
      noise.abort();
      await talking;
      await heard.until((items) => items.length === expected.length);
      expect(heard.items.map((message) => message.slice(0, 10))).toEqual(expected.map((message) => message.slice(0, 10)));
    });

    test('who listens and then asks hears the answers', async () => {
      one!.subscribe('questions', (channel) => void one!.publish(channel, 'answer'));
      await inForce(one!);
      for (let i = 0; i < 50; i++) {
        const answers = listenTo(two!, `answers-${i}`);
        await two!.publish('questions', `answers-${i}`);
        await answers.until(has('answer'));
        answers.end();
      }
    });

    test('one that comes later hears what is said from then on, and is heard', async () => {
      const heard = listenTo(one!, 'channel');
      await inForce(one!);
      await two!.publish('channel', 'before');
      const late = await open();
      const heardLate = listenTo(late, 'channel');
      await inForce(late);
      await late.publish('channel', 'late');
      await heard.until(has('late'));
      await two!.publish('channel', 'after');
      await heardLate.until(has('after'));
      await heard.until(has('after'));
      expect(heardLate.items).toEqual(['after']);
      expect(heard.items).toEqual(['before', 'late', 'after']);
    });

    test('several that come at the same time hear each other', async () => {
      const came = await Promise.all([open(), open(), open(), open()]);
      const heard = came.map((broadcast) => listenTo(broadcast, 'channel'));
      await inForce(...came);
      for (const [at, broadcast] of came.entries()) await broadcast.publish('channel', `${at}`);
      for (const [at, each] of heard.entries()) {
        const others = ['0', '1', '2', '3'].filter((other) => other !== `${at}`);
        await each.until((items) => items.length >= 3);
        expect(each.items).toEqual(others);
      }
    });

    test('of one that is closed nothing is heard and it hears nothing, twice or not; the others go on', async () => {
      const [closed, heard] = [listenTo(two!, 'channel'), listenTo(three!, 'channel')];
      await inForce(two!, three!);
      await one!.publish('channel', 'before');
      await closed.until(has('before'));
      await Promise.all([two!.close(), two!.close()]);
      await two!.close();
      await two!.publish('channel', 'from one that is closed');
      two!.subscribe('channel', (message) => closed.push(message))();
      listenTo(two!, 'channel').end();
      await one!.publish('channel', 'after');
      await heard.until(has('after'));
      expect(closed.items).toEqual(['before']);
      expect(heard.items).toEqual(['before', 'after']);
    });

    test('what was said right before closing is heard', async () => {
      const heard = listenTo(two!, 'channel');
      await inForce(two!);
      const said = sayAll(one!, 'channel', [...words('word', 1_000), 'x'.repeat(1_000_000), 'end']);
      await Promise.all([one!.close(), said]);
      await heard.until(has('end'));
      expect(heard.items).toHaveLength(1_002);
    });

    test('one that is alone speaks to nobody', async () => {
      await Promise.all([two!.close(), three!.close()]);
      await sayAll(one!, 'channel', words('word', 10));
      const other = await open();
      const heard = listenTo(other, 'channel');
      await inForce(other);
      await one!.publish('channel', 'heard');
      await heard.until(has('heard'));
      expect(heard.items).toEqual(['heard']);
    });
  });
};
