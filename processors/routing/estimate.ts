// How long a task will probably take. Pure: a static table of throughput per tier; what the machine really does is in the telemetry.
import type { Tier } from '../../schemas/index.js';
import { isoOf } from '../iso-time.js';

/** Tokens a second, prompt and answer together, as a workstation with one accelerator reaches them. */
export type Throughput = Readonly<Record<Tier, number>>;
export const THROUGHPUT: Throughput = { small: 240, medium: 120, large: 45 };
/** Hops through the log, checks and the like. */
const OVERHEAD_MS = 50;

export interface Duration {
  readonly estimated_duration_ms: number;
  /** RFC 3339 UTC. */
  readonly estimated_completion: string;
}

/** `at`: milliseconds since the epoch. */
export const estimateOf = (tier: Tier, tokens: number, at: number, throughput: Throughput = THROUGHPUT): Duration => {
  const estimated_duration_ms = OVERHEAD_MS + Math.round((tokens * 1000) / throughput[tier]);
  return { estimated_duration_ms, estimated_completion: isoOf(at + estimated_duration_ms) };
};
