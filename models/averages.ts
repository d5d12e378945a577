// What a model's last calls say of it: how many of them failed, and how long the first chunk took. Newer calls weigh more. No timers: it reads the clock.
//
// V1. A call weighs half as much after HALF_LIFE_MS, and no more than MOST_CALLS stand together, so that a good hour does not hide a bad minute.
// V2. Below FEWEST_CALLS nothing is told: one call is no reason to move. So what is not called any more is forgotten, and is tried again.
// V3. While rules keep work away from a model only its trial calls tell of it: each stands for TRIAL_CALLS.
import type { Clock } from './clock.js';

/** After so long a call weighs half as much. */
export const HALF_LIFE_MS = 120_000;
/** Calls that are told of at most, by their weight. */
export const MOST_CALLS = 20;
/** Below this weight nothing is told: four calls of the last moments tell, and more of longer ago. */
export const FEWEST_CALLS = 3.5;
/** What a trial call of an avoided model weighs. */
export const TRIAL_CALLS = 8;

/** A mean whose samples fade. */
interface Mean {
  weight: number;
  sum: number;
}

export interface Averages {
  /** One call that ended. `latencyMs`: to its first chunk, where one came. */
  add(failed: boolean, latencyMs: number | undefined, calls?: number): void;
  /** Only how long it took: of a call that says nothing about failing. */
  addLatency(latencyMs: number): void;
  /** 0..1; undefined where too little is known. */
  errorRate(): number | undefined;
  /** Whole milliseconds; undefined where too little is known. */
  latencyMs(): number | undefined;
}

export const openAverages = (clock: Pick<Clock, 'now'>): Averages => {
  const failures: Mean = { weight: 0, sum: 0 };
  const latency: Mean = { weight: 0, sum: 0 };
  let fadedAt = clock.now();

  const scale = (mean: Mean, by: number): void => {
    mean.weight *= by;
    mean.sum *= by;
  };
  const fade = (): void => {
    const now = clock.now();
    if (now === fadedAt) return;
    const by = 2 ** ((fadedAt - now) / HALF_LIFE_MS);
    scale(failures, by);
    scale(latency, by);
    fadedAt = now;
  };
  const put = (mean: Mean, value: number, calls: number): void => {
    const room = MOST_CALLS - calls;
    if (mean.weight > room) scale(mean, room / mean.weight);
    mean.weight += calls;
    mean.sum += value * calls;
  };
  const told = (mean: Mean): number | undefined => {
    if (mean.weight === 0) return undefined;
    fade();
    return mean.weight < FEWEST_CALLS ? undefined : mean.sum / mean.weight;
  };

  return {
    add: (failed, latencyMs, calls = 1) => {
      fade();
      put(failures, failed ? 1 : 0, calls);
      if (latencyMs !== undefined) put(latency, latencyMs, calls);
    },
    addLatency: (latencyMs) => {
      fade();
      put(latency, latencyMs, 1);
    },
    // Rounded: these stand in every decision that is recorded, and fading leaves digits that say nothing.
    errorRate: () => {
      const rate = told(failures);
      return rate === undefined ? undefined : Math.round(rate * 1e4) / 1e4;
    },
    latencyMs: () => {
      const ms = told(latency);
      return ms === undefined ? undefined : Math.round(ms);
    },
  };
};
