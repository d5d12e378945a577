// When batches go; what goes is tested with the whole uplink (uplink.test.ts).
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LIFECYCLE, type LinkBatch, OUTBOX, type Topic } from '../../schemas/index.js';
import { openMemoryLog } from '../../streams/memory/index.js';
import { GIVE_WAY_MS, WINDOW_MS } from '../../streams/runtime/index.js';
import type { Line } from './line.js';
import { openBatchSize, openSending } from './sending.js';
import { openThrottle } from './throttle.js';

const FLUSH_MS = 20;
const BATCH_RECORDS = 4;

// The clock too: what a slow machine takes for a batch would be off the pause after it.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

const openScene = (topic: Topic) => {
  const log = openMemoryLog({ partitions: 1, node: 'edge-1' });
  const sent: number[] = [];
  const load = { busy: true, ours: () => {}, others: () => (load.busy ? 0.9 : 0.1) };
  const send = async ({ count, next }: LinkBatch): Promise<number> => {
    sent.push(count);
    return next;
  };
  const sending = openSending(topic, 0, 0, {
    log,
    line: { send } as unknown as Line,
    load,
    throttle: openThrottle(0),
    size: openBatchSize(),
    contents: { push: async () => {}, pull: async () => {} },
    node: 'edge-1',
    epoch: 1,
    flushMs: FLUSH_MS,
    batchRecords: BATCH_RECORDS,
    onTaken: () => {},
  });
  const write = (count: number) =>
    log.append(Array.from({ length: count }, (_, i) => ({ topic, key: 'p', headers: { id: `e${i}` }, value: '{}' })));
  const end = new AbortController();
  const running = sending.run(end.signal);
  return { log, load, sent, write, end: () => Promise.all([end.abort(), running]) };
};

/** Compressing takes turns of the event loop that no timer tells of. */
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
/** It waits before it reads on. */
const pauses = () => until(() => vi.getTimerCount() === 1);

describe('where the process has much else to do, sending', () => {
  it('gives way between two batches, and then sends what came meanwhile (S6)', async () => {
    const { sent, write, end } = openScene(LIFECYCLE);
    await write(2 * BATCH_RECORDS);
    await pauses();
    expect(sent).toEqual([BATCH_RECORDS]);
    await write(1);
    await vi.advanceTimersByTimeAsync(GIVE_WAY_MS - 1);
    expect([sent, vi.getTimerCount()]).toEqual([[BATCH_RECORDS], 1]);
    await vi.advanceTimersByTimeAsync(1);
    await pauses();
    expect(sent).toEqual([BATCH_RECORDS, BATCH_RECORDS]);
    await end();
  });

  it('goes on as soon as it has less to do: what kept it busy may have been the sending', async () => {
    const { load, sent, write, end } = openScene(LIFECYCLE);
    await write(2 * BATCH_RECORDS + 1);
    await pauses();
    load.busy = false;
    await vi.advanceTimersByTimeAsync(WINDOW_MS);
    await pauses();
    expect(sent).toEqual([BATCH_RECORDS, BATCH_RECORDS, 1]);
    await end();
  });

  it('does not keep what others wait for', async () => {
    const { sent, write, end } = openScene(OUTBOX);
    await write(2 * BATCH_RECORDS + 1);
    await pauses();
    expect(sent).toEqual([BATCH_RECORDS, BATCH_RECORDS, 1]);
    await write(1);
    vi.advanceTimersByTime(FLUSH_MS);
    await pauses();
    expect(sent).toEqual([BATCH_RECORDS, BATCH_RECORDS, 1, 1]);
    await end();
  });
});

it('a process with nothing else to do sends all it has, and then waits for more to share a batch', async () => {
  const { load, sent, write, end } = openScene(LIFECYCLE);
  load.busy = false;
  await write(2 * BATCH_RECORDS + 1);
  await pauses();
  expect(sent).toEqual([BATCH_RECORDS, BATCH_RECORDS, 1]);
  await end();
});
