// The LMDB environment: its databases, its format, the partition count it was made for.
//
// S1. `overlappingSync: false`: a write transaction resolves after fdatasync of the pages and the O_DSYNC write of the meta page, so what is
// acknowledged is on disk (seen with strace: fdatasync, pwrite64 of the meta page, then the promise). S2. `eventTurnBatching: false`: with
// batching, lmdb-js leaves a second promise behind that nobody holds, and a failed commit ends the process with an unhandled rejection.
// S3. A process opens an environment once, however often it opens the directory: opening takes the write lock synchronously, which would wait for
// ever for a transaction of the same process whose callback needs this very thread.
import { mkdirSync, realpathSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { Fault } from '../../schemas/index.js';
import { newestSize, renewNote, whileNobodyOpens } from './newest.js';

/** Rises when the layout changes in a way that an older build cannot read. */
const FORMAT = 1;

export type Binary = Database<Buffer, Buffer>;

export interface Store {
  readonly dir: string;
  readonly partitions: number;
  readonly root: RootDatabase<Buffer, Buffer>;
  /** shard key + base offset -> batch */
  readonly batches: Binary;
  /** shard key -> next offset (f64) */
  readonly tails: Binary;
  /** members, claims and counters of groups, JSON */
  readonly groups: Binary;
  /** group, topic, partition, key -> state */
  readonly states: Binary;
  /** collection, id -> document */
  readonly documents: Binary;
  /** collection, index key, id -> id */
  readonly indexes: Binary;
  /** view, partition -> next offset (f64) */
  readonly checkpoints: Binary;
  close(): Promise<void>;
}

interface Shared {
  readonly store: Omit<Store, 'close'>;
  users: number;
}

const shared = new Map<string, Shared>();
const closing = new Map<string, Promise<void>>();

/** @throws Fault fatal `log_format` or `log_partitions` when the directory was made by a newer build or with another partition count. */
export const openStore = async (dir: string, partitions: number): Promise<Store> => {
  mkdirSync(dir, { recursive: true });
  const path = realpathSync(dir);
  while (closing.has(path)) await closing.get(path);
  let entry = shared.get(path);
  if (entry === undefined) {
    const opening = whileNobodyOpens(dir, () => openEnvironment(dir, partitions));
    closing.set(
      path,
      opening.then(
        () => undefined,
        () => undefined,
      ),
    );
    try {
      entry = { store: await opening, users: 0 };
    } finally {
      closing.delete(path);
    }
    shared.set(path, entry);
  } else if (entry.store.partitions !== partitions) throw otherPartitions(dir, entry.store.partitions, partitions);
  entry.users += 1;
  return { ...entry.store, close: () => release(path, entry) };
};

const release = async (path: string, entry: Shared): Promise<void> => {
  entry.users -= 1;
  if (entry.users > 0) return;
  shared.delete(path);
  const closed = entry.store.root.close().finally(() => closing.delete(path));
  closing.set(path, closed);
  await closed;
};

const openEnvironment = (dir: string, partitions: number): Omit<Store, 'close'> => {
  const root = open<Buffer, Buffer>({
    path: dir,
    noSubdir: false,
    overlappingSync: false,
    eventTurnBatching: false,
    maxDbs: 16,
    maxReaders: 256,
    encoding: 'binary',
    keyEncoding: 'binary',
  });
  root.transactionSync(() => {
    if (newestSize(root) === undefined) renewNote(dir);
  });
  const database = (name: string): Binary => root.openDB<Buffer, Buffer>(name, { encoding: 'binary', keyEncoding: 'binary' });
  const meta = database('meta');
  try {
    checkMeta(meta, dir, partitions);
  } catch (error) {
    void root.close();
    throw error;
  }
  return {
    dir,
    partitions,
    root,
    batches: database('batches'),
    tails: database('tails'),
    groups: database('groups'),
    states: database('states'),
    documents: database('documents'),
    indexes: database('indexes'),
    checkpoints: database('checkpoints'),
  };
};

const META = Buffer.from('format');

const checkMeta = (meta: Binary, dir: string, partitions: number): void => {
  const found = meta.transactionSync(() => {
    const bytes = meta.get(META);
    if (bytes === undefined) meta.put(META, Buffer.from(JSON.stringify({ format: FORMAT, partitions })));
    return bytes;
  });
  if (found === undefined) return;
  const stored = JSON.parse(found.toString()) as { format: number; partitions: number };
  if (stored.format > FORMAT)
    throw new Fault(
      'fatal',
      'log_format',
      `${dir} has format ${stored.format}, this build knows up to ${FORMAT}; use the build that wrote it, or a newer one`,
    );
  if (stored.partitions !== partitions) throw otherPartitions(dir, stored.partitions, partitions);
};

const otherPartitions = (dir: string, made: number, configured: number): Fault =>
  new Fault(
    'fatal',
    'log_partitions',
    `${dir} was made with ${made} partitions, but ${configured} are configured; a key would change its partition and lose its order. Set partitions to ${made}, or start with an empty directory`,
  );

export const readNumber = (bytes: Buffer | undefined): number => (bytes === undefined ? 0 : bytes.readDoubleLE(0));

export const numberBytes = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(value, 0);
  return bytes;
};
