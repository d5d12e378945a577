// What members of a group tell one another through the coordinator: Kafka's consumer protocol, so that its own tools show our groups.
import type { Topic } from '../../schemas/index.js';
import type { Place } from '../adapter/index.js';

/** The protocol's name: members that balance differently must not share a group. */
export const PROTOCOL = 'dats-balance';
export const PROTOCOL_TYPE = 'consumer';

/** A member's side: the topics it takes, and what it owns now. */
export interface Subscription {
  readonly topics: readonly string[];
  readonly owned: readonly NamedPlace[];
}

/** A partition by its physical topic. */
export interface NamedPlace {
  readonly name: string;
  readonly partition: number;
}

const SUBSCRIPTION_VERSION = 1;
const ASSIGNMENT_VERSION = 1;
const NO_BYTES = -1;

const int = (bytes: 2 | 4, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
};
const string = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([int(2, bytes.length), bytes]);
};
const array = (items: readonly Buffer[]): Buffer => Buffer.concat([int(4, items.length), ...items]);

const partitionsByTopic = (places: readonly NamedPlace[]): Buffer => {
  const topics = new Map<string, number[]>();
  for (const { name, partition } of places) topics.set(name, [...(topics.get(name) ?? []), partition]);
  return array(
    [...topics].map(([name, partitions]) => Buffer.concat([string(name), array(partitions.map((partition) => int(4, partition)))])),
  );
};

export const encodeSubscription = ({ topics, owned }: Subscription): Buffer =>
  Buffer.concat([int(2, SUBSCRIPTION_VERSION), array(topics.map(string)), int(4, NO_BYTES), partitionsByTopic(owned)]);

export const encodeAssignment = (places: readonly NamedPlace[]): Buffer =>
  Buffer.concat([int(2, ASSIGNMENT_VERSION), partitionsByTopic(places), int(4, NO_BYTES)]);

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int(bytes: 2 | 4): number {
    this.#at += bytes;
    return this.#bytes.readIntBE(this.#at - bytes, bytes);
  }

  string(): string {
    const length = this.int(2);
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  skipBytes(): void {
    const length = this.int(4);
    this.#at += Math.max(0, length);
  }

  array<T>(item: () => T): T[] {
    return Array.from({ length: this.int(4) }, item);
  }

  places(): NamedPlace[] {
    return this.array(() => {
      const name = this.string();
      return this.array(() => ({ name, partition: this.int(4) }));
    }).flat();
  }
}

export const decodeSubscription = (bytes: Buffer): Subscription => {
  const cursor = new Cursor(bytes);
  const version = cursor.int(2);
  const topics = cursor.array(() => cursor.string());
  cursor.skipBytes();
  return { topics, owned: version >= 1 ? cursor.places() : [] };
};

/** Empty bytes are no assignment at all. */
export const decodeAssignment = (bytes: Buffer): readonly NamedPlace[] => {
  if (bytes.length === 0) return [];
  const cursor = new Cursor(bytes);
  cursor.int(2);
  return cursor.places();
};

/** From physical names to places of the log; what is none is left out. */
export const placesOf = (named: readonly NamedPlace[], topicOf: (name: string) => Topic | undefined): readonly Place[] =>
  named.flatMap(({ name, partition }) => {
    const topic = topicOf(name);
    return topic === undefined ? [] : [{ topic, partition }];
  });
