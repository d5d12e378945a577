import { beforeEach, describe, expect, it } from 'vitest';
import { HELD_MS, openWordOrder, type Speaker } from './word-order.js';

describe('the order of words from several sockets', () => {
  let told: string[];
  let now: number;
  let [one, other]: Speaker[] = [];
  /** One turn of the event loop ends. */
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const says = (speaker: Speaker | undefined, at: number): void => speaker!.says(at, 'channel', `${at}`);
  beforeEach(async () => {
    const words: string[] = [];
    now = 0;
    const order = openWordOrder(
      (channel, message) => void words.push(`${channel} ${message}`),
      () => now,
    );
    one = order.enters();
    other = order.enters();
    says(one, 0);
    await turn();
    await turn();
    expect(words.splice(0)).toEqual(['channel 0']);
    told = words;
  });

  it('a word is told after a whole turn in which nothing else came', async () => {
    says(one, 1);
    await turn();
    expect(told).toEqual([]);
    await turn();
    expect(told).toEqual(['channel 1']);
  });

  it('what was said before and is read in the next turn is told before', async () => {
    says(one, 2);
    await turn();
    says(other, 1);
    await turn();
    await turn();
    expect(told).toEqual(['channel 1', 'channel 2']);
  });

  it('a speaker that is in the middle of a word may be saying an earlier one: it is waited for', async () => {
    says(one, 2);
    for (let i = 0; i < 20; i++) {
      await turn();
      other!.stirs();
    }
    expect(told).toEqual([]);
    says(other, 1);
    await turn();
    await turn();
    expect(told).toEqual(['channel 1', 'channel 2']);
  });

  it('a speaker that never stops is not waited for longer than to its first later word, with what it said before', async () => {
    says(one, 2);
    await turn();
    says(other, 1);
    says(other, 3);
    await turn();
    expect(told).toEqual(['channel 1', 'channel 2']);
    says(other, 4);
    await turn();
    expect(told).toEqual(['channel 1', 'channel 2', 'channel 3']);
  });

  it('one that has gone is not waited for; what it said is told', async () => {
    says(one, 2);
    says(other, 1);
    await turn();
    one!.stirs();
    one!.leaves();
    await turn();
    expect(told).toEqual(['channel 1', 'channel 2']);
  });

  it('no word is held for ever, and those before it go with it', async () => {
    says(one, 2);
    says(one, 5);
    await turn();
    now = HELD_MS - 1;
    for (let i = 0; i < 5; i++) {
      other!.stirs();
      await turn();
    }
    says(one, 9);
    expect(told).toEqual([]);
    now = HELD_MS;
    for (let i = 0; i < 5; i++) {
      other!.stirs();
      await turn();
    }
    expect(told).toEqual(['channel 2', 'channel 5']);
  });

  it('its clock rises', () => {
    const { now: at } = openWordOrder(() => undefined);
    const times = [at(), at(), at()];
    expect(times.every((time, i) => Number.isSafeInteger(time) && (i === 0 || time >= times[i - 1]!))).toBe(true);
  });
});
