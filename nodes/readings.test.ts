import { afterEach, expect, it } from 'vitest';
import { nodeSampled } from '../schemas/index.js';
import { openReadings, type Readings, type ReadingsDeps } from './readings.js';

let readings: Readings | undefined;
const open = (deps?: ReadingsDeps): Readings => {
  readings = openReadings(deps);
  return readings;
};
afterEach(() => readings?.close());

it('counts CPU from one reading to the next, over all cores, the first time from the beginning', () => {
  let [user, system, ms] = [300_000, 200_000, 1_000];
  const { read } = open({ cpuUsage: () => ({ user, system }), sinceBegin: () => ms });
  expect(read().cpu_ratio).toBe(0.5);
  [user, system, ms] = [2_300_000, 1_200_000, 3_000];
  expect(read().cpu_ratio).toBe(1.5);
  ms = 4_000;
  expect(read().cpu_ratio).toBe(0);
  expect(read().cpu_ratio).toBe(0);
});

it('reads what fits a sample, of this process and machine', () => {
  const { read } = open();
  const reading = read();
  expect(nodeSampled.omit({ node: true, worker: true, version: true, roles: true, running_work: true, gpus: true }).parse(reading)).toEqual(
    reading,
  );
  expect(reading.memory_total_bytes).toBeGreaterThan(reading.memory_free_bytes);
  expect(reading.rss_bytes).toBeGreaterThan(1024 * 1024);
  expect(reading.rss_bytes).toBeLessThan(reading.memory_total_bytes);
  expect(reading.uptime_s).toBeGreaterThan(0);
});

it('tells how late timers were since the last reading', async () => {
  const block = (ms: number): void => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const { read } = open();
  expect(read().loop_delay_p99_ms, 'nothing was looked at yet').toBe(0);
  for (const ms of [100, 200]) {
    block(ms);
    for (let i = 0; i < 2; i++) await turn();
  }
  expect(read().loop_delay_p99_ms).toBeGreaterThan(100);
  expect(read().loop_delay_p99_ms).toBe(0);
});
