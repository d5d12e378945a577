// Where the last record of a partition ends: what ends a transaction takes an offset too, and nobody will ever read it.
import type { FetchedPartition } from './fetching.js';

/** So many offsets without a record are looked at; nobody minds an end that is later. */
const PASSED = 32;

/**
 * The offset after the last record from `first` to below `stable`; at the most `stable`. It never says less than there is, whatever the broker answers: who is told that a
 * log is shorter than it was takes it for one that was restored.
 *
 * @param fetch what stands from an offset on; it throws where the broker could not tell
 */
export const afterLast = async (
  fetch: (from: number) => Promise<Pick<FetchedPartition, 'records' | 'next'>>,
  first: number,
  stable: number,
): Promise<number> => {
  for (let end = stable; end > first; end--) {
    if (end === stable - PASSED) return stable;
    const { records, next } = await fetch(end - 1);
    if (records.length > 0) return end;
    // Nothing was passed over: an answer without anything in it says nothing.
    if (next < end) return stable;
  }
  return first;
};
