// The view store: the port. Read models that must answer at once; everything in it can be dropped and rebuilt from the log.
//
// V1. A write whose `version` is not above the stored one's is ignored: replaying is harmless. V2. `put` is atomic, and visible to the next `get`.
// V3. It need not be durable on its own: `checkpoint` moves in the same transaction as the documents it covers.
// V4. A `put` with a checkpoint is a compare-and-set: it writes only while the stored checkpoint is the `from` that its writer went on from. Lower:
// the store was emptied, or restored from older (`views_lost`). Higher: somebody else writes this view too (`views_moved`). Nothing is written in
// either case, so what lies in the store is at every moment the fold of exactly the events below the checkpoint, however many writers there are.
import { Fault } from '../schemas/index.js';

export interface Document {
  readonly collection: string;
  readonly id: string;
  /** Position of the newest event in it (offset + 1 of its partition). */
  readonly version: number;
  /** JSON; null deletes. */
  readonly doc: unknown;
  /** Sort keys under which `list` finds it, such as `project/<id>/<time>/<task>`. Fixed when the document is first written. */
  readonly indexes?: readonly string[];
}

/** What a `put` covers, and what it goes on from. Offsets of one partition. */
export interface ViewCheckpoint {
  readonly view: string;
  readonly partition: number;
  /** The checkpoint that the writer believes is stored: what its documents were folded onto. */
  readonly from: number;
  /** Everything below is in, with this write. Lower than `from` does not move it back. */
  readonly next: number;
}

export interface ViewStore {
  /** @throws Fault retryable `views_unavailable` where the store is elsewhere and does not answer in time; fatal `log_closed`. So do the others. */
  get<T>(collection: string, id: string): T | undefined | Promise<T | undefined>;
  /**
   * With `checkpoint`, records that everything below `next` of that partition is in.
   * @throws Fault retryable `views_lost` or `views_moved` (V4): start again from `checkpoint`, with nothing remembered. After any other retryable
   * Fault it may have been written all the same: the same `put` can be tried again, and is then refused as `views_moved` if it had been.
   */
  put(documents: readonly Document[], checkpoint?: ViewCheckpoint): Promise<void>;
  /** Everything below is in; 0 where nothing is. */
  checkpoint(view: string, partition: number): Promise<number>;
  /** Ids in index order below `prefix`, after `after` (exclusive), at most `limit`. */
  list(
    collection: string,
    prefix: string,
    options: { readonly after?: string; readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly { readonly key: string; readonly id: string }[]>;
  /** Drops everything: the next start rebuilds. */
  clear(): Promise<void>;
  /** Does the store answer, and will it keep what it is given? Absent where it lives in this process. Never rejects. */
  health?(): Promise<{ readonly ok: boolean; readonly detail?: string }>;
  close(): Promise<void>;
}

/** The Fault of a `put` that found another checkpoint than it went on from (V4). */
export const checkpointConflict = ({ view, partition, from }: ViewCheckpoint, stored: number): Fault =>
  stored < from
    ? new Fault(
        'retryable',
        'views_lost',
        `the view "${view}" of partition ${partition} stands at ${stored}, not at ${from}: the view store was emptied or restored from older; nothing was written, start again from its checkpoint`,
      )
    : new Fault(
        'retryable',
        'views_moved',
        `the view "${view}" of partition ${partition} stands at ${stored} and was not left there by this writer, which goes on from ${from}: somebody else writes it too; nothing was written, start again from its checkpoint`,
      );
