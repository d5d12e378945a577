// Opens the directory: the log and the view store on one LMDB environment and one group commit.
//
// O1. Every process looks at once when another pokes it, and every POLL_MS in any case. O2. Idle costs a few reads per poll, no write.
import type { ViewStore } from '../view-store.js';
import { GroupCommit } from './group-commit.js';
import { Groups, kernelLiveness, type Liveness } from './groups.js';
import { LmdbLog } from './log.js';
import { openStore } from './store.js';
import { LmdbViewStore } from './view-store.js';
import { openWake } from './wake.js';

/** How long a change of another process can stay unseen when its poke gets lost, in milliseconds. */
export const POLL_MS = 250;

export interface LmdbOptions {
  /** The directory; made when it is not there. */
  readonly dir: string;
  /** Name of this node, as `lag` shows it. */
  readonly node: string;
  /** Partitions of every topic; fixed when the directory is made. */
  readonly partitions: number;
  /** Refuse records (`disk_full`) rather than let the file grow beyond this, in bytes; default: no limit but the disk's. */
  readonly maxBytes?: number;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
  /** How members of other processes are judged; default: the kernel's word, else heartbeats. */
  readonly liveness?: Liveness;
}

export interface LmdbStorage {
  readonly log: LmdbLog;
  readonly views: ViewStore;
  /** Closes log, views and the environment; so does closing either of them. Twice is fine. */
  close(): Promise<void>;
}

/** @throws Fault fatal `log_format` or `log_partitions` (see `openStore`). */
export const openLmdbStorage = async (options: LmdbOptions): Promise<LmdbStorage> => {
  const { dir, node, partitions, maxBytes, now = Date.now, liveness = kernelLiveness() } = options;
  const store = await openStore(dir, partitions);
  let poke = () => {};
  const commits = new GroupCommit({ store, maxBytes, committed: () => poke() });
  const groups = new Groups(store, commits, liveness);
  const release = async () => {
    clearInterval(poll);
    await groups.settled();
    await commits.close();
    await wake.close();
    await store.close();
  };
  const log = new LmdbLog({ store, commits, groups, node, now, release });
  const look = () => {
    store.root.resetReadTxn();
    log.refresh();
    groups.refresh();
  };
  const wake = await openWake(dir, look);
  poke = wake.poke;
  const poll = setInterval(() => {
    look();
    groups.watch();
  }, POLL_MS);
  poll.unref();
  return { log, views: new LmdbViewStore(store, commits, () => log.close()), close: () => log.close() };
};

/** The log alone. */
export const openLmdbLog = async (options: LmdbOptions): Promise<LmdbLog> => (await openLmdbStorage(options)).log;

/** The view store alone. */
export const openLmdbViewStore = async (options: LmdbOptions): Promise<ViewStore> => (await openLmdbStorage(options)).views;
