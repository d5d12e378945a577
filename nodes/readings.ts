// How this process and its machine are: CPU, memory, and how late timers are.
//
// R1. `read` is cheap and never fails. R2. What is measured over time is measured since the last `read`, by whoever reads.
import { freemem, loadavg, totalmem } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { NodeSample } from '../schemas/index.js';

export type Reading = Omit<NodeSample, 'node' | 'worker' | 'version' | 'roles' | 'running_work' | 'gpus'>;

export interface Readings {
  read(): Reading;
  close(): void;
}

export interface ReadingsDeps {
  /** Microseconds of CPU that the process has used since it began. */
  readonly cpuUsage?: () => { readonly user: number; readonly system: number };
  /** Milliseconds since the process began; never falls. */
  readonly sinceBegin?: () => number;
}

/** How often lateness is looked at. Each look wakes the process: at 20 ms they were 0.4 % of a core of an idle one, at 50 ms half of it. */
const LOOK_MS = 50;

export const openReadings = ({ cpuUsage = process.cpuUsage, sinceBegin = () => performance.now() }: ReadingsDeps = {}): Readings => {
  const looks = monitorEventLoopDelay({ resolution: LOOK_MS });
  looks.enable();
  let usedUs = 0;
  let atMs = 0;

  const cpuRatio = (): number => {
    const { user, system } = cpuUsage();
    const [us, ms] = [user + system - usedUs, sinceBegin() - atMs];
    usedUs += us;
    atMs += ms;
    return ms > 0 ? us / 1_000 / ms : 0;
  };
  const loopDelayMs = (): number => {
    // What is recorded is the time from one look to the next, so that a loop without delay shows the interval.
    const delay = Math.max(0, looks.percentile(99) / 1e6 - LOOK_MS);
    looks.reset();
    return delay;
  };
  return {
    read: () => ({
      uptime_s: process.uptime(),
      cpu_ratio: cpuRatio(),
      load_1m: loadavg()[0]!,
      rss_bytes: process.memoryUsage.rss(),
      memory_free_bytes: freemem(),
      memory_total_bytes: totalmem(),
      loop_delay_p99_ms: loopDelayMs(),
    }),
    close: () => void looks.disable(),
  };
};
