// The groups in which this process has members: it watches them, takes out the dead and shows that its own are alive.
//
// R1. Every change of a member or an owner is one transaction and raises the group's version; members look at a group when that has changed.
// R2. A member is dead when its process is gone. Where the kernel cannot tell (another container, no /proc), it is dead when its heartbeat stood
// still for LEASE_MS as measured by whoever watches, so clocks need not agree. R3. Who was taken out although it lives joins again by itself.
import { isFault, type Topic } from '../../schemas/index.js';
import { Bell } from '../adapter/index.js';
import { Claims, type StoredMember } from './claims.js';
import type { GroupCommit } from './group-commit.js';
import { type Life, lifeOf, type ProcessIdentity, thisProcess } from './process-identity.js';
import type { Store } from './store.js';

export const LEASE_MS = 10_000;
export const HEARTBEAT_MS = 2_000;

/** How members of other processes are judged. */
export interface Liveness {
  readonly self: ProcessIdentity;
  readonly lifeOf: (other: ProcessIdentity, self: ProcessIdentity) => Life;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export const kernelLiveness = (): Liveness => ({ self: thisProcess(), lifeOf, now: () => performance.now() });

interface Joined {
  readonly bell: Bell;
  readonly own: Map<string, StoredMember>;
  version: number;
  beatDue: number;
}

export class Groups {
  readonly claims: Claims;
  readonly #store: Store;
  readonly #commits: GroupCommit;
  readonly #liveness: Liveness;
  readonly #joined = new Map<string, Joined>();
  readonly #beats = new Map<string, { beat: number; since: number }>();
  #round: Promise<void> | undefined;

  constructor(store: Store, commits: GroupCommit, liveness: Liveness) {
    this.claims = new Claims(store);
    this.#store = store;
    this.#commits = commits;
    this.#liveness = liveness;
  }

  /** Registers a member; rings `bell` of the group at each change. */
  async register(group: string, node: string, topics: readonly Topic[]): Promise<{ readonly id: string; readonly bell: Bell }> {
    const joined = this.#joined.get(group) ?? { bell: new Bell(), own: new Map<string, StoredMember>(), version: -1, beatDue: 0 };
    this.#joined.set(group, joined);
    const member = await this.change(group, () => {
      const entry: StoredMember = { id: this.claims.nextMemberId(), node, topics, process: this.#liveness.self, beat: 0 };
      this.claims.writeMember(group, entry);
      return entry;
    });
    joined.own.set(member.id, member);
    return { id: member.id, bell: joined.bell };
  }

  async unregister(group: string, id: string): Promise<void> {
    const joined = this.#joined.get(group);
    joined?.own.delete(id);
    if (joined?.own.size === 0) this.#joined.delete(group);
    await this.change(group, () => this.claims.removeMember(group, id));
  }

  /** Changes members or owners in one transaction; the group is told afterwards (R1). */
  change<T>(group: string, action: () => T): Promise<T> {
    return this.#commits.submit({
      bytes: 0,
      apply: (txn) => {
        const result = action();
        this.claims.raiseVersion(group);
        txn.afterwards(() => this.#joined.get(group)?.bell.ring());
        return result;
      },
    });
  }

  /** Takes all members of a node out, in every group: for a node that is known to be gone. */
  async expel(node: string): Promise<void> {
    this.#store.root.resetReadTxn();
    for (const group of this.claims.groups())
      for (const member of this.claims.members(group)) if (member.node === node) await this.#takeOut(group, member.id);
  }

  isDead(member: StoredMember): boolean {
    return this.#liveness.lifeOf(member.process, this.#liveness.self) === 'dead';
  }

  /** Rings the groups that other processes changed. The read snapshot must be fresh. */
  refresh(): void {
    for (const [group, joined] of this.#joined) {
      const version = this.claims.version(group);
      if (version === joined.version) continue;
      joined.version = version;
      joined.bell.ring();
    }
  }

  /** Takes out members that died, joins again where this process was taken out, and sends heartbeats to who needs them. */
  watch(): void {
    this.#round ??= this.#watchAll().finally(() => {
      this.#round = undefined;
    });
  }

  /** Resolves when no round of `watch` is under way. */
  async settled(): Promise<void> {
    await this.#round;
  }

  /** A round that fails (a full disk) is followed by the next one. */
  async #watchAll(): Promise<void> {
    try {
      for (const [group, joined] of this.#joined) await this.#watchGroup(group, joined);
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }

  async #watchGroup(group: string, joined: Joined): Promise<void> {
    const members = this.claims.members(group);
    const ids = new Set(members.map((member) => member.id));
    let watched = false;
    for (const member of members) {
      if (joined.own.has(member.id)) continue;
      const life = this.#liveness.lifeOf(member.process, this.#liveness.self);
      watched ||= life === 'unknown';
      if (life === 'dead' || (life === 'unknown' && this.#leaseEnded(member))) await this.#takeOut(group, member.id);
    }
    for (const member of joined.own.values()) if (!ids.has(member.id)) await this.#joinAgain(group, joined, member);
    if (watched && this.#liveness.now() >= joined.beatDue) await this.#beat(group, joined);
  }

  #leaseEnded({ id, beat }: StoredMember): boolean {
    const now = this.#liveness.now();
    const seen = this.#beats.get(id);
    if (seen !== undefined && seen.beat === beat) return now - seen.since > LEASE_MS;
    this.#beats.set(id, { beat, since: now });
    return false;
  }

  async #takeOut(group: string, id: string): Promise<void> {
    this.#beats.delete(id);
    await this.change(group, () => {
      if (this.claims.hasMember(group, id)) this.claims.removeMember(group, id);
    });
    this.#store.root.readerCheck();
  }

  async #joinAgain(group: string, joined: Joined, member: StoredMember): Promise<void> {
    await this.change(group, () => {
      if (joined.own.has(member.id)) this.claims.writeMember(group, member);
    });
  }

  async #beat(group: string, joined: Joined): Promise<void> {
    joined.beatDue = this.#liveness.now() + HEARTBEAT_MS;
    await this.#commits.submit({
      bytes: 0,
      apply: () => {
        for (const [id, member] of joined.own) {
          if (!this.claims.hasMember(group, id)) continue;
          const next = { ...member, beat: member.beat + 1 };
          joined.own.set(id, next);
          this.claims.writeMember(group, next);
        }
      },
    });
  }
}
