// What a consumer of work is told and tells: options, the context of one run, and what can be observed.
import type { Fault } from '../../schemas/index.js';
import type { Outgoing, Recorded } from '../log.js';
import type { Ordering } from './keyed-queue.js';
import type { RetryPolicy } from './retry.js';
import type { Slots } from './slots.js';
import type { Timers } from './timers.js';

/** What one run of a record may use. */
export interface WorkContext {
  /** Aborts when the partition is given up and the time to finish is over. Made when first asked for. */
  readonly signal: AbortSignal;
  /** Aborts `signal` with that reason: nobody wants the result any more. The run still ends as `run` says. */
  cancel(reason: Error): void;
  /** From 1. */
  readonly attempt: number;
  /** The fencing token of the partition's owner. */
  readonly epoch: number;
  /**
   * Writes outputs before the run ends; resolves when they are durable. A crash after that runs the record again, and these stay.
   * @throws Fault `fenced` when the partition is gone, terminal when the log refuses them. Then they were not written.
   */
  emit(outputs: readonly Outgoing[]): Promise<void>;
}

export interface WorkStats {
  /** Records held: queued, running, waiting for a retry, or waiting for their commit. */
  readonly inFlight: number;
  readonly running: number;
  /** Received and not committed. */
  readonly incomplete: number;
  /** Age of the oldest record that is not committed, in milliseconds; 0 when there is none. */
  readonly oldestIncompleteMs: number;
  /** Takes no records now: as many are held as may be, or commits fail. */
  readonly paused: boolean;
  readonly retries: number;
  readonly deadLetters: number;
  /** Size of the last committed completion map. */
  readonly mapBytes: number;
}

export type WorkEvent =
  /** The first event. `stats` can be read at any time, also after the end. */
  | { readonly type: 'started'; readonly stats: () => WorkStats }
  | { readonly type: 'retry'; readonly record: Recorded; readonly fault: Fault; readonly attempt: number; readonly delayMs: number }
  | { readonly type: 'dead_letter'; readonly record: Recorded; readonly fault: Fault; readonly attempts: number }
  | { readonly type: 'committed'; readonly records: number; readonly outputs: number }
  | { readonly type: 'commit_failed'; readonly fault: Fault; readonly attempt: number; readonly delayMs: number }
  | { readonly type: 'commit_recovered' }
  | { readonly type: 'fenced'; readonly fault: Fault }
  /** Given up in order: so many records were held and are left to the next owner. */
  | { readonly type: 'drained'; readonly left: number };

export interface WorkOptions {
  readonly group: string;
  /** How many records run at once: a number for this partition alone, or slots shared with others. */
  readonly concurrency: number | Slots;
  /** Default `key`. */
  readonly ordering?: Ordering;
  /** The most records held at once, from 1 to MAX_IN_FLIGHT_LIMIT. */
  readonly maxInFlight?: number;
  /**
   * Does the work of one record and resolves to its outputs. Rejecting with a Fault: retryable is run again with backoff, terminal becomes a dead letter,
   * fenced ends the record without outputs (somebody else owns what it is about), fatal ends the consumer. Anything else counts as retryable.
   */
  readonly run: (record: Recorded, context: WorkContext) => Promise<readonly Outgoing[]>;
  readonly retry?: RetryPolicy;
  /** How long running records may go on after the partition is to be given up, in milliseconds. */
  readonly drainMs?: number;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  readonly timers?: Timers;
  /** Must not throw. */
  readonly onEvent?: (event: WorkEvent) => void;
}

/** Above this the completion map could outgrow MAP_LIMIT_BYTES. */
export const MAX_IN_FLIGHT_LIMIT = 10_000;
export const DEFAULT_MAX_IN_FLIGHT = 1_000;
export const DEFAULT_DRAIN_MS = 10_000;
export const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 5, baseMs: 200, maxMs: 30_000 };
