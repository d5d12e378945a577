// The log on LMDB: one machine, any number of processes on one directory. The port, put together from its parts.
import { setMaxListeners } from 'node:events';
import type { Position, Topic } from '../../schemas/index.js';
import { follow, type GroupStore, type GroupView, logClosed, Member, type Place } from '../adapter/index.js';
import type { Assignment, GroupLag, Log, Membership, Outgoing, Recorded } from '../log.js';
import { type AssignmentDeps, appendAll, bytesOf, encodeAll, openAssignment } from './assignment.js';
import type { Claim } from './claims.js';
import type { GroupCommit } from './group-commit.js';
import type { Groups } from './groups.js';
import { Shard } from './shard.js';
import type { Store } from './store.js';

export interface LmdbLogDeps {
  readonly store: Store;
  readonly commits: GroupCommit;
  readonly groups: Groups;
  readonly node: string;
  readonly now: () => number;
  /** Ends everything below the log; called once, after its members have left and its reads have ended. */
  readonly release: () => Promise<void>;
}

export class LmdbLog implements Log {
  readonly #store: Store;
  readonly #commits: GroupCommit;
  readonly #groups: Groups;
  readonly #node: string;
  readonly #now: () => number;
  readonly #shards = new Map<Topic, (Shard | undefined)[]>();
  readonly #members = new Set<Member>();
  readonly #stopped = new AbortController();
  readonly #assignmentDeps: AssignmentDeps;
  readonly #release: () => Promise<void>;
  #closing: Promise<void> | undefined;

  constructor({ store, commits, groups, node, now, release }: LmdbLogDeps) {
    this.#release = release;
    // Every reader listens to it.
    setMaxListeners(0, this.#stopped.signal);
    this.#store = store;
    this.#commits = commits;
    this.#groups = groups;
    this.#node = node;
    this.#now = now;
    this.#assignmentDeps = {
      store,
      commits,
      claims: groups.claims,
      shard: (topic, partition) => this.#shard(topic, partition),
      partitions: store.partitions,
      now,
      read: (place, from, signals, maxBatch) => this.#follow(place, from, signals, { maxBatch }),
    };
  }

  partitions(_topic: Topic): number {
    return this.#store.partitions;
  }

