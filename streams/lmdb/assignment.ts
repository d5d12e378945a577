// What a member does with a partition it owns: read it, look at its states, commit.
//
// A1. A commit compares owner and epoch, and the committed offset, inside the write transaction and before it writes anything; offset, states
// and outputs are in that one transaction.
import { type Position, partitionOf, type Topic } from '../../schemas/index.js';
import { fencedOff, offsetBeyondEnd, offsetRegression, type Place, placeKey } from '../adapter/index.js';
import type { Assignment, Commit, Outgoing, Recorded } from '../log.js';
import type { Claims } from './claims.js';
import { type EncodedRecord, encodeRecords } from './frame.js';
import type { GroupCommit, WriteTxn } from './group-commit.js';
import { afterPrefix, textKey } from './keys.js';
import type { Shard } from './shard.js';
import type { Store } from './store.js';

export interface AssignmentDeps {
  readonly store: Store;
  readonly commits: GroupCommit;
  readonly claims: Claims;
  readonly shard: (topic: Topic, partition: number) => Shard;
  readonly partitions: number;
  readonly now: () => number;
  readonly read: (
    place: Place,
    from: number,
    signals: readonly AbortSignal[],
    maxBatch: number | undefined,
  ) => AsyncIterable<readonly Recorded[]>;
}

export interface Owner extends Place {
  readonly group: string;
  readonly member: string;
  readonly epoch: number;
  readonly committed: number;
  readonly revoked: AbortSignal;
}

/** Bytes that a record or a state may take besides its content: heads, keys, page ends. */
const ENTRY_OVERHEAD_BYTES = 64;

export const bytesOf = (records: readonly EncodedRecord[]): number => (records.at(-1)?.end ?? 0) + records.length * ENTRY_OVERHEAD_BYTES;

/** Appends encoded records in a transaction. */
export const appendAll = (
  txn: WriteTxn,
  deps: Pick<AssignmentDeps, 'shard' | 'partitions'>,
  records: readonly EncodedRecord[],
): Position[] =>
  records.map((record) => {
    const { topic, key } = record.outgoing;
    const partition = partitionOf(key, deps.partitions);
    return { topic, partition, offset: txn.append(deps.shard(topic, partition), record) };
  });

/** @throws Fault terminal `record_too_large`. */
export const encodeAll = (records: readonly Outgoing[], now: number): EncodedRecord[] =>
  records.length === 0 ? [] : encodeRecords(records, now);

export const openAssignment = (deps: AssignmentDeps, owner: Owner): Assignment => {
  const { store, commits, claims, shard, now, read } = deps;
  const { group, member, topic, partition, epoch, committed, revoked } = owner;
  const claimKey = claims.claimKey(group, owner);
  const where = `${group} on ${placeKey(owner)}`;
  const place = placeKey(owner);
  const statePrefix = textKey(group, place, '');
  const stateKey = (key: string) => textKey(group, place, key);

  const writeStates = (states: readonly (readonly [Buffer, Buffer | null])[]) => {
    for (const [key, value] of states) {
      if (value === null) void store.states.remove(key);
      else void store.states.put(key, value);
    }
  };

  return {
    topic,
    partition,
    epoch,
    committed,
    revoked,
    records: ({ maxBatch, signal } = {}) => read(owner, committed, signal === undefined ? [revoked] : [revoked, signal], maxBatch),
    state: async (key) => {
      commits.checkOpen();
      return store.states.get(stateKey(key));
    },
    states: async function* (prefix = '') {
      commits.checkOpen();
      const start = stateKey(prefix);
      const found: (readonly [string, Buffer])[] = [];
      for (const { key, value } of store.states.getRange({ start, end: afterPrefix(start) }))
        found.push([key.toString('utf8', statePrefix.length), value]);
      yield* found;
    },
    commit: async ({ next, outputs, states }: Commit) => {
      const records = encodeAll(outputs, now());
      const written = [...states].map(([key, value]) => [stateKey(key), value === null ? null : Buffer.from(value as Uint8Array)] as const);
      const stateBytes = written.reduce((sum, [key, value]) => sum + key.length + (value?.length ?? 0) + ENTRY_OVERHEAD_BYTES, 0);
      return commits.submit({
        bytes: bytesOf(records) + stateBytes,
        apply: (txn) => {
          const claim = claims.claim(claimKey);
          if (claim.owner !== member || claim.epoch !== epoch) throw fencedOff(where, epoch);
          if (next < claim.committed) throw offsetRegression(where, next, claim.committed);
          const end = txn.end(shard(topic, partition));
          if (next > end) throw offsetBeyondEnd(where, next, end);
          claims.writeClaim(claimKey, { owner: member, epoch, committed: next });
          writeStates(written);
          return appendAll(txn, deps, records);
        },
      });
    },
  };
};
