// The log in memory: the executable specification of the port. Obvious rather than fast; nothing survives the store object.
//
// Every write happens in one synchronous step, so it is atomic (L2, L3), and readers never see half of it (L5).
import { type Position, partitionOf, type Topic } from '../../schemas/index.js';
import {
  type Bell,
  fencedOff,
  follow,
  type GroupStore,
  type GroupView,
  logClosed,
  Member,
  offsetBeyondEnd,
  offsetRegression,
  type Place,
  placeKey,
  recordLimitBytes,
  recordTooLarge,
} from '../adapter/index.js';
import type { Assignment, Commit, GroupLag, Log, Membership, Outgoing, Recorded } from '../log.js';
import { type Group, MemoryStore, type Stored } from './store.js';

export interface MemoryLogOptions {
  /** Partitions of every topic. */
  readonly partitions: number;
  /** Logs that share it share their records and groups; default: one of its own. */
  readonly store?: MemoryStore;
  /** Name of this node, as `lag` shows it; default `memory`. */
  readonly node?: string;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
}

export const openMemoryLog = (options: MemoryLogOptions): Log => new MemoryLog(options);

class MemoryLog implements Log {
  readonly #partitions: number;
  readonly #store: MemoryStore;
  readonly #node: string;
  readonly #now: () => number;
  readonly #members = new Set<Member>();
  readonly #closed = new AbortController();
  #closing: Promise<void> | undefined;

  constructor({ partitions, store = new MemoryStore(), node = 'memory', now = Date.now }: MemoryLogOptions) {
    this.#partitions = partitions;
    this.#store = store;
    this.#node = node;
    this.#now = now;
  }

  partitions(_topic: Topic): number {
    return this.#partitions;
  }

  async append(records: readonly Outgoing[]): Promise<readonly Position[]> {
    this.#checkOpen();
    return this.#write(this.#encode(records));
  }

  async *read(
    from: Position,
    signal: AbortSignal,
    options: { until?: number; maxBatch?: number } = {},
  ): AsyncGenerator<readonly Recorded[]> {
    yield* this.#follow(from, from.offset, [signal, this.#closed.signal], options);
  }

  async get(position: Position): Promise<Recorded | undefined> {
    this.#checkOpen();
    return this.#records(position, position.offset, 1)[0];
  }

