// How records lie in LMDB: one value holds a batch of records of one partition.
//
// batch  = u8 format, 3 zero bytes, u32 count, u32 CRC-32 of the rest, count records
// record = u32 bytes that follow, f64 timestamp, u32 bytes of type, u32 of key, u32 of headers, then type, key, headers (see headers.ts), value
// All numbers little-endian, all text UTF-8.
//
// F1. A batch is checked as a whole when it is read; a record is taken apart only as far as somebody looks at it.
import * as zlib from 'node:zlib';
import type { Topic } from '../../schemas/index.js';
import { recordLimitBytes, recordTooLarge } from '../adapter/index.js';
import type { Outgoing, Recorded } from '../log.js';
import { EventRecord } from '../record.js';
import { corrupt } from './faults.js';
import { decodeHeaders, encodeAttributes, encodeHeaders } from './headers.js';

const FORMAT = 1;
const BATCH_HEAD = 12;
const RECORD_HEAD = 24;
/** A batch takes no more records than fit into these; a larger record stands alone. */
export const BATCH_RECORDS = 512;
export const BATCH_BYTES = 256 * 1024;

/** A record ready to be written: `chunk[start, end)`. */
export interface EncodedRecord {
  readonly outgoing: Outgoing;
  readonly timestamp: number;
  readonly chunk: Buffer;
  readonly start: number;
  readonly end: number;
}

let scratch = Buffer.allocUnsafeSlow(512 * 1024);
const room = (bytes: number, keep: number): void => {
  if (scratch.length >= bytes) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(bytes, scratch.length * 2));
  scratch.copy(larger, 0, 0, keep);
  scratch = larger;
};
/** Scratch space above this is given back after use, in bytes. */
const SCRATCH_KEEP_BYTES = 4 * 1024 * 1024;

/** @throws Fault terminal `record_too_large`. */
export const encodeRecords = (records: readonly Outgoing[], timestamp: number): EncodedRecord[] => {
  const ends: number[] = [];
  let at = 0;
  for (const record of records) {
    at = encodeRecord(record, timestamp, at);
    ends.push(at);
  }
  const chunk = Buffer.from(scratch.subarray(0, at));
  if (scratch.length > SCRATCH_KEEP_BYTES) scratch = Buffer.allocUnsafeSlow(512 * 1024);
  return records.map((outgoing, index) => ({ outgoing, timestamp, chunk, start: index === 0 ? 0 : ends[index - 1]!, end: ends[index]! }));
};

const encodeRecord = (record: Outgoing, timestamp: number, at: number): number => {
  const { key, value } = record;
  const event = record instanceof EventRecord ? record.event : undefined;
  const type = event?.type ?? record.headers.type ?? '';
  const headers = event === undefined ? encodeHeaders(record.headers) : encodeAttributes(event);
  const body = at + RECORD_HEAD;
  const head = type + key + headers;
  const text = typeof value === 'string' ? head + value : head;
  const atMost = text.length * 3 + (typeof value === 'string' ? 0 : value.byteLength);
  if (atMost > recordLimitBytes(record.topic)) checkSize(record, headers);
  room(body + atMost, at);
  const written = scratch.write(text, body);
  const ascii = written === text.length;
  const bytesOf = (part: string) => (ascii ? part.length : Buffer.byteLength(part));
  if (typeof value !== 'string') scratch.set(value, body + written);
  const end = body + written + (typeof value === 'string' ? 0 : value.byteLength);
  scratch.writeUInt32LE(end - at - 4, at);
  scratch.writeDoubleLE(timestamp, at + 4);
  scratch.writeUInt32LE(bytesOf(type), at + 12);
  scratch.writeUInt32LE(bytesOf(key), at + 16);
  scratch.writeUInt32LE(bytesOf(headers), at + 20);
  return end;
};

const checkSize = (record: Outgoing, headers: string): void => {
  const bytes = Buffer.byteLength(record.key) + Buffer.byteLength(headers) + Buffer.byteLength(record.value);
  if (bytes > recordLimitBytes(record.topic)) throw recordTooLarge(record, bytes);
};

let frame = Buffer.allocUnsafeSlow(BATCH_BYTES * 2);

