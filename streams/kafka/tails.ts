// The ends of partitions, kept warm: one long poll a broker for all partitions that somebody follows in this process, and what it brought shared by all readers.
//
// F1. A partition is asked for as long as it has a follower. What came last is held, up to HELD_BYTES; who is further behind reads for itself (`catchUp`).
// F2. A tail is contiguous: it knows everything from `from` to `next`, gaps included. F3. Failures are retried for ever, with backoff: a broker that is away is
// no error for a reader, only silence.
import { Bell } from '../adapter/index.js';
import { pause } from '../pause.js';
import type { Cluster } from './cluster.js';
import type { FetchedRecord } from './codec.js';
import { type Cursor, type FetchedPartition, type FetchLimits, fetchFrom, OUT_OF_RANGE, offsetsOf } from './fetching.js';

/** What a tail holds at most, in bytes and records. */
const HELD_BYTES = 4 * 1024 * 1024;
const HELD_RECORDS = 8_192;
/** Long polls: short enough that a new follower is not kept waiting. */
const POLL: FetchLimits = { waitMs: 250, partitionBytes: 1024 * 1024, totalBytes: 16 * 1024 * 1024 };
const RETRY_MS = { first: 20, longest: 1_000 } as const;

export class Tail {
  readonly place: Omit<Cursor, 'from'>;
  readonly bell = new Bell();
  readonly #records: FetchedRecord[] = [];
  #bytes = 0;
  from: number;
  next: number;
  /** Everything below is decided, as far as this tail has heard. */
  stable = 0;
  followers = 0;
  #end = 0;
  /** When `stable` last moved, or had nothing to wait for; of `performance.now`. */
  #movedAt = performance.now();

  constructor(place: Omit<Cursor, 'from'>, from: number) {
    this.place = place;
    this.from = from;
    this.next = from;
  }

  /** Records from `offset` on that are held, at most `limit`; `next` is where to go on. Undefined: `offset` is not covered. */
  take(offset: number, limit: number): { readonly records: readonly FetchedRecord[]; readonly next: number } | undefined {
    if (offset < this.from || offset > this.next) return undefined;
    const begin = this.#indexOf(offset);
    const records = this.#records.slice(begin, begin + limit);
    const more = begin + records.length < this.#records.length;
    return { records, next: more ? records.at(-1)!.offset + 1 : this.next };
  }

  /** The record at `offset`; null when there is none at that offset; undefined: it is not covered. */
  at(offset: number): FetchedRecord | null | undefined {
    if (offset < this.from || offset >= this.next) return undefined;
    const record = this.#records[this.#indexOf(offset)];
    return record?.offset === offset ? record : null;
  }

  /** The offset after the last record that is held; undefined when none is. */
  get afterLast(): number | undefined {
    const last = this.#records.at(-1);
    return last === undefined ? undefined : last.offset + 1;
  }

  /** How long records have been there that an open transaction holds back, in milliseconds; 0 when none are. */
  heldBackMs(now = performance.now()): number {
    return this.#end > this.stable ? now - this.#movedAt : 0;
  }

  accept({ records, next, stable, end }: FetchedPartition): void {
    if (stable > this.stable || end <= stable) this.#movedAt = performance.now();
    this.stable = Math.max(this.stable, stable);
    this.#end = end;
    if (next === this.next) return;
    for (const record of records) {
      this.#records.push(record);
      this.#bytes += record.bytes;
    }
    this.next = next;
    let dropped = 0;
    while (this.#bytes > HELD_BYTES || this.#records.length - dropped > HELD_RECORDS) this.#bytes -= this.#records[dropped++]!.bytes;
    if (dropped > 0) {
      this.from = this.#records[dropped - 1]!.offset + 1;
      this.#records.splice(0, dropped);
    }
    this.bell.ring();
  }

  /** Begins anew elsewhere: nobody followed for a while, or the offset is gone. */
  restart(from: number): void {
    this.#records.length = 0;
    this.#bytes = 0;
    this.from = from;
    this.next = from;
    this.bell.ring();
  }

  /** Index of the first record at or after `offset`. */
  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#records[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export interface TailsOptions {
  readonly cluster: Cluster;
  readonly signal: AbortSignal;
  readonly onProblem: (error: unknown) => void;
}

export class Tails {
  readonly #options: TailsOptions;
  readonly #tails = new Map<string, Tail>();
  readonly #polls = new Map<number, Promise<void>>();
  #placing: Promise<void> | undefined;

