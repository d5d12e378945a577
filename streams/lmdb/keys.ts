// The keys of the databases. Binary, so that byte order is the order of what they name.
import { createHash } from 'node:crypto';
import type { Topic } from '../../schemas/index.js';
import { keyTooLarge } from './faults.js';

/** LMDB's limit for a key with 4 KiB pages, in bytes. */
export const KEY_LIMIT_BYTES = 1978;

const OFFSET_BYTES = 8;

/** What all batches of a partition begin with; the tail of the partition lies under this key. */
export const shardKey = (topic: Topic, partition: number): Buffer => {
  const key = Buffer.from(`${topic}\0\0\0`);
  key.writeUInt16BE(partition, key.length - 2);
  return key;
};

export const batchKey = (shard: Buffer, offset: number): Buffer => {
  const key = Buffer.allocUnsafe(shard.length + OFFSET_BYTES);
  shard.copy(key);
  key.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), shard.length);
  key.writeUInt32BE(offset % 0x1_0000_0000, shard.length + 4);
  return key;
};

/** The offset in a key that `batchKey` made. */
export const offsetIn = (key: Buffer): number => key.readUInt32BE(key.length - 8) * 0x1_0000_0000 + key.readUInt32BE(key.length - 4);

/** Text parts with a zero byte between; none of them but the last may hold one. */
export const textKey = (...parts: readonly string[]): Buffer => {
  const key = Buffer.from(parts.join('\0'));
  if (key.length > KEY_LIMIT_BYTES) throw keyTooLarge(`the key "${key.toString('utf8', 0, 80)}..."`, key.length, KEY_LIMIT_BYTES);
  return key;
};

/** Like `textKey`, but an id that is too long is replaced by its digest: it can be found, not listed. */
export const idKey = (collection: string, id: string): Buffer => {
  const key = Buffer.from(`${collection}\0${id}`);
  return key.length <= KEY_LIMIT_BYTES ? key : textKey(collection, `\u0001${createHash('sha256').update(id).digest('hex')}`);
};

/** The first key after all that begin with `prefix` (which ends in no 0xff byte: it is UTF-8). */
export const afterPrefix = (prefix: Buffer): Buffer => {
  const key = Buffer.from(prefix);
  key[key.length - 1]! += 1;
  return key;
};
