// What is said of the process itself: prom-client's default metrics (CPU, memory, garbage collection, handles), and the delay of the event loop.
//
// R1. Measured once a process, however many nodes live in it. R2. The delay is sampled every SAMPLE_MS: each sample wakes the process, and at prom-client's 10 ms
// that is half a percent of a core, as much as an idle node. So its own sampling is put off for ever, and what it would show left out.
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import type { Family, NumberSeries } from './instruments.js';

const SAMPLE_MS = 100;
const NEVER_MS = 2 ** 31 - 1;
/** What prom-client makes of samples that it does not take. */
const UNSAMPLED = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map((what) => `nodejs_eventloop_lag_${what}_seconds`);
const QUANTILES = [0.5, 0.99] as const;

let known: Promise<Registry> | undefined;

export const processRegistry = (): Promise<Registry> => {
  known ??= import('prom-client').then(({ collectDefaultMetrics, Registry }) => {
    const register = new Registry();
    collectDefaultMetrics({ register, eventLoopMonitoringPrecision: NEVER_MS });
    for (const name of UNSAMPLED) register.removeSingleMetric(name);
    return register;
  });
  return known;
};

let delays: IntervalHistogram | undefined;

/** Begins to look; the function shows what was seen since it was last called, and nothing where there was no time to look. */
export const watchLoop = (delay: Family<NumberSeries>): (() => void) => {
  if (delays === undefined) {
    delays = monitorEventLoopDelay({ resolution: SAMPLE_MS });
    delays.enable();
  }
  const seen = delays;
  return () => {
    if (seen.count === 0) return;
    // What is recorded is the time from one sample to the next.
    for (const quantile of QUANTILES)
      delay.of(String(quantile)).set(Math.max(0, seen.percentile(quantile * 100) / 1e6 - SAMPLE_MS) / 1_000);
    seen.reset();
  };
};
