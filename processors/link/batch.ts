// Records of one partition, packed for the way to another node, and unpacked there.
//
// B1. What is unpacked is, byte for byte, what was packed. B2. What is unpacked is bounded, whatever the batch says of itself: a log takes every record of it.
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { BATCH_ENCODING, Fault, type LinkBatch } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** Fast rather than small: events shrink to an eighth all the same. */
const LEVEL = 1;
const LARGEST_BYTES = 64 * 1024 * 1024;
/** Of one record, key and headers included: what a log takes, less what a copy has beyond its original. */
const RECORD_BYTES = 8 * 1024 * 1024 - 1024;

export type PackedRecord = Pick<Recorded, 'offset' | 'key' | 'headers' | 'value'>;

const LINE_END = 0x0a;

const bytesOf = (value: Uint8Array | string): Buffer =>
  typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);

/** B1: values go as the bytes they are, each behind a line of JSON that says how many: `[offset, key, headers, bytes]`. */
export const packRecords = async (records: readonly PackedRecord[]): Promise<Pick<LinkBatch, 'count' | 'encoding' | 'records'>> => {
  const parts: Buffer[] = [];
  for (const { offset, key, headers, value } of records) {
    const bytes = bytesOf(value);
    parts.push(Buffer.from(`${JSON.stringify([offset, key, headers, bytes.length])}\n`), bytes);
  }
  const packed = await pack(Buffer.concat(parts), { level: LEVEL });
  return { count: records.length, encoding: BATCH_ENCODING, records: packed.toString('base64') };
};

const isHeaders = (value: unknown): value is Record<string, string> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const one of Object.values(value)) if (typeof one !== 'string') return false;
  return true;
};

/** @throws Error where there is none */
const recordsIn = (all: Buffer): readonly PackedRecord[] => {
  const records: PackedRecord[] = [];
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(LINE_END, at);
    const [offset, key, headers, bytes] = JSON.parse(all.toString('utf8', at, end)) as unknown[];
    if (!Number.isSafeInteger(offset) || typeof key !== 'string' || !isHeaders(headers)) throw new Error('no record');
    const next = end + 1 + (bytes as number);
    if (!Number.isSafeInteger(bytes) || (bytes as number) < 0 || next > all.length) throw new Error('no value');
    // A character of a line is a byte at least, and says no more than that of what a log keeps.
    if (next - at > RECORD_BYTES) throw new Error('larger than a log takes');
    records.push({ offset: offset as number, key, headers, value: all.subarray(end + 1, next) });
    at = next;
  }
  return records;
};

/** @throws Fault terminal `bad_batch` */
export const unpackRecords = async ({ records, count, first, next }: LinkBatch): Promise<readonly PackedRecord[]> => {
  let unpacked: readonly PackedRecord[];
  try {
    unpacked = recordsIn(await unpack(Buffer.from(records, 'base64'), { maxOutputLength: LARGEST_BYTES }));
  } catch (cause) {
    throw new Fault('terminal', 'bad_batch', 'the records of the batch cannot be unpacked', { cause });
  }
  let last = first - 1;
  for (const { offset } of unpacked) {
    if (offset <= last || offset >= next) throw new Fault('terminal', 'bad_batch', `the batch holds offset ${offset} out of its turn`);
    last = offset;
  }
  if (unpacked.length !== count) throw new Fault('terminal', 'bad_batch', `the batch holds ${unpacked.length} records, not ${count}`);
  return unpacked;
};
