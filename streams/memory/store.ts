// What a memory log keeps. Several logs opened on one store behave like several processes on one log.
import type { Topic } from '../../schemas/index.js';
import { Bell, type Place, placeKey } from '../adapter/index.js';

/** A record as bytes: what is not in here does not survive. */
export interface Stored {
  readonly key: string;
  readonly headers: string;
  readonly value: Buffer;
  readonly timestamp: number;
}

export interface Shard {
  readonly records: Stored[];
  readonly bell: Bell;
}

/** What a group knows of one partition. */
export interface Claim {
  owner: string | undefined;
  epoch: number;
  committed: number;
  readonly states: Map<string, Buffer>;
}

export interface StoredMember {
  readonly id: string;
  readonly node: string;
  readonly topics: readonly Topic[];
}

export class Group {
  readonly members: StoredMember[] = [];
  readonly bell = new Bell();
  readonly #claims = new Map<string, Claim>();

  claim(place: Place): Claim {
    const key = placeKey(place);
    let claim = this.#claims.get(key);
    if (claim === undefined) {
      claim = { owner: undefined, epoch: 0, committed: 0, states: new Map() };
      this.#claims.set(key, claim);
    }
    return claim;
  }

  /** Takes a member out as if its process had died: it is not asked, and what it commits from now on is fenced. */
  expel(id: string): void {
    const at = this.members.findIndex((member) => member.id === id);
    if (at < 0) return;
    this.members.splice(at, 1);
    for (const claim of this.#claims.values()) if (claim.owner === id) claim.owner = undefined;
    this.bell.ring();
  }
}

export class MemoryStore {
  readonly #shards = new Map<string, Shard>();
  readonly #groups = new Map<string, Group>();
  #joined = 0;

  shard(topic: Topic, partition: number): Shard {
    const key = placeKey({ topic, partition });
    let shard = this.#shards.get(key);
    if (shard === undefined) {
      shard = { records: [], bell: new Bell() };
      this.#shards.set(key, shard);
    }
    return shard;
  }

  group(name: string): Group {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new Group();
      this.#groups.set(name, group);
    }
    return group;
  }

  nextMemberId(): string {
    this.#joined += 1;
    return `member-${this.#joined}`;
  }

  /** Takes all members of a node out, in every group, as if its process had died. */
  expelNode(node: string): void {
    for (const group of this.#groups.values())
      for (const member of group.members.filter((candidate) => candidate.node === node)) group.expel(member.id);
  }
}