  async append(records: readonly Outgoing[]): Promise<readonly Position[]> {
    this.#checkOpen();
    if (records.length === 0) return [];
    const encoded = encodeAll(records, this.#now());
    return this.#commits.submit({ bytes: bytesOf(encoded), apply: (txn) => appendAll(txn, this.#assignmentDeps, encoded) });
  }

  read(from: Position, signal: AbortSignal, options: { until?: number; maxBatch?: number } = {}): AsyncIterable<readonly Recorded[]> {
    return this.#follow(from, from.offset, [signal], options);
  }

  async get({ topic, partition, offset }: Position): Promise<Recorded | undefined> {
    this.#checkOpen();
    const shard = this.#shard(topic, partition);
    if (offset >= shard.known) this.#freshen(shard);
    return shard.one(offset);
  }

  async range(topic: Topic, partition: number): Promise<{ first: number; end: number }> {
    this.#checkOpen();
    const shard = this.#shard(topic, partition);
    this.#freshen(shard);
    return { first: 0, end: shard.known };
  }

  async join(group: string, topics: readonly Topic[], onAssigned: (assignment: Assignment) => Promise<void>): Promise<Membership> {
    if (this.#closing !== undefined) throw logClosed();
    const { id, bell } = await this.#groups.register(group, this.#node, [...topics]);
    const member = new Member(id, this.#groupStore(group, id, bell), onAssigned);
    this.#members.add(member);
    member.done.catch(() => undefined).finally(() => this.#members.delete(member));
    if (this.#closing === undefined) bell.ring();
    else await member.leave();
    return member;
  }

  async lag(group: string, topics: readonly Topic[]): Promise<readonly GroupLag[]> {
    this.#checkOpen();
    this.#store.root.resetReadTxn();
    const { claims } = this.#groups;
    const alive = claims.members(group).filter((member) => !this.#groups.isDead(member));
    return this.#places(topics).map((place) => {
      const { owner, committed } = claims.claim(claims.claimKey(group, place));
      const shard = this.#shard(place.topic, place.partition);
      shard.refresh();
      const member = alive.find(({ id }) => id === owner);
      return {
        ...place,
        committed,
        end: shard.known,
        lag: shard.known - committed,
        owner: member && `${member.node}:${member.process.pid}`,
      };
    });
  }

  async health(): Promise<{ ok: boolean; detail?: string }> {
    if (this.#closing !== undefined) return { ok: false, detail: 'the log is closed' };
    const { trouble } = this.#commits;
    return trouble === undefined ? { ok: true } : { ok: false, detail: `${trouble.code}: ${trouble.message}` };
  }

  /** Leaves all groups, ends all reads, writes what waits. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Takes all members of a node out of their groups at once: for an operator who knows that it is gone. */
  async expel(node: string): Promise<void> {
    this.#checkOpen();
    await this.#groups.expel(node);
  }

  /** Looks what other processes did. The read snapshot must be fresh. */
  refresh(): void {
    for (const shards of this.#shards.values()) for (const shard of shards) if (shard?.followed) shard.refresh();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.leave()));
    this.#stopped.abort();
    await this.#release();
  }

  #checkOpen(): void {
    if (this.#stopped.signal.aborted) throw logClosed();
  }

  #freshen(shard: Shard): void {
    this.#store.root.resetReadTxn();
    shard.refresh();
  }

  #shard(topic: Topic, partition: number): Shard {
    let shards = this.#shards.get(topic);
    if (shards === undefined) {
      shards = new Array<Shard | undefined>(this.#store.partitions).fill(undefined);
      this.#shards.set(topic, shards);
    }
    let shard = shards[partition];
    if (shard === undefined) {
      shard = new Shard(this.#store, topic, partition);
      shards[partition] = shard;
    }
    return shard;
  }

  #places(topics: readonly Topic[]): Place[] {
    return topics.flatMap((topic) => Array.from({ length: this.#store.partitions }, (_, partition) => ({ topic, partition })));
  }

  async *#follow(
    { topic, partition }: Place,
    from: number,
    signals: readonly AbortSignal[],
    options: { until?: number | undefined; maxBatch?: number | undefined },
  ): AsyncGenerator<readonly Recorded[]> {
    if (this.#stopped.signal.aborted) return;
    const shard = this.#shard(topic, partition);
    const tail = shard.follow();
    try {
      this.#freshen(shard);
      yield* follow(tail, from, { ...options, signals: [...signals, this.#stopped.signal] });
    } finally {
      tail.done();
    }
  }

  #groupStore(group: string, member: string, bell: GroupStore['bell']): GroupStore {
    const { claims } = this.#groups;
    const view = (): GroupView => {
      this.#store.root.resetReadTxn();
      const members = claims.members(group);
      const topics = new Set(members.flatMap((candidate) => candidate.topics));
      return { members, places: this.#places([...topics]).map((place) => claimed(place, claims.claim(claims.claimKey(group, place)))) };
    };
    return {
      bell,
      view,
      take: (place) =>
        this.#groups.change(group, () => {
          const key = claims.claimKey(group, place);
          const claim = claims.claim(key);
          if (claim.owner !== undefined || !claims.hasMember(group, member)) return undefined;
          const taken = { ...claim, owner: member, epoch: claim.epoch + 1 };
          claims.writeClaim(key, taken);
          return { epoch: taken.epoch, committed: taken.committed };
        }),
      release: (place, epoch) =>
        this.#groups.change(group, () => {
          const key = claims.claimKey(group, place);
          const claim = claims.claim(key);
          if (claim.owner === member && claim.epoch === epoch) claims.writeClaim(key, { ...claim, owner: undefined });
        }),
      leave: () => this.#groups.unregister(group, member),
      assignment: (place, epoch, committed, revoked) =>
        openAssignment(this.#assignmentDeps, { ...place, group, member, epoch, committed, revoked }),
    };
  }
}

const claimed = ({ topic, partition }: Place, { owner, epoch }: Claim) => ({ topic, partition, owner, epoch });
