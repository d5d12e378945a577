import { afterEach, describe, expect, it } from 'vitest';
import type { Topic } from '../../schemas/index.js';
import type { Log } from '../../streams/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { newStore, storeIdOf } from './store-id.js';

const NODE = 'core';
let log: Log;
afterEach(() => log.close());

const open = (over: Partial<Pick<Log, 'append' | 'range'>> = {}) => {
  log = openMemoryLog({ partitions: 1 });
  const { append, range, read } = log;
  const own = {
    append: append.bind(log),
    range: range.bind(log),
    read: read.bind(log),
    partitions: (topic: Topic) => log.partitions(topic),
  };
  return { log: { ...own, ...over }, node: NODE, configVersion: () => 'test', time: () => '2026-11-27T09:00:00.000Z' };
};
const never = (): AbortSignal => new AbortController().signal;

describe('the id of a store', () => {
  it('is the same for every process that asks', async () => {
    const options = open();
    const id = await storeIdOf(options, never());
    expect(id.epoch).toBe(1);
    expect(await storeIdOf(options, never())).toEqual(id);
  });

  it('is the same for processes that begin the store at the same time', async () => {
    const options = open();
    // Each has looked before any of them says something.
    let looked = 0;
    let release!: () => void;
    const all = new Promise<void>((resolve) => {
      release = resolve;
    });
    const append: Log['append'] = async (records) => {
      if (++looked === 3) release();
      await all;
      return log.append(records);
    };
    const asked = await Promise.all([1, 2, 3].map(() => storeIdOf({ ...options, log: { ...options.log, append } }, never())));
    expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
    expect(asked.map(({ epoch }) => epoch)).toEqual([1, 1, 1]);
    expect(await storeIdOf(options, never())).toEqual(asked[0]);
  });

  it('is another one after every new life', async () => {
    const options = open();
    const first = await storeIdOf(options, never());
    const { storeId, record } = newStore(options);
    await log.append([record]);
    expect(await storeIdOf(options, never())).toEqual({ id: storeId, epoch: 2 });
    // One that was about to begin before the first word, and comes last.
    await log.append([newStore(options, -1).record]);
    expect(await storeIdOf(options, never())).toEqual({ id: storeId, epoch: 2 });
    expect(first.id).not.toBe(storeId);
  });

  it('is not begun by one that is ended while it looks', async () => {
    const options = open();
    const id = await storeIdOf(options, never());
    await expect(storeIdOf(options, AbortSignal.abort())).rejects.toThrow();
    expect(await storeIdOf(options, never())).toEqual(id);
  });
});
