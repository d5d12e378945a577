// How fast the log is: durable appends at 1, 64 and 1024 producers, and reading back. Run alone: `node dist/bench/log.js`.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type DatsEvent, dataschemaOf, LIFECYCLE, newId } from '../schemas/index.js';
import { type Log, outgoing } from '../streams/index.js';
import { openLmdbLog } from '../streams/lmdb/index.js';

/** How long each figure is measured, in milliseconds. */
const MEASURE_MS = 2_000;
/** Records that are read back. */
const READ_RECORDS = 300_000;
const APPENDED_AT_ONCE = 1_000;

const event = (project: string): DatsEvent => ({
  specversion: '1.0',
  id: newId(),
  source: '/bench',
  type: 'dats.task.timedout',
  time: '2026-11-21T00:00:00.000Z',
  subject: 'task-00000000',
  datacontenttype: 'application/json',
  dataschema: dataschemaOf('dats.task.timedout'),
  projectid: project,
  correlationid: '01890000-0000-7000-8000-000000000000',
  causationid: '01890000-0000-7000-8000-000000000001',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  actor: '/bench',
  configversion: '1',
  data: { task_id: 'task-00000000', attempt: 1, after_ms: 1234 },
});

const say = (name: string, figure: string): void => {
  process.stdout.write(`${name.padEnd(48)} ${figure}\n`);
};

const perSecond = (count: number, ms: number): string => `${Math.round((count / ms) * 1000).toLocaleString('en-US')}/s`;

const quantile = (sorted: readonly number[], q: number): string =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!.toFixed(2);

/** `producers` append one record after another, each waiting until its record is durable. */
const appends = async (log: Log, producers: number): Promise<void> => {
  const began = performance.now();
  const cpu = process.cpuUsage();
  const latencies: number[] = [];
  const produce = async (producer: number) => {
    const record = outgoing(LIFECYCLE, event(`project-${producer}`));
    while (performance.now() - began < MEASURE_MS) {
      const sent = performance.now();
      await log.append([record]);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: producers }, (_, producer) => produce(producer)));
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const cost = ((user + system) / latencies.length).toFixed(1);
  say(
    `log: durable appends, ${producers} producers`,
    `${perSecond(latencies.length, ms)}, p50 ${quantile(latencies, 0.5)} ms, p99 ${quantile(latencies, 0.99)} ms, ${cost} us CPU a record`,
  );
};

/** What a pipeline does: many records in each commit. */
const batches = async (log: Log): Promise<void> => {
  const records = Array.from({ length: APPENDED_AT_ONCE }, (_, i) => outgoing(LIFECYCLE, event(`project-${i % 50}`)));
  const began = performance.now();
  const cpu = process.cpuUsage();
  for (let i = 0; i < READ_RECORDS / APPENDED_AT_ONCE; i++) await log.append(records);
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  say(
    `log: durable appends of ${APPENDED_AT_ONCE} records`,
    `${perSecond(READ_RECORDS, ms)}, ${((user + system) / READ_RECORDS).toFixed(1)} us CPU a record`,
  );
};

const reads = async (log: Log, name: string, touch: (record: { readonly headers: unknown }) => unknown): Promise<void> => {
  const began = performance.now();
  let count = 0;
  for (let partition = 0; partition < log.partitions(LIFECYCLE); partition++) {
    const { end } = await log.range(LIFECYCLE, partition);
    for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: 0 }, new AbortController().signal, { until: end })) {
      for (const record of batch) touch(record);
      count += batch.length;
    }
  }
  say(`log: read, ${name}`, `${perSecond(count, performance.now() - began)} (${count} records)`);
};

export async function benchLog(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'dats-bench-'));
  try {
    const log = await openLmdbLog({ dir, node: 'bench', partitions: 4 });
    for (const producers of [1, 64, 1024]) await appends(log, producers);
    await batches(log);
    await log.close();
    const again = await openLmdbLog({ dir, node: 'bench', partitions: 4 });
    await reads(again, 'nothing decoded', (record) => record);
    await reads(again, 'headers parsed', (record) => record.headers);
    await again.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await benchLog();
