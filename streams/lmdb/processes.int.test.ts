// Several real processes on one directory, killed at any instant (L6, L4). Runs what `npm run build` made.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DLQ, LIFECYCLE, partitionOf, TELEMETRY, type Topic } from '../../schemas/index.js';
import { Collector, readAll } from '../testing/log-driver.js';
import { type LmdbLog, openLmdbLog, POLL_MS } from './index.js';

const PROGRAM = fileURLToPath(new URL('../../dist/streams/testing/log-process.js', import.meta.url));
const PARTITIONS = [0, 1, 2, 3];
const KILLS = 24;
/** How long it may take until the partitions of a killed process are worked on again, in milliseconds. */
const TAKEOVER_MS = 1_000;

let dir: string;
let running: ChildProcess[];
let log: LmdbLog | undefined;

interface Started {
  readonly lines: Collector<string>;
  readonly kill: () => Promise<void>;
}

const start = (role: 'writer' | 'worker', name: string): Started => {
  const child = spawn(process.execPath, [PROGRAM, role, dir, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  const lines = new Collector<string>();
  const read = createInterface({ input: child.stdout! });
  read.on('line', (line) => lines.push(line));
  const ended = Promise.all([once(child, 'exit'), once(read, 'close')]);
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  return { lines, kill };
};

const openHere = async (): Promise<LmdbLog> => {
  log = await openLmdbLog({ dir, node: 'test', partitions: PARTITIONS.length });
  return log;
};

const all = async (from: LmdbLog, topic: Topic) =>
  (await Promise.all(PARTITIONS.map((partition) => readAll(from, topic, partition)))).flat();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dats-processes-'));
  running = [];
});
afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  await log?.close();
  log = undefined;
  rmSync(dir, { recursive: true, force: true });
});

test(`${KILLS} kills of writers: nothing acknowledged is lost, nothing is half there, no gap, no duplicate`, async () => {
  const acknowledged: string[] = [];
  let steady = start('writer', 'steady-0');
  for (let i = 0; i < KILLS; i++) {
    const victim = start('writer', `victim-${i}`);
    await victim.lines.until((lines) => lines.length > 5 + ((i * 37) % 200));
    await victim.kill();
    acknowledged.push(...victim.lines.items);
    const before = steady.lines.items.length;
    await steady.lines.until((lines) => lines.length > before + 20);
    if (i % 6 === 5) {
      await steady.kill();
      acknowledged.push(...steady.lines.items);
      steady = start('writer', `steady-${i}`);
      await steady.lines.until((lines) => lines.length > 1);
    }
  }
  await steady.kill();
  acknowledged.push(...steady.lines.items);
  const ids = acknowledged.filter((line) => line !== 'ready');
  expect(ids.length).toBeGreaterThan(1_000);

  const reader = await openHere();
  const [records, twins] = [await all(reader, LIFECYCLE), await all(reader, TELEMETRY)];
  const types = records.map((r) => r.type);
  expect(new Set(types).size).toBe(types.length);
  expect(new Set(twins.map((r) => r.type))).toEqual(new Set(types));
  expect(twins.length).toBe(types.length);
  const stored = new Set(types);
  expect(ids.filter((id) => !stored.has(id))).toEqual([]);
  for (const partition of PARTITIONS)
    expect(records.filter((r) => r.partition === partition).map((r) => r.offset)).toEqual(
      records.filter((r) => r.partition === partition).map((_, i) => i),
    );
});

test('partitions of a killed worker are taken over fast, and every record has exactly one outcome', async () => {
  const writer = start('writer', 'writer');
  let survivor = start('worker', 'worker-0');
  const ownedBy = (lines: readonly string[]) => lines.filter((line) => line.startsWith('owns')).length;
  // Were both to start at once, either could be the first to own all.
  await survivor.lines.until((lines) => ownedBy(lines) === PARTITIONS.length);
  const took: number[] = [];
  for (let i = 1; i <= 6; i++) {
    const next = start('worker', `worker-${i}`);
    await next.lines.until((lines) => ownedBy(lines) === 2 && lines.some((line) => line.startsWith('did')));
    const killed = Date.now();
    await survivor.kill();
    await next.lines.until((lines) => ownedBy(lines) === PARTITIONS.length);
    const times = next.lines.items.filter((line) => line.startsWith('owns')).map((line) => Number(line.split(' ')[2]));
    took.push(Math.max(...times) - killed);
    survivor = next;
  }
  await writer.kill();
  const reader = await openHere();
  const inputs = await all(reader, LIFECYCLE);
  const lastOf = (partition: number) => inputs.filter((r) => r.partition === partition).length - 1;
  const through = (lines: readonly string[]) =>
    PARTITIONS.every((partition) => lastOf(partition) < 0 || lines.includes(`did ${partition} ${lastOf(partition)}`));
  await survivor.lines.until(through);
  await survivor.kill();
  const outcomes = (await all(reader, DLQ)).map((r) => r.type);
  expect([...outcomes].sort()).toEqual(inputs.map((r) => `${r.partition}-${r.offset}`).sort());
  took.sort((a, b) => a - b);
  expect(took[Math.floor(took.length / 2)]!).toBeLessThan(TAKEOVER_MS);
});

test('a record of another process is seen in milliseconds, long before the next poll', async () => {
  const reader = await openHere();
  const writer = start('writer', 'writer');
  await writer.lines.until((lines) => lines.length > 20);
  const partition = partitionOf('key-1', PARTITIONS.length);
  const { end } = await reader.range(LIFECYCLE, partition);
  const delays: number[] = [];
  for await (const batch of reader.read({ topic: LIFECYCLE, partition, offset: end }, new AbortController().signal)) {
    delays.push(...batch.map((r) => Date.now() - r.timestamp));
    if (delays.length > 500) break;
  }
  await writer.kill();
  delays.sort((a, b) => a - b);
  expect(delays[Math.floor(delays.length / 2)]!).toBeLessThan(POLL_MS / 4);
});
