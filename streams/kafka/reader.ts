// Reading a partition from an offset on, following its end.
//
// R1. Who is behind asks the leader for itself; at the end it takes what the shared tail brings. R2. A wake-up is never lost: looking and listening are one
// synchronous step. R3. A broker that is away is silence, not an error. R4. An offset that retention has removed is passed over to the first there is.
import { setMaxListeners } from 'node:events';
import { DEFAULT_MAX_BATCH } from '../adapter/index.js';
import type { Recorded } from '../log.js';
import { pause } from '../pause.js';
import type { Cluster } from './cluster.js';
import type { FetchedRecord } from './codec.js';
import { type Cursor, type FetchLimits, fetchOnce, OUT_OF_RANGE, offsetsOf } from './fetching.js';
import { persist } from './persist.js';
import type { Tail, Tails } from './tails.js';

export interface ReadOptions {
  readonly until?: number | undefined;
  readonly maxBatch?: number | undefined;
  /** Any of them ends it. */
  readonly signals: readonly AbortSignal[];
}

export interface Sources {
  readonly cluster: Cluster;
  readonly tails: Tails;
}

const CATCH_UP: FetchLimits = { waitMs: 0, partitionBytes: 2 * 1024 * 1024, totalBytes: 16 * 1024 * 1024 };
/** How often somebody who asked for an offset that is not there yet looks again, in milliseconds. */
const AHEAD_MS = 100;

/** Batches from `cursor` on, never empty; ends before `until`, or when one of the signals aborts. */
export async function* readPartition(
  sources: Sources,
  cursor: Cursor,
  options: ReadOptions,
): AsyncGenerator<readonly Recorded[], void, undefined> {
  const { until = Number.POSITIVE_INFINITY, maxBatch = DEFAULT_MAX_BATCH, signals } = options;
  const stop = anySignal(signals);
  let tail: Tail | undefined;
  let next = cursor.from;
  try {
    while (next < until && !stop.signal.aborted) {
      const held = tail?.take(next, maxBatch);
      if (held !== undefined && held.next === next) {
        await nextRing(tail!, stop.signal);
        continue;
      }
      const found = held ?? (await catchUp(sources, { ...cursor, from: next }, stop.signal));
      if (found === undefined) return;
      for (let at = 0; at < found.records.length && !stop.signal.aborted; at += maxBatch) {
        const batch = within(found.records, at, maxBatch, until);
        if (batch.length === 0) break;
        next = batch.at(-1)!.offset + 1;
        yield batch;
      }
      if (stop.signal.aborted) return;
      const progressed = found.next > next || found.records.length > 0;
      next = Math.max(next, found.next);
      if (!progressed) {
        if (tail === undefined) tail = sources.tails.follow(cursor, next);
        else await nextRing(tail, stop.signal);
      }
    }
  } finally {
    stop.dispose();
    if (tail !== undefined) sources.tails.unfollow(tail);
  }
}

const within = (records: readonly FetchedRecord[], at: number, limit: number, until: number): readonly FetchedRecord[] => {
  const batch = records.slice(at, at + limit);
  return batch.length > 0 && batch.at(-1)!.offset >= until ? batch.filter(({ offset }) => offset < until) : batch;
};

/** What the leader has from the cursor on; undefined when the signal aborted first. */
const catchUp = async (
  { cluster }: Sources,
  cursor: Cursor,
  signal: AbortSignal,
): Promise<{ readonly records: readonly FetchedRecord[]; readonly next: number } | undefined> => {
  while (!signal.aborted) {
    const fetched = await persist(() => fetchOnce(cluster, cursor, CATCH_UP), { signal }).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });
    if (fetched === undefined) return undefined;
    if (fetched.failed === undefined) return fetched;
    if (fetched.failed === OUT_OF_RANGE) {
      const { first } = await persist(() => offsetsOf(cluster, cursor.name, cursor.partition), { signal });
      if (cursor.from < first) return { records: [], next: first };
    }
    await pause(AHEAD_MS, signal);
  }
  return undefined;
};

/** Resolves when the tail has news, or the signal aborts. */
const nextRing = (tail: Tail, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      deaf();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const deaf = tail.bell.listen(end);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });

/** One signal for several. Any number of readers may share each of them, so listeners are taken away again. */
const anySignal = (signals: readonly AbortSignal[]): { readonly signal: AbortSignal; dispose(): void } => {
  const controller = new AbortController();
  const abort = () => controller.abort();
  setMaxListeners(0, controller.signal, ...signals);
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
  }
  return {
    signal: controller.signal,
    dispose: () => {
      for (const signal of signals) signal.removeEventListener('abort', abort);
    },
  };
};
