// One owned partition on Kafka: its records, its keyed state, and the commit that moves both with the outputs.
//
// K1. State lies in a compacted topic, in the partition of the same number, one record a key. The offset lies there too, under the place itself, and is the
// truth: Kafka forgets a group's offsets when the group was empty for a week. The group's own offset is written in the same transaction, for its tools.
// K2. Opening fences the earlier owner before it reads (`TransactionalProducer.open`), and writes the new epoch at once: whoever owns, owns durably.
// K3. What Kafka says of the group is never above it: if it is, the state topic lost something, and nothing is begun (`state_lost`).
// K4. One commit at a time: they follow one another in the order they were asked for.
import { Fault, isFault, type Position } from '../../schemas/index.js';
import { fencedOff, offsetBeyondEnd, offsetRegression, type Place, placeKey } from '../adapter/index.js';
import type { Assignment, Commit, Outgoing, Recorded } from '../log.js';
import { type Addressed, positionsOf } from './appender.js';
import type { Message } from './codec.js';
import { stateMessage } from './state-topic.js';
import type { TransactionalProducer } from './transaction.js';

export interface AssignmentDeps {
  readonly group: string;
  readonly place: Place;
  /** The topic's name at the broker. */
  readonly name: string;
  readonly stateTopic: string;
  readonly revoked: AbortSignal;
  readonly producer: TransactionalProducer;
  readonly addressed: (records: readonly Outgoing[]) => readonly Addressed[];
  readonly follow: (
    from: number,
    options: { readonly maxBatch?: number; readonly signal?: AbortSignal },
  ) => AsyncIterable<readonly Recorded[]>;
  /** What Kafka has as the group's offset, if anything. @throws Fault */
  readonly groupOffset: () => Promise<number | undefined>;
  /** Everything below is decided. @throws Fault */
  readonly end: () => Promise<number>;
  readonly checkOpen: () => void;
}

interface OffsetRecord {
  readonly next: number;
  readonly epoch: number;
}

/** What is committed of a partition by a group, in its state topic. */
export const decodeOffset = (bytes: Uint8Array): OffsetRecord => JSON.parse(Buffer.from(bytes).toString('utf8')) as OffsetRecord;
const encodeOffset = (record: OffsetRecord): string => JSON.stringify(record);

/** Where the offset stands among the states: no state key is empty. */
const OFFSET_KEY = undefined;

/** An assignment that knows whether it was fenced. */
export interface OwnedAssignment extends Assignment {
  /** Somebody else took the partition, or the broker gave a transaction up: nothing can be committed through this any more. */
  readonly lost: boolean;
}

/** Takes the partition over. @throws Fault retryable when Kafka does not answer, fenced when somebody else takes it at the same time. */
export const openAssignment = async (
  deps: AssignmentDeps,
  load: () => Promise<ReadonlyMap<string | undefined, Buffer>>,
): Promise<OwnedAssignment> => {
  const [entries, said] = await Promise.all([load(), deps.groupOffset()]);
  const stored = entries.get(OFFSET_KEY);
  const { next, epoch } = stored === undefined ? { next: 0, epoch: 0 } : decodeOffset(stored);
  if (said !== undefined && said > next)
    throw new Fault(
      'fatal',
      'state_lost',
      `${deps.group} has done ${placeKey(deps.place)} up to ${said}, but its state in ${deps.stateTopic} ends at ${next}: the topic was emptied or restored from older. Going on would do everything since again. Restore the topic; or, to do it again on purpose, delete the group's offsets`,
    );
  const states = new Map<string, Buffer>();
  for (const [key, value] of entries) if (key !== undefined) states.set(key, value);
  const assignment = new KafkaAssignment(deps, { next, epoch: epoch + 1 }, states);
  await assignment.claim();
  return assignment;
};

class KafkaAssignment implements OwnedAssignment {
  readonly topic;
  readonly partition;
  readonly epoch: number;
  readonly committed: number;
  readonly revoked: AbortSignal;
  readonly #deps: AssignmentDeps;
  readonly #states: Map<string, Buffer>;
  #next: number;
  #knownEnd = 0;
  #busy: Promise<unknown> = Promise.resolve();
  #lost = false;

  constructor(deps: AssignmentDeps, { next, epoch }: OffsetRecord, states: Map<string, Buffer>) {
    this.#deps = deps;
    this.topic = deps.place.topic;
    this.partition = deps.place.partition;
    this.revoked = deps.revoked;
    this.epoch = epoch;
    this.committed = next;
    this.#next = next;
    this.#knownEnd = next;
    this.#states = states;
  }

  get lost(): boolean {
    return this.#lost;
  }

  /** Writes the epoch down (K2). */
  async claim(): Promise<void> {
    await this.#deps.producer.write([this.#offsetMessage(this.#next)], this.#groupOffset(this.#next));
  }

  async *records(options: { maxBatch?: number; signal?: AbortSignal } = {}): AsyncGenerator<readonly Recorded[], void, undefined> {
    for await (const batch of this.#deps.follow(this.committed, options)) {
      this.#knownEnd = Math.max(this.#knownEnd, batch.at(-1)!.offset + 1);
      yield batch;
    }
  }

  async state(key: string): Promise<Uint8Array | undefined> {
    await this.#busy;
    const value = this.#states.get(key);
    return value && Buffer.from(value);
  }

  async *states(prefix = ''): AsyncGenerator<readonly [string, Uint8Array], void, undefined> {
    await this.#busy;
    const keys = [...this.#states.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes);
    for (const key of keys) {
      const value = this.#states.get(key);
      if (value !== undefined) yield [key, Buffer.from(value)] as const;
    }
  }

  commit(commit: Commit): Promise<readonly Position[]> {
    const committing = this.#busy.then(() => this.#commit(commit));
    this.#busy = committing.catch(() => undefined);
    return committing;
  }

  async #commit({ next, outputs, states }: Commit): Promise<readonly Position[]> {
    const { addressed, checkOpen, producer, end, group } = this.#deps;
    checkOpen();
    const where = `${group} on ${placeKey(this)}`;
    const records = addressed(outputs);
    if (next < this.#next) throw offsetRegression(where, next, this.#next);
    if (next > this.#knownEnd) {
      this.#knownEnd = Math.max(this.#knownEnd, await end());
      if (next > this.#knownEnd) throw offsetBeyondEnd(where, next, this.#knownEnd);
    }
    const messages: Message[] = records.map(({ message }) => message);
    for (const [key, value] of states)
      messages.push(stateMessage(this.#deps, key, value === null ? null : Buffer.from(value as Uint8Array)));
    messages.push(this.#offsetMessage(next));
    const written = await producer.write(messages, this.#groupOffset(next)).catch((error: unknown) => {
      if (!isFault(error, 'fenced')) throw error;
      this.#lost = true;
      throw fencedOff(where, this.epoch);
    });
    this.#next = next;
    for (const [key, value] of states) {
      if (value === null) this.#states.delete(key);
      else this.#states.set(key, Buffer.from(value as Uint8Array));
    }
    return positionsOf(records, written);
  }

  #offsetMessage(next: number): Message {
    return stateMessage(this.#deps, OFFSET_KEY, Buffer.from(encodeOffset({ next, epoch: this.epoch })));
  }

  #groupOffset(next: number) {
    const { group, name, place } = this.#deps;
    return { group, topic: name, partition: place.partition, next };
  }
}

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
