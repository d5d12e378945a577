// A member of a group: takes the partitions that are its share and nobody owns, gives up those that are no longer its share.
//
// M1. Cooperative: a partition is free only after its owner's handler has returned (or its owner died); then another takes it.
// M2. Nobody moves a partition but its owner and its taker, each in one transaction of the store; members agree through `balance` alone.
// M3. One pass at a time. A change during a pass makes another pass.
import { setTimeout } from 'node:timers/promises';
import { Fault, isFault, toFault } from '../../schemas/index.js';
import type { Assignment, Membership } from '../log.js';
import { balance, type Owned, type Place, placeKey, type Subscriber } from './balance.js';
import type { Bell } from './follow.js';
import { LEAVE_TIMEOUT_MS } from './limits.js';

export interface GroupView {
  /** Live members, in the order they joined. */
  readonly members: readonly Subscriber[];
  /** Every partition of every topic that a live member subscribes to. */
  readonly places: readonly (Owned & { readonly epoch: number })[];
}

/** What a member needs of the store; each call is atomic there. */
export interface GroupStore {
  readonly bell: Bell;
  view(): GroupView;
  /** Takes a partition that nobody owns; undefined when somebody was faster. */
  take(place: Place): Promise<{ readonly epoch: number; readonly committed: number } | undefined>;
  /** Gives a partition up; nothing happens when the epoch is no longer ours. */
  release(place: Place, epoch: number): Promise<void>;
  /** Leaves the group. */
  leave(): Promise<void>;
  assignment(place: Place, epoch: number, committed: number, revoked: AbortSignal): Assignment;
}

/** Taking and giving up a partition is tried again this often, with this pause in milliseconds: 60 s in all. */
const PERSIST_ATTEMPTS = 240;
const PERSIST_PAUSE_MS = 250;

interface Holding {
  readonly place: Place;
  readonly epoch: number;
  readonly revoke: AbortController;
  readonly ended: Promise<void>;
}

export class Member implements Membership {
  readonly done: Promise<void>;
  readonly #id: string;
  readonly #store: GroupStore;
  readonly #onAssigned: (assignment: Assignment) => Promise<void>;
  readonly #held = new Map<string, Holding>();
  readonly #deaf: () => void;
  #settle!: { resolve: () => void; reject: (error: Fault) => void };
  #pass: Promise<void> | undefined;
  #changed = false;
  #leaving: Promise<void> | undefined;
  #failure: Fault | undefined;

  constructor(id: string, store: GroupStore, onAssigned: (assignment: Assignment) => Promise<void>) {
    this.#id = id;
    this.#store = store;
    this.#onAssigned = onAssigned;
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.done.catch(() => undefined);
    this.#deaf = store.bell.listen(() => this.rebalance());
  }

  owned(): readonly Place[] {
    return [...this.#held.values()].map((holding) => holding.place);
  }

  /** Looks at the group again, now or right after the pass that is under way. */
  rebalance(): void {
    this.#changed = true;
    if (this.#pass !== undefined || this.#leaving !== undefined) return;
    this.#pass = Promise.resolve()
      .then(() => this.#passes())
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#pass = undefined;
        if (this.#changed) this.rebalance();
      });
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #passes(): Promise<void> {
    while (this.#changed && this.#leaving === undefined) {
      this.#changed = false;
      const { members, places } = this.#store.view();
      const target = balance(members, places);
      for (const place of places) {
        const holding = this.#held.get(placeKey(place));
        if (holding === undefined) continue;
        const lost = place.owner !== this.#id || place.epoch !== holding.epoch;
        if (lost || target.get(placeKey(place)) !== this.#id) holding.revoke.abort();
      }
      for (const place of places) {
        const key = placeKey(place);
        if (place.owner !== undefined || this.#held.has(key) || target.get(key) !== this.#id) continue;
        const taken = await this.#persist(() => this.#store.take(place));
        if (taken === undefined) continue;
        if (this.#leaving === undefined) this.#begin(place, taken.epoch, taken.committed);
        else await this.#store.release(place, taken.epoch);
      }
    }
  }

  #begin(place: Place, epoch: number, committed: number): void {
    const revoke = new AbortController();
    const { topic, partition } = place;
    const assignment = this.#store.assignment({ topic, partition }, epoch, committed, revoke.signal);
    const ended = this.#hold({ topic, partition }, epoch, revoke, assignment);
    this.#held.set(placeKey(place), { place: { topic, partition }, epoch, revoke, ended });
  }

  async #hold(place: Place, epoch: number, revoke: AbortController, assignment: Assignment): Promise<void> {
    await Promise.resolve();
    try {
      await this.#onAssigned(assignment);
      if (!revoke.signal.aborted)
        await new Promise<void>((resolve) => revoke.signal.addEventListener('abort', () => resolve(), { once: true }));
    } catch (error) {
      if (!isFault(error, 'fenced')) this.#fail(error);
    }
    try {
      await this.#persist(() => this.#store.release(place, epoch));
    } catch (error) {
      this.#fail(error);
    }
    this.#held.delete(placeKey(place));
    this.rebalance();
  }

  /** A full disk must not cost the membership: what is retryable is tried again. */
  async #persist<T>(write: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await write();
      } catch (error) {
        if (!isFault(error, 'retryable') || attempt === PERSIST_ATTEMPTS) throw error;
        await setTimeout(PERSIST_PAUSE_MS);
      }
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= toFault(error);
    void this.leave();
  }

  async #leave(): Promise<void> {
    this.#deaf();
    try {
      await this.#pass;
      for (const holding of this.#held.values()) holding.revoke.abort();
      await this.#handlersReturned();
      await this.#store.leave();
    } catch (error) {
      this.#failure ??= toFault(error);
    }
    if (this.#failure === undefined) this.#settle.resolve();
    else this.#settle.reject(this.#failure);
  }

  async #handlersReturned(): Promise<void> {
    const late = new AbortController();
    const all = Promise.all([...this.#held.values()].map((holding) => holding.ended));
    const tooLate = setTimeout(LEAVE_TIMEOUT_MS, false, { signal: late.signal }).catch(() => false);
    const inTime = await Promise.race([all.then(() => true), tooLate]);
    late.abort();
    if (!inTime)
      this.#failure ??= new Fault(
        'fatal',
        'handler_stuck',
        `handlers of ${[...this.#held.keys()].join(', ')} did not return within ${LEAVE_TIMEOUT_MS} ms after they were revoked; their partitions were given up, restart the process`,
      );
  }
}
