// Group commit: everything that waits to be written, appends, commits, claims and documents, goes into one LMDB transaction.
//
// C1. One transaction at a time; it takes what waits when it begins, so whatever arrives during a flush shares the next one.
// C2. An operation checks first and writes then: one that throws a Fault in its check has written nothing, and the others go on.
// C3. Any other error undoes the whole transaction, and every operation in it fails.
// C4. Nothing is published or resolved before the transaction is durable (store.ts, S1).
// C5. A transaction that is not built on the newest state takes nothing and writes nothing; the next one is (newest.ts).
import { Fault, isFault } from '../../schemas/index.js';
import { logClosed } from '../adapter/index.js';
import { diskFull, freeBytes, writeFault } from './faults.js';
import { batchEnd, type EncodedRecord, encodeBatch } from './frame.js';
import { batchKey } from './keys.js';
import { newestSize, renewNote, type Size } from './newest.js';
import type { Shard } from './shard.js';
import { numberBytes, type Store } from './store.js';

/** A transaction takes no more than this at once. */
const TXN_BYTES = 16 * 1024 * 1024;
const TXN_OPERATIONS = 8192;
/** More than this may not wait, in bytes: whoever comes then is told to come again. */
const WAITING_BYTES = 256 * 1024 * 1024;
/** What a transaction may need beyond its records (claims, inner pages), in bytes. */
const OVERHEAD_BYTES = 128 * 1024;

/** What an operation sees of the transaction it is in. */
export class WriteTxn {
  readonly #store: Store;
  readonly #staged = new Map<Shard, { readonly base: number; readonly records: EncodedRecord[] }>();
  readonly #then: (() => void)[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  /** Next offset of a partition, with what this transaction has appended. */
  end(shard: Shard): number {
    const staged = this.#staged.get(shard);
    return staged === undefined ? shard.stored() : staged.base + staged.records.length;
  }

  /** Appends a record; its offset. */
  append(shard: Shard, record: EncodedRecord): number {
    let staged = this.#staged.get(shard);
    if (staged === undefined) {
      staged = { base: shard.stored(), records: [] };
      this.#staged.set(shard, staged);
    }
    return staged.base + staged.records.push(record) - 1;
  }

  /** Calls `action` once the transaction is durable. */
  afterwards(action: () => void): void {
    this.#then.push(action);
  }

  writeBatches(): void {
    const { batches, tails } = this.#store;
    for (const [shard, { base, records }] of this.#staged) {
      for (let from = 0; from < records.length; ) {
        const to = batchEnd(records, from);
        void batches.put(batchKey(shard.key, base + from), encodeBatch(records, from, to));
        from = to;
      }
      void tails.put(shard.key, numberBytes(base + records.length));
    }
  }

  publish(): void {
    for (const [shard, { base, records }] of this.#staged) shard.publish(base, records);
    for (const action of this.#then) action();
  }
}

export interface Operation<T> {
  /** About how much it writes. */
  readonly bytes: number;
  /** Checks, then writes. Runs inside the transaction, synchronously. */
  apply(txn: WriteTxn): T;
}

interface Waiting {
  readonly operation: Operation<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  result?: unknown;
  fault?: Fault;
}

export interface GroupCommitOptions {
  readonly store: Store;
  /** The log refuses records that would make the file larger, in bytes. */
  readonly maxBytes: number | undefined;
  /** Called after each durable transaction, before its operations resolve. */
  readonly committed: () => void;
}

export class GroupCommit {
  readonly #store: Store;
  readonly #maxBytes: number | undefined;
  readonly #committed: () => void;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #closed = false;
  #full: Fault | undefined;
  #trouble: Fault | undefined;

  constructor({ store, maxBytes, committed }: GroupCommitOptions) {
    this.#store = store;
    this.#maxBytes = maxBytes;
    this.#committed = committed;
  }

  /** What is wrong since the last transaction that succeeded. */
  get trouble(): Fault | undefined {
    return this.#trouble;
  }

  /** @throws Fault fatal `log_closed`: nothing may touch the environment any more. */
  checkOpen(): void {
    if (this.#closed) throw logClosed();
  }

  /** Resolves with what `apply` returned, once it is durable. */
  submit<T>(operation: Operation<T>): Promise<T> {
    if (this.#closed) return Promise.reject(logClosed());
    if (this.#waitingBytes + operation.bytes > WAITING_BYTES && this.#waiting.length > 0)
      return Promise.reject(
        new Fault('retryable', 'log_busy', `${this.#waitingBytes} bytes wait to be written already; append more slowly`),
      );
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve: resolve as (result: unknown) => void, reject });
      this.#waitingBytes += operation.bytes;
      this.#running ??= this.#run();
    });
  }

  /** Writes what waits, then refuses everything. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#closed = true;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#flush();
    this.#running = undefined;
  }

  async #flush(): Promise<void> {
    const { root, dir } = this.#store;
    const batch: Waiting[] = [];
    const txn = new WriteTxn(this.#store);
    try {
      this.#refuseWhileFull();
      await root.childTransaction(() => {
        const size = newestSize(root);
        if (size === undefined) {
          renewNote(dir);
          return;
        }
        batch.push(...this.#take());
        this.#apply(batch, txn, this.#room(size));
        txn.writeBatches();
      });
    } catch (error) {
      const fault = await writeFault(error, dir);
      if (fault.code === 'disk_full') this.#full = fault;
      this.#trouble = fault;
      for (const { reject } of batch.length > 0 ? batch : this.#take()) reject(fault);
      return;
    }
    this.#full = undefined;
    this.#trouble = undefined;
    txn.publish();
    this.#committed();
    for (const { fault, result, resolve, reject } of batch) {
      if (fault === undefined) resolve(result);
      else {
        if (fault.code === 'disk_full') this.#trouble = fault;
        reject(fault);
      }
    }
  }

  /** @param room bytes that may still be added */
  #apply(batch: readonly Waiting[], txn: WriteTxn, room: number): void {
    let left = room;
    for (const waiting of batch) {
      const { operation } = waiting;
      if (operation.bytes > left) {
        waiting.fault = diskFull(this.#store.dir, `the log has reached its limit of ${this.#maxBytes} bytes`);
        continue;
      }
      try {
        waiting.result = operation.apply(txn);
        left -= operation.bytes;
      } catch (error) {
        if (!isFault(error)) throw error;
        waiting.fault = error;
      }
    }
  }

  /** Bytes that may still be added below `maxBytes`. */
  #room({ pageSize, lastPageNumber }: Size): number {
    if (this.#maxBytes === undefined) return Number.POSITIVE_INFINITY;
    return this.#maxBytes - (lastPageNumber + 1) * pageSize - OVERHEAD_BYTES;
  }

  /** After a write failed for want of room, none is tried before there is some: each try would cost a whole transaction. */
  #refuseWhileFull(): void {
    if (this.#full === undefined) return;
    const next = Math.min(this.#waitingBytes, TXN_BYTES) + OVERHEAD_BYTES;
    if (freeBytes(this.#store.dir) < next) throw this.#full;
  }

  #take(): Waiting[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#waiting.length && count < TXN_OPERATIONS) {
      bytes += this.#waiting[count]!.operation.bytes;
      if (bytes > TXN_BYTES && count > 0) {
        bytes -= this.#waiting[count]!.operation.bytes;
        break;
      }
      count += 1;
    }
    const taken = this.#waiting;
    this.#waiting = taken.splice(count);
    this.#waitingBytes -= bytes;
    return taken;
  }
}
