// Which records of a partition are done, when they end in any order. Pure.
//
// W1. Only received offsets count: offsets have gaps, and a gap is never waited for.
// W2. The mark is the offset to resume at: the first received record that is not done, or else the one after the last received. It never falls.
// W3. Above the mark it keeps what is NOT done. That is bounded by the records in flight, however many are done above a stuck one.
// W4. What a former owner had done above the mark stays known until this owner has received past it.
import type { CompletionMap, Run } from './completion-map.js';

export class Watermark {
  /** Offset -> ordinal among the received. Insertion order is offset order. */
  readonly #open = new Map<number, number>();
  readonly #former: CompletionMap | undefined;
  #seen: number;
  #ordinal = 0;
  /** Where in the former owner's runs the last received offset stood: both only rise. */
  #run = 0;

  /**
   * @param committed the offset to begin at
   * @param former what the former owner left; void when the group was moved back below it, for then its records are wanted again
   */
  constructor(committed: number, former: CompletionMap | undefined = undefined) {
    this.#seen = committed;
    this.#former = former !== undefined && former.mark <= committed ? former : undefined;
  }

  /** Received and not done. */
  get incomplete(): number {
    return this.#open.size;
  }

  /** The oldest record that is not done. */
  get oldest(): number | undefined {
    for (const offset of this.#open.keys()) return offset;
    return undefined;
  }

  /** The offset to resume at, as far as it is committed. */
  get mark(): number {
    return this.oldest ?? this.#seen;
  }

  /** Notes that the record was read; offsets must rise. False when it is done already: skip it. */
  receive(offset: number): boolean {
    this.#seen = offset + 1;
    this.#ordinal++;
    if (this.#doneBefore(offset)) return false;
    this.#open.set(offset, this.#ordinal);
    return true;
  }

  /** The record is done, and that is committed. */
  complete(offset: number): void {
    this.#open.delete(offset);
  }

  /** The mark and the map as they will be when `finishing` are done too: what to commit with their outputs. */
  snapshot(finishing: ReadonlySet<number>): CompletionMap {
    const runs: Run[] = [];
    let lastOrdinal = -1;
    for (const [offset, ordinal] of this.#open) {
      if (finishing.has(offset)) continue;
      // Nothing was received between two neighbours: one run covers both, and the gap between them.
      if (ordinal === lastOrdinal + 1 && runs.length > 0) runs[runs.length - 1] = { from: runs[runs.length - 1]!.from, to: offset };
      else runs.push({ from: offset, to: offset });
      lastOrdinal = ordinal;
    }
    const mark = runs[0]?.from ?? this.#seen;
    const former = this.#former;
    let end = this.#seen;
    if (former !== undefined && former.end > end) {
      for (const run of former.runs) if (run.to >= this.#seen) runs.push({ from: Math.max(run.from, this.#seen), to: run.to });
      end = former.end;
    }
    return { mark, end, runs };
  }

  #doneBefore(offset: number): boolean {
    const former = this.#former;
    if (former === undefined || offset >= former.end) return false;
    while (this.#run < former.runs.length && former.runs[this.#run]!.to < offset) this.#run++;
    const run = former.runs[this.#run];
    return run === undefined || offset < run.from;
  }
}