  async range(topic: Topic, partition: number): Promise<{ first: number; end: number }> {
    this.#checkOpen();
    return { first: 0, end: this.#store.shard(topic, partition).records.length };
  }

  async join(name: string, topics: readonly Topic[], onAssigned: (assignment: Assignment) => Promise<void>): Promise<Membership> {
    this.#checkJoinable();
    const group = this.#store.group(name);
    const id = this.#store.nextMemberId();
    const member = new Member(id, this.#groupStore(name, group, id), onAssigned);
    this.#members.add(member);
    member.done.catch(() => undefined).finally(() => this.#members.delete(member));
    group.members.push({ id, node: this.#node, topics: [...topics] });
    group.bell.ring();
    return member;
  }

  async lag(name: string, topics: readonly Topic[]): Promise<readonly GroupLag[]> {
    this.#checkOpen();
    const group = this.#store.group(name);
    return this.#places(topics).map((place) => {
      const { committed, owner } = group.claim(place);
      const end = this.#store.shard(place.topic, place.partition).records.length;
      const member = group.members.find((candidate) => candidate.id === owner);
      return { ...place, committed, end, lag: end - committed, owner: member && `${member.node}:${process.pid}` };
    });
  }

  async health(): Promise<{ ok: boolean; detail?: string }> {
    return this.#closing === undefined ? { ok: true } : { ok: false, detail: 'the log is closed' };
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#members].map((member) => member.leave())).then(() => this.#closed.abort());
    return this.#closing;
  }

  /** Open until `close` has let the members finish: their last commits are welcome. */
  #checkOpen(): void {
    if (this.#closed.signal.aborted) throw logClosed();
  }

  #checkJoinable(): void {
    if (this.#closing !== undefined) throw logClosed();
  }

  #places(topics: readonly Topic[]): Place[] {
    return topics.flatMap((topic) => Array.from({ length: this.#partitions }, (_, partition) => ({ topic, partition })));
  }

  #encode(records: readonly Outgoing[]): (Place & Stored)[] {
    return records.map((record) => {
      const headers = JSON.stringify(record.headers);
      const value = Buffer.from(record.value as Uint8Array);
      const bytes = Buffer.byteLength(record.key) + Buffer.byteLength(headers) + value.byteLength;
      if (bytes > recordLimitBytes(record.topic)) throw recordTooLarge(record, bytes);
      const { topic, key } = record;
      return { topic, partition: partitionOf(key, this.#partitions), key, headers, value, timestamp: this.#now() };
    });
  }

  #write(records: readonly (Place & Stored)[]): Position[] {
    const bells = new Set<Bell>();
    const positions = records.map(({ topic, partition, ...stored }) => {
      const shard = this.#store.shard(topic, partition);
      bells.add(shard.bell);
      return { topic, partition, offset: shard.records.push(stored) - 1 };
    });
    for (const bell of bells) bell.ring();
    return positions;
  }

  #records({ topic, partition }: Place, from: number, limit: number): Recorded[] {
    return this.#store
      .shard(topic, partition)
      .records.slice(from, from + limit)
      .map(({ key, headers: json, value, timestamp }, index) => {
        const headers = JSON.parse(json) as Record<string, string>;
        return { topic, partition, offset: from + index, key, headers, value: Buffer.from(value), type: headers.type ?? '', timestamp };
      });
  }

  #follow(place: Place, from: number, signals: readonly AbortSignal[], options: { until?: number; maxBatch?: number }) {
    const fetch = (next: number, limit: number) => this.#records(place, next, limit);
    const { bell } = this.#store.shard(place.topic, place.partition);
    return follow({ fetch, bell }, from, { ...options, signals });
  }

  #groupStore(name: string, group: Group, id: string): GroupStore {
    const view = (): GroupView => {
      const topics = new Set(group.members.flatMap((member) => member.topics));
      return { members: group.members, places: this.#places([...topics]).map((place) => ({ ...place, ...group.claim(place) })) };
    };
    return {
      bell: group.bell,
      view,
      take: async (place) => {
        const claim = group.claim(place);
        if (claim.owner !== undefined || !group.members.some((member) => member.id === id)) return undefined;
        claim.owner = id;
        claim.epoch += 1;
        group.bell.ring();
        return { epoch: claim.epoch, committed: claim.committed };
      },
      release: async (place, epoch) => {
        const claim = group.claim(place);
        if (claim.owner !== id || claim.epoch !== epoch) return;
        claim.owner = undefined;
        group.bell.ring();
      },
      leave: async () => group.expel(id),
      assignment: (place, epoch, committed, revoked) => this.#assignment(name, group, id, { ...place, epoch, committed, revoked }),
    };
  }

  #assignment(
    name: string,
    group: Group,
    id: string,
    base: Pick<Assignment, 'topic' | 'partition' | 'epoch' | 'committed' | 'revoked'>,
  ): Assignment {
    const claim = group.claim(base);
    const where = `${name} on ${placeKey(base)}`;
    return {
      ...base,
      records: ({ maxBatch, signal } = {}) => {
        const signals = [base.revoked, this.#closed.signal, ...(signal ? [signal] : [])];
        return this.#follow(base, base.committed, signals, maxBatch === undefined ? {} : { maxBatch });
      },
      state: async (key) => {
        const value = claim.states.get(key);
        return value && Buffer.from(value);
      },
      states: async function* (prefix = '') {
        const keys = [...claim.states.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes);
        for (const key of keys) yield [key, Buffer.from(claim.states.get(key)!)] as const;
      },
      commit: async ({ next, outputs, states }: Commit) => {
        this.#checkOpen();
        const encoded = this.#encode(outputs);
        if (claim.owner !== id || claim.epoch !== base.epoch) throw fencedOff(where, base.epoch);
        if (next < claim.committed) throw offsetRegression(where, next, claim.committed);
        const { length: end } = this.#store.shard(base.topic, base.partition).records;
        if (next > end) throw offsetBeyondEnd(where, next, end);
        claim.committed = next;
        for (const [key, value] of states) {
          if (value === null) claim.states.delete(key);
          else claim.states.set(key, Buffer.from(value as Uint8Array));
        }
        return this.#write(encoded);
      },
    };
  }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
