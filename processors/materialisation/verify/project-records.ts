// The records of one project, in order, out of the partition that it shares with others.
import { LIFECYCLE } from '../../../schemas/index.js';
import type { Log, Recorded } from '../../../streams/index.js';

export interface ProjectPlace {
  readonly projectId: string;
  /** Of the lifecycle topic. */
  readonly partition: number;
}

const MAX_BATCH = 512;

/**
 * Batches of records from `from` up to (excluding) `until`, which is not beyond the end; batches may be empty. A batch is good until the next is asked for.
 * @throws the signal's reason
 */
export async function* projectRecords(
  log: Log,
  { projectId, partition }: ProjectPlace,
  { from, until }: { readonly from: number; readonly until: number },
  signal: AbortSignal,
): AsyncGenerator<readonly Recorded[]> {
  if (from >= until) return;
  for await (const records of log.read({ topic: LIFECYCLE, partition, offset: from }, signal, { until, maxBatch: MAX_BATCH }))
    yield records.filter(({ headers }) => headers['projectid'] === projectId);
  signal.throwIfAborted();
}