/** The batch of `records[from, to)`. The buffer is good until the next call. */
export const encodeBatch = (records: readonly EncodedRecord[], from: number, to: number): Buffer => {
  let bytes = BATCH_HEAD;
  for (let i = from; i < to; i++) bytes += records[i]!.end - records[i]!.start;
  if (frame.length < bytes || frame.length > SCRATCH_KEEP_BYTES) frame = Buffer.allocUnsafeSlow(Math.max(bytes, BATCH_BYTES * 2));
  let at = BATCH_HEAD;
  for (let i = from; i < to; i++) {
    const { chunk, start, end } = records[i]!;
    at += chunk.copy(frame, at, start, end);
  }
  frame.writeUInt32LE(FORMAT, 0);
  frame.writeUInt32LE(to - from, 4);
  frame.writeUInt32LE(crc32(frame.subarray(BATCH_HEAD, at)), 8);
  return frame.subarray(0, at);
};

/** Index after the last record of the batch that begins at `from`. */
export const batchEnd = (records: readonly EncodedRecord[], from: number): number => {
  let bytes = 0;
  let to = from;
  while (to < records.length && to - from < BATCH_RECORDS) {
    bytes += records[to]!.end - records[to]!.start;
    if (bytes > BATCH_BYTES && to > from) break;
    to += 1;
  }
  return to;
};

/**
 * The records of a batch.
 * @throws Fault fatal `log_corrupt`.
 */
export const decodeBatch = (topic: Topic, partition: number, base: number, batch: Buffer): Recorded[] => {
  const where = `the batch at offset ${base} of ${topic}/${partition}`;
  if (batch.length < BATCH_HEAD || batch[0] !== FORMAT) throw corrupt(`${where} is not a batch of records`);
  const count = batch.readUInt32LE(4);
  if (crc32(batch.subarray(BATCH_HEAD)) !== batch.readUInt32LE(8)) throw corrupt(`${where} does not match its checksum`);
  const records: Recorded[] = [];
  let at = BATCH_HEAD;
  for (let i = 0; i < count; i++) {
    const end = at + 4 + batch.readUInt32LE(at);
    records.push(new StoredRecord(topic, partition, base + i, batch, at, end));
    at = end;
  }
  return records;
};

/** Takes itself apart on demand. Its parts are getters: `{ ...record }` does not copy them. */
class StoredRecord implements Recorded {
  readonly topic: Topic;
  readonly partition: number;
  readonly offset: number;
  readonly #batch: Buffer;
  readonly #at: number;
  readonly #end: number;
  #type: string | undefined;
  #headers: Readonly<Record<string, string>> | undefined;

  constructor(topic: Topic, partition: number, offset: number, batch: Buffer, at: number, end: number) {
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.#batch = batch;
    this.#at = at;
    this.#end = end;
  }

  get timestamp(): number {
    return this.#batch.readDoubleLE(this.#at + 4);
  }

  get type(): string {
    const begin = this.#at + RECORD_HEAD;
    this.#type ??= this.#batch.toString('utf8', begin, begin + this.#typeBytes);
    return this.#type;
  }

  get key(): string {
    const begin = this.#at + RECORD_HEAD + this.#typeBytes;
    return this.#batch.toString('utf8', begin, begin + this.#keyBytes);
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.#headers === undefined) {
      const begin = this.#at + RECORD_HEAD + this.#typeBytes + this.#keyBytes;
      this.#headers = decodeHeaders(this.#batch.toString('utf8', begin, begin + this.#headerBytes));
    }
    return this.#headers;
  }

  get value(): Uint8Array {
    return this.#batch.subarray(this.#at + RECORD_HEAD + this.#typeBytes + this.#keyBytes + this.#headerBytes, this.#end);
  }

  get #typeBytes(): number {
    return this.#batch.readUInt32LE(this.#at + 12);
  }

  get #keyBytes(): number {
    return this.#batch.readUInt32LE(this.#at + 16);
  }

  get #headerBytes(): number {
    return this.#batch.readUInt32LE(this.#at + 20);
  }
}

const table = (): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value >>> 0;
  });

/** CRC-32 (IEEE 802.3) in JavaScript, for Node before 20.15, which has none of its own. */
export const crc32Portable = (() => {
  let byByte: Uint32Array | undefined;
  return (bytes: Uint8Array): number => {
    byByte ??= table();
    let crc = 0xffffffff;
    for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ byByte[(crc ^ bytes[i]!) & 0xff]!;
    return (crc ^ 0xffffffff) >>> 0;
  };
})();

const crc32: (bytes: Uint8Array) => number = (zlib as { crc32?: (bytes: Uint8Array) => number }).crc32 ?? crc32Portable;
