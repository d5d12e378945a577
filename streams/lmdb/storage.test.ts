import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type DatsEvent, dataschemaOf, Fault, isFault, LIFECYCLE } from '../../schemas/index.js';
import type { Log, Recorded } from '../log.js';
import { outgoing } from '../record.js';
import { Collector, hold, readAll, record, take } from '../testing/log-driver.js';
import { openLmdbLog, openLmdbStorage } from './index.js';
import { batchKey, shardKey } from './keys.js';
import { openStore } from './store.js';

let dir: string;
const opened: { close(): Promise<void> }[] = [];
const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
  opened.push(thing);
  return thing;
};
const open = async (options: { maxBytes?: number; dir?: string; partitions?: number } = {}) =>
  keep(await openLmdbLog({ dir, node: 'node-1', partitions: 1, ...options }));
const fault = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no fault',
    (error: unknown) => (isFault(error) ? `${error.kind} ${error.code}` : error),
  );

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-storage-'));
});
afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Appends until the log refuses; the types of what was acknowledged, and the fault. */
const fill = async (log: Log, bytes: number): Promise<{ acknowledged: string[]; error: unknown }> => {
  const acknowledged: string[] = [];
  for (let i = 0; i < 1_000; i++) {
    try {
      await log.append([record(`r${i}`, { value: Buffer.alloc(bytes, 1) })]);
      acknowledged.push(`r${i}`);
    } catch (error) {
      return { acknowledged, error };
    }
  }
  throw new Error('the log never filled up');
};

test('at its size limit the log refuses records, goes on with everything else, and takes records again when the limit is higher', async () => {
  const log = await open({ maxBytes: 3_000_000 });
  const { acknowledged, error } = await fill(log, 100_000);
  expect(error).toMatchObject({ kind: 'retryable', code: 'disk_full' });
  expect(acknowledged.length).toBeGreaterThan(10);
  expect(await log.health()).toMatchObject({ ok: false, detail: expect.stringContaining('disk_full') });
  const owned = new Collector<number>();
  const membership = await log.join('group', [LIFECYCLE], async (assignment) => {
    await assignment.commit({ next: 3, outputs: [], states: new Map() });
    owned.push(assignment.partition);
    await hold(assignment);
  });
  await owned.until((items) => items.length === 1);
  await membership.leave();
  expect((await readAll(log, LIFECYCLE, 0)).map((r) => r.type)).toEqual(acknowledged);
  await log.close();
  const roomier = await open({ maxBytes: 30_000_000 });
  await roomier.append([record('again', { value: Buffer.alloc(100_000) })]);
  expect((await readAll(roomier, LIFECYCLE, 0)).map((r) => r.type)).toEqual([...acknowledged, 'again']);
});

const mounted = (at: string): boolean => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', at], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

test('on a full disk nothing is half written, reading goes on, and room makes it write again', async (context) => {
  if (!mounted(dir)) context.skip('mounting a small file system is not permitted here');
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    const ballast = join(dir, 'ballast');
    writeFileSync(ballast, Buffer.alloc(1_500_000));
    const log = await open({ dir: join(dir, 'log') });
    const { acknowledged, error } = await fill(log, 100_000);
    expect(error).toMatchObject({ kind: 'retryable', code: 'disk_full' });
    const refused = await Promise.all(Array.from({ length: 5 }, () => fault(log.append([record('no', { value: Buffer.alloc(150_000) })]))));
    expect(new Set(refused)).toEqual(new Set(['retryable disk_full']));
    expect((await log.health()).ok).toBe(false);
    expect((await readAll(log, LIFECYCLE, 0)).map((r) => r.type)).toEqual(acknowledged);
    rmSync(ballast);
    await log.append([record('again', { value: Buffer.alloc(100_000) })]);
    expect((await log.health()).ok).toBe(true);
    expect((await readAll(log, LIFECYCLE, 0)).map((r) => r.type)).toEqual([...acknowledged, 'again']);
    await log.close();
  } finally {
    for (const thing of opened.splice(0)) await thing.close();
    complaints.mockRestore();
    execFileSync('umount', [dir]);
  }
});

test('another partition count than the directory was made with is refused, with what to do', async () => {
  await (await open({ partitions: 4 })).close();
  await expect(openLmdbLog({ dir, node: 'x', partitions: 8 })).rejects.toMatchObject({
    kind: 'fatal',
    code: 'log_partitions',
    message: expect.stringContaining('to 4'),
  });
  await open({ partitions: 4 });
  await expect(openLmdbLog({ dir, node: 'x', partitions: 8 })).rejects.toBeInstanceOf(Fault);
});

test('a directory of a newer format is refused', async () => {
  const store = await openStore(dir, 1);
  const meta = store.root.openDB<Buffer, Buffer>('meta', { encoding: 'binary', keyEncoding: 'binary' });
  await meta.put(Buffer.from('format'), Buffer.from(JSON.stringify({ format: 99, partitions: 1 })));
  await store.close();
  await expect(openLmdbLog({ dir, node: 'x', partitions: 1 })).rejects.toMatchObject({ kind: 'fatal', code: 'log_format' });
});

