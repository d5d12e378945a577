// Records on the wire: the CloudEvents Kafka binding in binary mode.
//
// B1. An attribute `x` is the header `ce_x`, but `datacontenttype` is `content-type`; the value is `data`, framed for the schema registry where there is one.
// B2. Headers that are no attributes keep their names, but for the two that mean an attribute on the wire (`content-type`, `ce_...`). A foreign header that looks like an attribute but has no `ce_` reads as `header.<name>`, so that it is
// never taken for one and is written back as it was. B3. A value is never null: on a compacted topic that would delete the event.
import type { RecordsBatch, KafkaRecord as WireRecord } from '@platformatic/kafka';
import { isKnownSchema, type Topic } from '../../schemas/index.js';
import type { Outgoing, Recorded } from '../log.js';

/** Schema id of an event's `dataschema`, in a Confluent-compatible registry. */
export type SchemaIds = ReadonlyMap<string, number>;

/** What a record is for the client. */
export interface Message {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer;
  /** Null only where a key is to be deleted. */
  readonly value: Buffer | null;
  readonly headers: Map<Buffer, Buffer>;
  readonly timestamp: bigint;
}

const ATTRIBUTE = /^[a-z0-9]{1,20}$/;
const PLAIN = 'header.';
/** Confluent's wire format: a zero byte and the schema id, big-endian, before the JSON. */
const MAGIC = 0;
const FRAME_BYTES = 5;
const OPENING_BRACE = 0x7b;

const headerName = (name: string): string => {
  if (name === 'datacontenttype') return 'content-type';
  if (ATTRIBUTE.test(name)) return `ce_${name}`;
  return name.startsWith(PLAIN) ? name.slice(PLAIN.length) : name;
};

const ourName = (header: string): string => {
  if (header === 'content-type') return 'datacontenttype';
  if (header.startsWith('ce_') && ATTRIBUTE.test(header.slice(3))) return header.slice(3);
  return ATTRIBUTE.test(header) || header.startsWith(PLAIN) ? PLAIN + header : header;
};

/** Header names are few: each is translated once. Bounded, as a foreign producer may make names up. */
const NAMES_REMEMBERED = 1_000;
const remembered = <K, V>(translate: (key: K) => V): ((key: K) => V) => {
  const known = new Map<K, V>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) {
      value = translate(key);
      if (known.size < NAMES_REMEMBERED) known.set(key, value);
    }
    return value;
  };
};
const nameBytes = remembered((name: string) => Buffer.from(headerName(name)));
const nameOf = remembered(ourName);

const bytesOf = (value: Uint8Array | string): Buffer =>
  typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);

/** The message of a record. `topic` is the physical name. */
export const messageOf = (record: Outgoing, topic: string, partition: number, timestamp: bigint, ids: SchemaIds | undefined): Message => {
  const headers = new Map<Buffer, Buffer>();
  const named = record.headers;
  for (const name in named) headers.set(nameBytes(name), Buffer.from(named[name]!));
  return { topic, partition, key: Buffer.from(record.key), value: framed(record, ids), headers, timestamp };
};

const framed = ({ headers, value, event }: Outgoing, ids: SchemaIds | undefined): Buffer => {
  const bytes = bytesOf(value);
  const id = ids?.get((event ?? headers).dataschema ?? '');
  if (id === undefined) return bytes;
  const frame = Buffer.allocUnsafe(FRAME_BYTES + bytes.byteLength);
  frame.writeUInt8(MAGIC, 0);
  frame.writeInt32BE(id, 1);
  bytes.copy(frame, FRAME_BYTES);
  return frame;
};

/** Bytes that the record takes at the broker, about. */
export const sizeOf = ({ key, value, headers }: Message): number => {
  let bytes = key.byteLength + (value?.byteLength ?? 0);
  for (const [name, text] of headers) bytes += name.byteLength + text.byteLength + 4;
  return bytes;
};

const EMPTY = Buffer.alloc(0);
const CE_TYPE = Buffer.from('ce_type');

/** A record as it came: headers and value are put together when somebody asks. */
export class FetchedRecord implements Recorded {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly type: string;
  readonly #wire: WireRecord;
  #headers: Readonly<Record<string, string>> | undefined;

  constructor(topic: Topic, partition: number, offset: number, timestamp: number, wire: WireRecord) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.timestamp = timestamp;
    this.#wire = wire;
    this.type = wire.headers.findLast(([name]) => name !== null && CE_TYPE.equals(name))?.[1]?.toString() ?? '';
  }

  get key(): string {
    return (this.#wire.key ?? EMPTY).toString();
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.#headers === undefined) {
      const headers: Record<string, string> = Object.create(null);
      for (const [name, value] of this.#wire.headers) headers[nameOf((name ?? EMPTY).toString())] = (value ?? EMPTY).toString();
      this.#headers = headers;
    }
    return this.#headers;
  }

  get value(): Uint8Array {
    const value = this.#wire.value ?? EMPTY;
    // JSON never begins with a zero byte, and `data` is an object: everything else is left as it is.
    const isFramed = value[0] === MAGIC && (value[FRAME_BYTES] === OPENING_BRACE || value.byteLength === FRAME_BYTES);
    if (isFramed && isKnownSchema(this.headers['dataschema'] ?? '')) return value.subarray(FRAME_BYTES);
    return value;
  }

  /** Has it no value at all? On a compacted topic that deletes its key. */
  get deleted(): boolean {
    return this.#wire.value === null;
  }

  /** Size on the wire, in bytes. */
  get bytes(): number {
    return this.#wire.length;
  }
}

const CONTROL = 1 << 5;

/** What a fetch brought of a partition, without control records and aborted transactions. */
export interface Fetched {
  readonly records: readonly FetchedRecord[];
  /** Everything below was in it, gaps included; not below the offset that was asked for. */
  readonly next: number;
}

interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/** The records from `from` on. `aborted` are the transactions that the broker says were aborted in this stretch. */
export const recordsIn = (
  place: { readonly topic: Topic; readonly partition: number },
  from: number,
  batches: readonly RecordsBatch[],
  aborted: readonly AbortedTransaction[],
): Fetched => {
  const records: FetchedRecord[] = [];
  const pending = [...aborted].sort((a, b) => Number(a.firstOffset - b.firstOffset));
  const skipping = new Set<bigint>();
  let next = from;
  for (const batch of batches) {
    const first = Number(batch.firstOffset);
    const last = first + batch.lastOffsetDelta;
    next = Math.max(next, last + 1);
    while (pending[0] !== undefined && Number(pending[0].firstOffset) <= last) skipping.add(pending.shift()!.producerId);
    if ((batch.attributes & CONTROL) !== 0) {
      // A control record ends the producer's transaction; its key says how, but only an aborted one is in the set.
      skipping.delete(batch.producerId);
      continue;
    }
    if (skipping.has(batch.producerId)) continue;
    const timestamp = Number(batch.firstTimestamp);
    for (const wire of batch.records) {
      const offset = first + wire.offsetDelta;
      if (offset < from) continue;
      records.push(new FetchedRecord(place.topic, place.partition, offset, timestamp + Number(wire.timestampDelta), wire));
    }
  }
  return { records, next };
};