  constructor(options: TailsOptions) {
    this.#options = options;
  }

  /** The tail of a partition, if somebody follows it. */
  find(name: string, partition: number): Tail | undefined {
    const tail = this.#tails.get(`${name}/${partition}`);
    return tail !== undefined && tail.followers > 0 ? tail : undefined;
  }

  /** Follows a partition; a tail that nobody followed begins at `from`. Call `unfollow` when done. */
  follow(place: Omit<Cursor, 'from'>, from: number): Tail {
    const key = `${place.name}/${place.partition}`;
    let tail = this.#tails.get(key);
    if (tail === undefined || tail.followers === 0) {
      tail = new Tail(place, from);
      this.#tails.set(key, tail);
    }
    tail.followers += 1;
    this.#wake();
    return tail;
  }

  unfollow(tail: Tail): void {
    tail.followers -= 1;
    if (tail.followers > 0) return;
    const key = `${tail.place.name}/${tail.place.partition}`;
    if (this.#tails.get(key) === tail) this.#tails.delete(key);
  }

  /** A partition whose readers an open transaction has held back for longer than `ms`: no transaction of ours lasts so long. */
  heldBack(ms: number): Tail | undefined {
    const now = performance.now();
    return [...this.#tails.values()].find((tail) => tail.heldBackMs(now) > ms);
  }

  /** Resolves when all polls have ended, after the signal aborted. */
  async ended(): Promise<void> {
    await Promise.all([this.#placing, ...this.#polls.values()]);
  }

  /** Sees to it that every followed partition has a poll at its leader. */
  #wake(): void {
    if (this.#placing !== undefined || this.#options.signal.aborted) return;
    this.#placing = this.#place().finally(() => {
      this.#placing = undefined;
    });
  }

  async #place(): Promise<void> {
    const { signal, cluster, onProblem } = this.#options;
    for (let wait: number = RETRY_MS.first; !signal.aborted; wait = Math.min(wait * 2, RETRY_MS.longest)) {
      try {
        // What comes in this turn is placed together.
        await Promise.resolve();
        for (const { place } of [...this.#tails.values()]) this.#poll(await cluster.leader(place.name, place.partition));
        return;
      } catch (error) {
        onProblem(error);
        await pause(wait, signal);
      }
    }
  }

  #poll(leader: number): void {
    if (this.#polls.has(leader) || this.#options.signal.aborted) return;
    const polling = this.#run(leader).finally(() => {
      this.#polls.delete(leader);
      // Somebody may have come when this poll had just decided to end.
      if (this.#tails.size > 0) this.#wake();
    });
    this.#polls.set(leader, polling);
  }

  /** Polls one broker until it leads nothing that is followed. */
  async #run(leader: number): Promise<void> {
    const { cluster, signal, onProblem } = this.#options;
    let wait: number = RETRY_MS.first;
    while (!signal.aborted) {
      try {
        const cursors = await this.#cursorsOf(leader);
        if (cursors.length === 0) return;
        const fetched = await fetchFrom(cluster, leader, 'tail', cursors, POLL);
        if (signal.aborted) return;
        await this.#accept(fetched);
        if (fetched.some(({ failed }) => failed !== undefined)) await pause(wait, signal);
        else wait = RETRY_MS.first;
      } catch (error) {
        if (signal.aborted) return;
        onProblem(error);
        await pause(wait, signal);
        wait = Math.min(wait * 2, RETRY_MS.longest);
      }
    }
  }

  async #cursorsOf(leader: number): Promise<readonly Cursor[]> {
    const cursors: Cursor[] = [];
    let elsewhere = false;
    for (const { place, next } of [...this.#tails.values()]) {
      if ((await this.#options.cluster.leader(place.name, place.partition)) === leader) cursors.push({ ...place, from: next });
      else elsewhere = true;
    }
    if (elsewhere) this.#wake();
    return cursors;
  }

  async #accept(fetched: readonly FetchedPartition[]): Promise<void> {
    for (const partition of fetched) {
      const { name, partition: number, from } = partition.cursor;
      const tail = this.#tails.get(`${name}/${number}`);
      if (tail === undefined || tail.next !== from) continue;
      if (partition.failed === undefined) tail.accept(partition);
      else if (partition.failed === OUT_OF_RANGE) {
        const { first, stable } = await offsetsOf(this.#options.cluster, name, number);
        tail.restart(Math.max(first, Math.min(from, stable)));
      }
    }
  }
}
