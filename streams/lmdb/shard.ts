// One partition as this process sees it: how far it is known, and the newest records that this process appended itself.
//
// P1. `ring` is contiguous and ends at `known` or before: records of other processes in between empty it. P2. Nothing is visible that is not
// durable: `known` moves only after a commit, ours or another process's. P3. Readers get a record of the ring as it was appended, event included.
import type { DatsEvent, Topic } from '../../schemas/index.js';
import { Bell, type Tail } from '../adapter/index.js';
import type { Outgoing, Recorded } from '../log.js';
import { corrupt } from './faults.js';
import { decodeBatch, type EncodedRecord } from './frame.js';
import { batchKey, offsetIn, shardKey } from './keys.js';
import { readNumber, type Store } from './store.js';

/** The ring keeps at least this many records, or bytes, and at most twice as many. */
const RING_RECORDS = 4096;
const RING_BYTES = 2 * 1024 * 1024;

export class Shard {
  readonly topic: Topic;
  readonly partition: number;
  readonly key: Buffer;
  readonly bell = new Bell();
  readonly #store: Store;
  #known: number;
  #followers = 0;
  #ring: Recorded[] = [];
  #ringFrom = 0;
  #ringBytes = 0;

  constructor(store: Store, topic: Topic, partition: number) {
    this.#store = store;
    this.topic = topic;
    this.partition = partition;
    this.key = shardKey(topic, partition);
    this.#known = this.stored();
  }

  /** The next offset, as far as this process knows. */
  get known(): number {
    return this.#known;
  }

  get followed(): boolean {
    return this.#followers > 0;
  }

  /** The next offset as LMDB has it: in a write transaction the truth, else as of the read snapshot. */
  stored(): number {
    return readNumber(this.#store.tails.get(this.key));
  }

  /** Looks whether other processes appended. The read snapshot must be fresh. */
  refresh(): void {
    const end = this.stored();
    if (end <= this.#known) return;
    this.#known = end;
    this.bell.ring();
  }

  /** Hands over what this process has just made durable. */
  publish(base: number, records: readonly EncodedRecord[]): void {
    if (this.followed) this.#keep(base, records);
    this.#known = Math.max(this.#known, base + records.length);
    this.bell.ring();
  }

  /** A reader's view of the partition. `done` must be called when it stops. */
  follow(): Tail & { done(): void } {
    this.#followers += 1;
    const cursor = new Cursor(this.#store, this);
    let counted = true;
    const done = () => {
      if (!counted) return;
      counted = false;
      this.#followers -= 1;
      if (this.#followers === 0) this.#empty(0);
    };
    return { bell: this.bell, fetch: (from, limit) => this.#fetch(cursor, from, limit), done };
  }

  one(offset: number): Recorded | undefined {
    if (offset < 0 || offset >= this.#known) return undefined;
    const at = offset - this.#ringFrom;
    if (at >= 0 && at < this.#ring.length) return this.#ring[at];
    return new Cursor(this.#store, this).fetch(offset, 1)[0];
  }

  #fetch(cursor: Cursor, from: number, limit: number): readonly Recorded[] {
    const at = from - this.#ringFrom;
    if (at >= 0 && at < this.#ring.length) return this.#ring.slice(at, at + limit);
    if (from >= this.#known) return [];
    return cursor.fetch(from, Math.min(limit, this.#known - from));
  }

  #keep(base: number, records: readonly EncodedRecord[]): void {
    if (this.#ringFrom + this.#ring.length !== base) this.#empty(base);
    const { topic, partition } = this;
    for (let i = 0; i < records.length; i++) {
      const { outgoing, timestamp, start, end } = records[i]!;
      this.#ring.push(new KeptRecord(topic, partition, base + i, outgoing, timestamp));
      this.#ringBytes += end - start;
    }
    if (this.#ring.length > 2 * RING_RECORDS || this.#ringBytes > 2 * RING_BYTES) this.#halve();
  }

  #halve(): void {
    const drop = Math.ceil(this.#ring.length / 2);
    this.#ring = this.#ring.slice(drop);
    this.#ringFrom += drop;
    this.#ringBytes /= 2;
  }

  #empty(from: number): void {
    this.#ring = [];
    this.#ringFrom = from;
    this.#ringBytes = 0;
  }
}

/** As it was appended. What it shares with the outgoing record is read from there: `{ ...record }` does not copy it. */
class KeptRecord implements Recorded {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly type: string;
  readonly event?: DatsEvent;
  readonly #outgoing: Outgoing;

  constructor(topic: Topic, partition: number, offset: number, outgoing: Outgoing, timestamp: number) {
    const { event } = outgoing;
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestamp = timestamp;
    this.type = event?.type ?? outgoing.headers.type ?? '';
    if (event !== undefined) this.event = event;
    this.#outgoing = outgoing;
  }

  get key(): string {
    return this.#outgoing.key;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#outgoing.headers;
  }

  get value(): Uint8Array | string {
    return this.#outgoing.value;
  }
}

/** Reads batches from LMDB; keeps the last one, since the next read usually begins in it or right after it. */
class Cursor {
  readonly #store: Store;
  readonly #shard: Shard;
  #base = 0;
  #records: readonly Recorded[] = [];

  constructor(store: Store, shard: Shard) {
    this.#store = store;
    this.#shard = shard;
  }

  fetch(from: number, limit: number): readonly Recorded[] {
    this.#load(from);
    const first = this.#records.slice(from - this.#base, from - this.#base + limit);
    if (first.length === limit) return first;
    const records = [...first];
    while (records.length < limit) {
      this.#load(from + records.length);
      const wanted = limit - records.length;
      if (this.#records.length <= wanted) for (const record of this.#records) records.push(record);
      else for (let i = 0; i < wanted; i++) records.push(this.#records[i]!);
    }
    return records;
  }

  /** Makes the current batch the one that holds `offset`. */
  #load(offset: number): void {
    if (offset >= this.#base && offset < this.#base + this.#records.length) return;
    const { dir, root } = this.#store;
    const found = this.#batchAt(offset);
    if (found === undefined) {
      root.resetReadTxn();
      const again = this.#batchAt(offset);
      if (again === undefined) throw corrupt(`offset ${offset} of ${this.#shard.topic}/${this.#shard.partition} is missing in ${dir}`);
      [this.#base, this.#records] = again;
    } else [this.#base, this.#records] = found;
  }

  #batchAt(offset: number): [number, readonly Recorded[]] | undefined {
    const { topic, partition, key } = this.#shard;
    const exact = this.#store.batches.get(batchKey(key, offset));
    if (exact !== undefined) return [offset, decodeBatch(topic, partition, offset, exact)];
    for (const { key: found, value } of this.#store.batches.getRange({
      start: batchKey(key, offset),
      end: batchKey(key, 0),
      inclusiveEnd: true,
      reverse: true,
      limit: 1,
    })) {
      const base = offsetIn(found);
      const records = decodeBatch(topic, partition, base, value);
      if (offset < base + records.length) return [base, records];
    }
    return undefined;
  }
}
