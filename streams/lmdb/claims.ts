// How groups lie in LMDB: their members, their claims on partitions, and a version that rises with each change of members or owners.
// Plain reads and writes: inside a write transaction they see and change it, outside they read the snapshot.
import type { Topic } from '../../schemas/index.js';
import { type Place, placeKey } from '../adapter/index.js';
import { afterPrefix, textKey } from './keys.js';
import type { ProcessIdentity } from './process-identity.js';
import { numberBytes, readNumber, type Store } from './store.js';

export interface StoredMember {
  /** Sorts by when it joined. */
  readonly id: string;
  readonly node: string;
  readonly topics: readonly Topic[];
  readonly process: ProcessIdentity;
  /** Rises while it lives, if somebody needs to see that. */
  readonly beat: number;
}

export interface Claim {
  readonly owner: string | undefined;
  /** Rises with every owner: the fencing token. */
  readonly epoch: number;
  readonly committed: number;
}

const NO_CLAIM: Claim = { owner: undefined, epoch: 0, committed: 0 };
const JOINED = textKey('joined');

export class Claims {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  claimKey(group: string, place: Place): Buffer {
    return textKey('claim', group, placeKey(place));
  }

  claim(key: Buffer): Claim {
    const bytes = this.#store.groups.get(key);
    return bytes === undefined ? NO_CLAIM : (JSON.parse(bytes.toString()) as Claim);
  }

  writeClaim(key: Buffer, claim: Claim): void {
    void this.#store.groups.put(key, Buffer.from(JSON.stringify(claim)));
  }

  version(group: string): number {
    return readNumber(this.#store.groups.get(textKey('version', group)));
  }

  raiseVersion(group: string): void {
    void this.#store.groups.put(textKey('version', group), numberBytes(this.version(group) + 1));
  }

  members(group: string): StoredMember[] {
    return this.#values(textKey('member', group, ''));
  }

  /** Names of all groups that have members. */
  groups(): string[] {
    const prefix = textKey('member', '');
    const names = new Set<string>();
    for (const key of this.#store.groups.getKeys({ start: prefix, end: afterPrefix(prefix) })) names.add(key.toString().split('\0')[1]!);
    return [...names];
  }

  hasMember(group: string, id: string): boolean {
    return this.#store.groups.doesExist(textKey('member', group, id));
  }

  writeMember(group: string, member: StoredMember): void {
    void this.#store.groups.put(textKey('member', group, member.id), Buffer.from(JSON.stringify(member)));
  }

  /** Takes a member out and frees what it owned. */
  removeMember(group: string, id: string): void {
    void this.#store.groups.remove(textKey('member', group, id));
    const prefix = textKey('claim', group, '');
    for (const { key, value } of [...this.#store.groups.getRange({ start: prefix, end: afterPrefix(prefix) })]) {
      const claim = JSON.parse(value.toString()) as Claim;
      if (claim.owner === id) this.writeClaim(Buffer.from(key), { ...claim, owner: undefined });
    }
    this.raiseVersion(group);
  }

  /** A new member id; ids sort by when they were made. */
  nextMemberId(): string {
    const joined = readNumber(this.#store.groups.get(JOINED)) + 1;
    void this.#store.groups.put(JOINED, numberBytes(joined));
    return String(joined).padStart(12, '0');
  }

  #values<T>(prefix: Buffer): T[] {
    return [...this.#store.groups.getRange({ start: prefix, end: afterPrefix(prefix) })].map(
      ({ value }) => JSON.parse(value.toString()) as T,
    );
  }
}
