// Long work in pieces, with a turn for others in between; a stretch of the lifecycle topic so.
import { setImmediate as turn } from 'node:timers/promises';
import { LIFECYCLE } from '../../schemas/index.js';
import type { Log, Recorded } from '../../streams/index.js';

const BATCH = 128;
/** How long something runs before others get their turn, milliseconds. */
const RUN_MS = 20;

/** Between pieces of work that wait for nothing. */
export const openPauses = (): (() => Promise<void>) => {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < RUN_MS) return;
    await turn();
    since = performance.now();
  };
};

/** @throws the reason of `signal` when it aborts: a stretch is read whole or not at all. */
export async function* turnsOf(
  log: Pick<Log, 'read'>,
  { partition, from, until }: { readonly partition: number; readonly from: number; readonly until: number },
  signal: AbortSignal,
): AsyncGenerator<readonly Recorded[], void> {
  if (from >= until) return;
  for await (const records of log.read({ topic: LIFECYCLE, partition, offset: from }, signal, { until, maxBatch: BATCH })) {
    yield records;
    await turn();
  }
  signal.throwIfAborted();
}