test('a damaged batch is found and named, and so is a missing one', async () => {
  const log = await open();
  await log.append([record('a'), record('b')]);
  await log.append([record('c')]);
  await log.append([record('d')]);
  await log.append([record('e')]);
  await log.close();
  const store = await openStore(dir, 1);
  const key = batchKey(shardKey(LIFECYCLE, 0), 2);
  const batch = store.batches.get(key)!;
  batch[batch.length - 1]! ^= 1;
  await store.batches.put(key, batch);
  await store.batches.remove(batchKey(shardKey(LIFECYCLE, 0), 4));
  await store.close();
  const again = await open();
  expect((await take(again, { topic: LIFECYCLE, partition: 0, offset: 0 }, 2, 2)).map((r) => r.type)).toEqual(['a', 'b']);
  await expect(again.get({ topic: LIFECYCLE, partition: 0, offset: 2 })).rejects.toMatchObject({
    kind: 'fatal',
    code: 'log_corrupt',
    message: expect.stringContaining('offset 2'),
  });
  await expect(again.get({ topic: LIFECYCLE, partition: 0, offset: 4 })).rejects.toMatchObject({
    kind: 'fatal',
    code: 'log_corrupt',
    message: expect.stringContaining('offset 4'),
  });
});

const event = (n: number): DatsEvent => ({
  specversion: '1.0',
  id: `id-${n}`,
  source: '/test',
  type: 'dats.task.timedout',
  time: '2026-11-21T00:00:00.000Z',
  subject: `task-${n}`,
  datacontenttype: 'application/json',
  dataschema: dataschemaOf('dats.task.timedout'),
  projectid: 'project',
  correlationid: 'correlation',
  actor: 'test',
  configversion: '1',
  data: { task_id: `task-${n}`, attempt: 1, after_ms: n },
});

test('a reader at the end in the same process gets the event object itself, one in another process the bytes', async () => {
  const [log, other] = [await open(), await open()];
  const from = { topic: LIFECYCLE, partition: 0, offset: 0 } as const;
  const reading = [take(log, from, 3), take(other, from, 3)] as const;
  const events = [event(1), event(2), event(3)];
  for (const one of events) await log.append([outgoing(LIFECYCLE, one)]);
  const [near, far] = await Promise.all(reading);
  expect(near.map((r) => r.event === events[r.offset])).toEqual([true, true, true]);
  expect(far.map((r) => r.event)).toEqual([undefined, undefined, undefined]);
  expect(far.map((r) => ({ ...r.headers }))).toEqual(near.map((r) => ({ ...r.headers })));
});

test('a reader far behind what is kept in memory, with appends of two processes interleaved, misses nothing', async () => {
  const [a, b] = [await open(), await open()];
  const stop = new AbortController();
  const reader = a.read({ topic: LIFECYCLE, partition: 0, offset: 0 }, stop.signal, { maxBatch: 700 })[Symbol.asyncIterator]();
  const first = reader.next();
  await a.append([record('first')]);
  const seen: Recorded[] = [...((await first).value as readonly Recorded[])];
  const total = 20_000;
  const burst = (log: Log, name: string) => log.append(Array.from({ length: 100 }, (_, i) => record(`${name}${i}`)));
  for (let i = 0; i < total / 200; i++) await Promise.all([burst(a, 'a'), burst(b, 'b')]);
  while (seen.length < total + 1) seen.push(...((await reader.next()).value as readonly Recorded[]));
  stop.abort();
  expect(seen.map((r) => r.offset)).toEqual(Array.from({ length: total + 1 }, (_, i) => i));
  const stored = await readAll(b, LIFECYCLE, 0);
  expect(seen.map((r) => r.type)).toEqual(stored.map((r) => r.type));
});

test('log and views share one environment, and a write of each in the same instant is one transaction', async () => {
  const { log, views, close } = keep(await openLmdbStorage({ dir, node: 'node-1', partitions: 1 }));
  await Promise.all([
    log.append([record('x')]),
    views.put([{ collection: 'c', id: 'i', version: 1, doc: 'd' }], { view: 'v', partition: 0, from: 0, next: 1 }),
  ]);
  expect(await views.get('c', 'i')).toBe('d');
  await close();
  const store = await openStore(dir, 1);
  const before = (store.root.getStats() as unknown as { lastTxnId: number }).lastTxnId;
  await store.close();
  const again = keep(await openLmdbStorage({ dir, node: 'node-1', partitions: 1 }));
  await Promise.all([
    ...Array.from({ length: 50 }, () => again.log.append([record('y')])),
    again.views.put([{ collection: 'c', id: 'i', version: 2, doc: 'e' }]),
  ]);
  await again.close();
  const after = await openStore(dir, 1);
  const transactions = (after.root.getStats() as unknown as { lastTxnId: number }).lastTxnId - before;
  await after.close();
  expect(transactions).toBeLessThanOrEqual(12);
});

/** What a process leaves behind that opened the environment while this one committed: the lock file notes an older transaction as the newest (newest.ts). */
const forgetNewest = async (): Promise<void> => {
  const store = keep(await openStore(dir, 1));
  const { lastTxnId } = store.root.getStats() as { lastTxnId: number };
  // In a process of its own: whoever closes a file gives up all locks that the process has on it.
  execFileSync(process.execPath, ['--input-type=module', '-e', FORGET, join(dir, 'lock.mdb'), String(lastTxnId)]);
};
const FORGET = `
  import { openSync, readFileSync, writeSync } from 'node:fs';
  const [file, newest] = process.argv.slice(1);
  const note = (id) => Buffer.from(BigUint64Array.of(id).buffer);
  const at = readFileSync(file).indexOf(note(BigInt(newest)));
  if (at < 0) throw new Error('the lock file does not say which transaction is the newest');
  writeSync(openSync(file, 'r+'), note(BigInt(newest) - 1n), 0, 8, at);
`;

test('a commit that an opening process made the lock file forget is not written over', async () => {
  const log = await open();
  for (const type of ['a', 'b']) await log.append([record(type)]);
  await forgetNewest();
  for (const type of ['c', 'd']) await log.append([record(type)]);
  expect((await readAll(log, LIFECYCLE, 0)).map(({ type }) => type)).toEqual(['a', 'b', 'c', 'd']);
});
