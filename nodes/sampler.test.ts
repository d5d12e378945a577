import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ManualClock, manualClock } from '../models/testing/manual-clock.js';
import { Fault, type NodeSample, partitionOf, TELEMETRY } from '../schemas/index.js';
import { eventOf, type Log, type Outgoing, type Recorded } from '../streams/index.js';
import { openMemoryLog } from '../streams/memory/index.js';
import type { Gpu } from './gpus.js';
import { type Sampler, type SamplerOptions, startSampler } from './sampler.js';

const READING = {
  uptime_s: 12.5,
  cpu_ratio: 1.25,
  load_1m: 0.5,
  rss_bytes: 100,
  memory_free_bytes: 200,
  memory_total_bytes: 300,
  loop_delay_p99_ms: 4,
};
const GPU: Gpu = { index: 0, name: 'A', utilisation_ratio: 0.5 };

let clock: ManualClock;
let log: Log;
let problems: unknown[];
let sampler: Sampler | undefined;
let closed: string[];
beforeEach(() => {
  clock = manualClock(Date.parse('2026-11-21T00:00:00.000Z'));
  log = openMemoryLog({ partitions: 2 });
  problems = [];
  closed = [];
  sampler = undefined;
});
afterEach(async () => {
  sampler?.stop();
  await log.close();
});

const start = (over: Partial<SamplerOptions> = {}): Sampler => {
  sampler = startSampler({
    log,
    everyS: 30,
    node: 'n1',
    version: '1.2.3',
    roles: 'gateway, workers:small',
    configVersion: () => 'c1',
    now: clock.now,
    runningWork: () => 7,
    onProblem: (error) => problems.push(error),
    after: clock.after,
    readings: { read: () => READING, close: () => closed.push('readings') },
    gpus: { read: async () => [GPU], close: () => closed.push('gpus') },
    ...over,
  });
  return sampler;
};
/** Lets whatever is ready in this process happen. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
const recorded = async (): Promise<readonly Recorded[]> => {
  await settle();
  const records: Recorded[] = [];
  const partition = partitionOf('n1', 2);
  const { first, end } = await log.range(TELEMETRY, partition);
  if (first === end) return records;
  for await (const batch of log.read({ topic: TELEMETRY, partition, offset: first }, new AbortController().signal, { until: end }))
    records.push(...batch);
  return records;
};
/** A log that takes nothing until it is told how an append ends. */
const slowLog = () => {
  const appends: { readonly sample: NodeSample; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  const append = (records: readonly Outgoing[]): Promise<never[]> =>
    new Promise((resolve, reject) => {
      appends.push({ sample: JSON.parse(String(records[0]!.value)) as NodeSample, resolve: () => resolve([]), reject });
    });
  return { appends, append };
};

describe('a node that samples itself', () => {
  it('says at once how it is, on the telemetry topic, keyed by its id', async () => {
    start();
    const records = await recorded();
    expect(records).toHaveLength(1);
    const { event: _appended, ...written } = records[0]!;
    expect(written.key).toBe('n1');
    expect(eventOf(written)).toMatchObject({
      type: 'dats.node.sampled',
      dataschema: 'urn:dats:node.sampled:1',
      source: '/nodes/n1',
      subject: 'n1',
      actor: 'n1',
      projectid: 'default',
      configversion: 'c1',
      time: '2026-11-21T00:00:00.000Z',
      data: {
        ...READING,
        node: 'n1',
        worker: `n1:${process.pid}`,
        version: '1.2.3',
        roles: 'gateway, workers:small',
        running_work: 7,
        gpus: [GPU],
      },
    });
  });

  it('does so again every so many seconds, until it is stopped', async () => {
    const { stop } = start();
    await settle();
    for (const seconds of [29, 1, 30]) {
      clock.advance(seconds * 1_000);
      await settle();
    }
    expect((await recorded()).map((record) => eventOf(record).time)).toEqual([
      '2026-11-21T00:00:00.000Z',
      '2026-11-21T00:00:30.000Z',
      '2026-11-21T00:01:00.000Z',
    ]);
    stop();
    expect([clock.pending(), closed]).toEqual([0, ['gpus', 'readings']]);
    clock.advance(60_000);
    expect(await recorded()).toHaveLength(3);
  });

  it('never does where it is to be every 0 seconds', async () => {
    start({ everyS: 0 }).stop();
    expect(clock.pending()).toBe(0);
    expect(await recorded()).toEqual([]);
  });

  it('drops a sample that cannot be appended, tells it once, and again only after one went well', async () => {
    const { appends, append } = slowLog();
    start({ log: { append } });
    const end = async (how: 'resolve' | 'reject'): Promise<void> => {
      await settle();
      const last = appends.at(-1)!;
      last[how](new Fault('retryable', 'disk_full', 'no space'));
      await settle();
      clock.advance(30_000);
    };
    for (const how of ['reject', 'reject', 'resolve', 'reject', 'reject'] as const) await end(how);
    await settle();
    expect(appends).toHaveLength(6);
    expect(problems).toEqual([expect.objectContaining({ code: 'disk_full' }), expect.objectContaining({ code: 'disk_full' })]);
  });

  it('leaves the next sample out while one is on its way, and goes on with the one after', async () => {
    const { appends, append } = slowLog();
    start({ log: { append } });
    for (let i = 0; i < 3; i++) {
      await settle();
      clock.advance(30_000);
    }
    expect(appends).toHaveLength(1);
    appends[0]!.resolve();
    await settle();
    clock.advance(30_000);
    await settle();
    expect(appends).toHaveLength(2);
  });

  it('says nothing once it was stopped: no sample whose processors were still being asked for, no failure', async () => {
    let answer: (gpus: readonly Gpu[]) => void = () => {};
    const { appends, append } = slowLog();
    const asking = start({
      log: { append },
      gpus: {
        read: () =>
          new Promise((resolve) => {
            answer = resolve;
          }),
        close: () => {},
      },
    });
    asking.stop();
    answer([]);
    await settle();
    expect(appends).toEqual([]);

    const appending = start({ log: { append } });
    await settle();
    appending.stop();
    appends[0]!.reject(new Fault('fatal', 'log_closed', 'closed'));
    await settle();
    expect(problems).toEqual([]);
  });
});
