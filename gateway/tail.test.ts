import { afterEach, beforeEach, expect, test } from 'vitest';
import { Fault, LIFECYCLE } from '../schemas/index.js';
import type { Log } from '../streams/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import { BUFFER_RECORDS, createTail, type Tail } from './tail.js';

let log: Log;
let tail: Tail;
beforeEach(() => {
  log = openMemoryLog({ partitions: 1 });
  tail = createTail(log);
});
afterEach(async () => {
  tail.close();
  await log.close();
});

const append = (from: number, count: number, project = 'p') =>
  log.append(
    Array.from({ length: count }, (_, i) => ({
      topic: LIFECYCLE,
      key: project,
      headers: { type: 't', subject: String(from + i) },
      value: '{}',
    })),
  );
const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

test('who falls behind reads the log at its own pace and misses nothing, in order, once', async () => {
  const stop = new AbortController();
  const stream = tail.follow({ partition: 0, from: 0, project: 'p' }, stop.signal);
  const total = 1 + 3 * BUFFER_RECORDS + 5;
  await append(0, 1);
  const seen = ((await stream.next()).value ?? []).map((record) => record.headers.subject!);
  // Attached by now, and not taking anything while three buffers' worth goes by.
  const waiting = stream.next();
  for (let i = 1; i < total; i++) await append(i, 1);
  await append(0, 10, 'other');
  seen.push(...((await waiting).value ?? []).map((record) => record.headers.subject!));
  while (seen.length < total) seen.push(...((await stream.next()).value ?? []).map((record) => record.headers.subject!));
  expect(seen).toEqual(numbers(total));
  stop.abort();
  expect(await stream.next()).toMatchObject({ done: true });
  expect(tail.followers()).toBe(0);
});

test('aborting ends a follower that waits, closing ends them all', async () => {
  const stop = new AbortController();
  const one = tail.follow({ partition: 0, from: 0, project: 'p' }, stop.signal);
  const other = tail.follow({ partition: 0, from: 0, project: 'q' }, new AbortController().signal);
  const waits = [one.next(), other.next()];
  expect(tail.followers()).toBe(2);
  stop.abort();
  expect(await waits[0]).toMatchObject({ done: true });
  tail.close();
  expect(await waits[1]).toMatchObject({ done: true });
});

test('a log that cannot be read is a fault for whoever follows', async () => {
  const broken = createTail({ ...log, partitions: () => 1, range: async () => ({ first: 0, end: 0 }), read: () => failing() } as Log);
  const stream = broken.follow({ partition: 0, from: 0, project: 'p' }, new AbortController().signal);
  await expect(stream.next()).rejects.toMatchObject({ code: 'unavailable', kind: 'retryable' });
  expect(broken.followers()).toBe(0);
});

test('a log that refuses for good is a fault, and the next follower asks it anew', async () => {
  let refusing = true;
  const refused = createTail({
    ...log,
    partitions: () => 1,
    range: async () => {
      if (refusing) throw new Fault('fatal', 'log_refused', 'not for you (injected)');
      return log.range(LIFECYCLE, 0);
    },
    read: (...args) => log.read(...args),
  } as Log);
  const follow = (signal: AbortSignal) => refused.follow({ partition: 0, from: 0, project: 'p' }, signal);
  const stop = new AbortController();
  await expect(follow(stop.signal).next()).rejects.toMatchObject({ code: 'log_refused' });
  refusing = false;
  await append(0, 1);
  expect((await follow(stop.signal).next()).value).toHaveLength(1);
  stop.abort();
  refused.close();
});

test('who gives up while the log is away does not wait for it', async () => {
  const away = createTail({
    ...log,
    partitions: () => 1,
    range: () => Promise.reject(new Fault('retryable', 'log_unavailable', 'away (injected)')),
  } as Log);
  const stop = new AbortController();
  const waiting = away.follow({ partition: 0, from: 0, project: 'p' }, stop.signal).next();
  stop.abort();
  expect(await waiting).toMatchObject({ done: true });
  expect(away.followers()).toBe(0);
});

// biome-ignore lint/correctness/useYield: it fails before it could
async function* failing(): AsyncGenerator<never> {
  throw new Error('disk gone');
}
