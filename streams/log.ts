// The log: the port. Types only; adapters: memory/ (the executable specification), lmdb/ (one machine). `log.contract.ts` is what they all pass.
//
// L1. Partitions are ordered, and offsets of a partition only rise. They may have gaps.
// L2. `append` is atomic over all its records, whatever topics they go to, and resolves when they are durable.
// L3. `commit` is atomic: outputs, states and the consumed offset, all or none; it too resolves when durable.
// L4. A partition has one owner per group. Who lost it can commit nothing any more (Fault `fenced`), even if it does not know yet.
// L5. Readers see records only after their append or commit succeeded, and see every record once, in offset order.
// L6. What was acknowledged survives SIGKILL of any process at any instant.
import type { DatsEvent, Position, Topic } from '../schemas/index.js';

/** A record to be appended. The partition follows from the key (`partitionOf`). */
export interface Outgoing {
  readonly topic: Topic;
  readonly key: string;
  /** CloudEvents attributes by name, or, on a dead letter, whatever the original had. */
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Uint8Array | string;
  /** The event that headers and value encode, for readers in the same process. Never mutated after the append. */
  readonly event?: DatsEvent;
}

/** A record as it stands in the log. */
export interface Recorded extends Position {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Uint8Array | string;
  /** `headers.type`, readable without parsing the rest; empty where there is none. */
  readonly type: string;
  /** Milliseconds since the epoch, when it was appended. */
  readonly timestamp: number;
  /** Present only when this process appended it: trusted, not decoded again. Use `eventOf`, never this. */
  readonly event?: DatsEvent;
}

export interface Commit {
  /** The offset to resume at: everything below is done. Never falls. */
  readonly next: number;
  readonly outputs: readonly Outgoing[];
  /** Keyed state of this group and partition; null deletes. */
  readonly states: ReadonlyMap<string, Uint8Array | string | null>;
}

/** One partition, owned until revoked. */
export interface Assignment {
  readonly topic: Topic;
  readonly partition: number;
  /** Rises with every change of owner: the fencing token. */
  readonly epoch: number;
  /** The committed offset at assignment: where to begin. */
  readonly committed: number;
  /** Aborted when the partition is to be given up; finish what is under way, commit, return. */
  readonly revoked: AbortSignal;
  /**
   * Batches of records from `committed` on, never empty, following the end until revoked or `signal` aborts (then it returns, it does not throw).
   * Reads ahead by no more than one batch: whoever does not ask gets nothing (back-pressure).
   */
  records(options?: { readonly maxBatch?: number; readonly signal?: AbortSignal }): AsyncIterable<readonly Recorded[]>;
  state(key: string): Promise<Uint8Array | undefined>;
  /** All states of this group and partition whose key starts with `prefix`, in key order. */
  states(prefix?: string): AsyncIterable<readonly [string, Uint8Array]>;
  /** @throws Fault `fenced` when the partition has another owner; retryable or fatal when the store fails. Then nothing was written. */
  commit(commit: Commit): Promise<readonly Position[]>;
}

export interface Membership {
  /** Partitions this member owns now. */
  owned(): readonly { readonly topic: Topic; readonly partition: number }[];
  /** Gives up everything in order: revokes, waits for the handlers to return, leaves the group. Idempotent. */
  leave(): Promise<void>;
  /** Resolves when the member has left; rejects with the first error of a handler that was not a `fenced` Fault. */
  readonly done: Promise<void>;
}

export interface GroupLag {
  readonly topic: Topic;
  readonly partition: number;
  readonly committed: number;
  readonly end: number;
  /** Records between the two (an upper bound where offsets have gaps). */
  readonly lag: number;
  /** Who owns it: `<node>:<pid>`, or undefined when nobody does. */
  readonly owner: string | undefined;
}

export interface Log {
  partitions(topic: Topic): number;
  /** @throws Fault: `disk_full` (retryable), `record_too_large` (terminal), `log_closed` (fatal). On any error nothing was written. */
  append(records: readonly Outgoing[]): Promise<readonly Position[]>;
  /** Batches from `from` on, following the end until `signal` aborts; then it returns. With `until`, ends before that offset. */
  read(
    from: Position,
    signal: AbortSignal,
    options?: { readonly until?: number; readonly maxBatch?: number },
  ): AsyncIterable<readonly Recorded[]>;
  /** One record, or undefined when there is none at that offset. */
  get(position: Position): Promise<Recorded | undefined>;
  /** First offset there is, and the offset that the next record will get at the earliest. */
  range(topic: Topic, partition: number): Promise<{ readonly first: number; readonly end: number }>;
  /**
   * Joins a group. `onAssigned` is called for each partition when this member owns it, and owns it until its promise settles after `revoked`.
   * Members of the group share the partitions evenly; the partitions of a member that died are taken over by the others.
   */
  join(group: string, topics: readonly Topic[], onAssigned: (assignment: Assignment) => Promise<void>): Promise<Membership>;
  lag(group: string, topics: readonly Topic[]): Promise<readonly GroupLag[]>;
  /** Is the store well? `detail` says what is wrong. */
  health(): Promise<{ readonly ok: boolean; readonly detail?: string }>;
  /** Ends all reads, memberships and pending appends in order; twice is fine. */
  close(): Promise<void>;
}
