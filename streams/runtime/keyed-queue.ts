// Which record may run next. Knows order and fairness; knows nothing of time, slots or promises.
//
// K1. Ordering `key`: per key one item at a time, in order of arrival; `partition`: one item at a time over all; `none`: no order.
// K2. Keys that have work take turns (round robin), so one busy key cannot hold up the others.
// K3. An item that waits for its retry is neither given back nor `done`: its key stays blocked. `again` puts it before all others.
// K4. At most `limit` items are held, whether queued, running or waiting for a retry.
import { Fault } from '../../schemas/index.js';
import { Fifo } from './fifo.js';

export type Ordering = 'key' | 'partition' | 'none';

interface Lane<T> {
  readonly key: string;
  readonly items: Fifo<T>;
  /** One of it runs or waits for its retry. Not kept for `none`. */
  busy: boolean;
}

export interface Keyed {
  readonly key: string;
}

export class KeyedQueue<T extends Keyed> {
  readonly #ordering: Ordering;
  readonly #limit: number;
  /** Lanes that have items or are busy; others are forgotten. */
  readonly #lanes = new Map<string, Lane<T>>();
  /** Lanes whose next item may start, in turn. Each lane stands here once at most. */
  readonly #ready = new Fifo<Lane<T>>();
  readonly #repeats = new Fifo<T>();
  #size = 0;

  constructor(ordering: Ordering, limit: number) {
    this.#ordering = ordering;
    this.#limit = limit;
  }

  /** Items held. */
  get size(): number {
    return this.#size;
  }

  /** How many more items it takes now. */
  get room(): number {
    return this.#limit - this.#size;
  }

  /** Keys it knows of: those with work. */
  get keys(): number {
    return this.#lanes.size;
  }

  /** Is there an item for `next`? */
  get runnable(): boolean {
    return this.#ready.size > 0 || this.#repeats.size > 0;
  }

  /** @throws Fault `queue_full` beyond `room`: the caller did not heed it. */
  push(item: T): void {
    if (this.#size >= this.#limit)
      throw new Fault('fatal', 'queue_full', `the queue holds ${this.#limit} items; take no more records than it has room for`);
    this.#size++;
    const key = this.#laneKey(item);
    const lane = this.#lanes.get(key);
    if (lane !== undefined) {
      lane.items.push(item);
      if (!lane.busy && lane.items.size === 1) this.#ready.push(lane);
      return;
    }
    const fresh: Lane<T> = { key, items: new Fifo<T>(), busy: false };
    fresh.items.push(item);
    this.#lanes.set(key, fresh);
    this.#ready.push(fresh);
  }

  /** The item to start now; it ends with `done`. */
  next(): T | undefined {
    const repeat = this.#repeats.shift();
    if (repeat !== undefined) return repeat;
    const lane = this.#ready.shift();
    if (lane === undefined) return undefined;
    const item = lane.items.shift();
    if (this.#ordering !== 'none') lane.busy = true;
    else if (lane.items.size > 0) this.#ready.push(lane);
    else this.#lanes.delete(lane.key);
    return item;
  }

  /** The item has ended, well or not; its key goes on. */
  done(item: T): void {
    this.#size--;
    if (this.#ordering === 'none') return;
    const key = this.#laneKey(item);
    const lane = this.#lanes.get(key);
    if (lane === undefined) return;
    lane.busy = false;
    if (lane.items.size > 0) this.#ready.push(lane);
    else this.#lanes.delete(key);
  }

  /** An item that `next` gave may start once more. */
  again(item: T): void {
    this.#repeats.push(item);
  }

  #laneKey(item: T): string {
    return this.#ordering === 'partition' ? '' : item.key;
  }
}
