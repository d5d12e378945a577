// The LMDB environment: its databases, its format, the partition count it was made for.
//
// S1. `overlappingSync: false`: a write transaction resolves after fdatasync of the pages and the O_DSYNC write of the meta page, so what is
// acknowledged is on disk (seen with strace: fdatasync, pwrite64 of the meta page, then the promise). S2. `eventTurnBatching: false`: with
// batching, lmdb-js leaves a second promise behind that nobody holds, and a failed commit ends the process with an unhandled rejection.
import { mkdirSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { Fault } from '../../schemas/index.js';

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

/** @throws Fault fatal `log_format` or `log_partitions` when the directory was made by a newer build or with another partition count. */
export const openStore = (dir: string, partitions: number): Store => {
  mkdirSync(dir, { recursive: true });
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
    close: () => root.close(),
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
    throw new Fault('fatal', 'log_format', `${dir} has format ${stored.format}, this build knows up to ${FORMAT}; use the build that wrote it, or a newer one`);
  if (stored.partitions !== partitions)
    throw new Fault(
      'fatal',
      'log_partitions',
      `${dir} was made with ${stored.partitions} partitions, but ${partitions} are configured; a key would change its partition and lose its order. Set partitions to ${stored.partitions}, or start with an empty directory`,
    );
};

export const readNumber = (bytes: Buffer | undefined): number => (bytes === undefined ? 0 : bytes.readDoubleLE(0));

export const numberBytes = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleLE(value, 0);
  return bytes;
};
