// The view store: the port. Read models that must answer at once; everything in it can be dropped and rebuilt from the log.
//
// V1. A write whose `version` is not above the stored one's is ignored: replaying is harmless. V2. `put` is atomic, and visible to the next `get`.
// V3. It need not be durable on its own: `checkpoint` moves in the same transaction as the documents it covers.

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

export interface ViewStore {
  get<T>(collection: string, id: string): T | undefined | Promise<T | undefined>;
  /** With `checkpoint`, records that everything below `next` of that partition is in. */
  put(
    documents: readonly Document[],
    checkpoint?: { readonly view: string; readonly partition: number; readonly next: number },
  ): Promise<void>;
  checkpoint(view: string, partition: number): Promise<number>;
  /** Ids in index order below `prefix`, after `after` (exclusive), at most `limit`. */
  list(
    collection: string,
    prefix: string,
    options: { readonly after?: string; readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly { readonly key: string; readonly id: string }[]>;
  /** Drops everything: the next start rebuilds. */
  clear(): Promise<void>;
  close(): Promise<void>;
}
