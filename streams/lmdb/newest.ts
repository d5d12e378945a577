// Keeps a transaction from being built on an old state of the file. LMDB's defect ITS#9496, which lmdb-js still has: a process that opens the environment notes
// the newest transaction in the shared lock file from what it read some instants before, without a lock. Whoever commits in between is forgotten: the next
// writer begins from before that commit and writes over it, though it was acknowledged. Mended upstream in 2021, not in lmdb-js 3.5.6 (`mdb_env_open2`).
//
// B1. Every write transaction looks first: it must follow the newest meta page of the file, which cannot change while it holds the write lock.
// B2. One that does not writes nothing. The note is set right by the only thing that sets it: another opening of the environment, by a process of its own,
//     while the write lock is held, so that nothing is committed meanwhile.
// B3. Processes open one after the other (`open.lock`): what lmdb-js writes while it opens (a database's name) is not looked at by B1.
import { spawnSync } from 'node:child_process';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RootDatabase } from 'lmdb';
import { Fault } from '../../schemas/index.js';
import { lifeOf, type ProcessIdentity, thisProcess } from './process-identity.js';

/** For the process that sets the note right; it takes some 60 ms. */
const RENEW_MS = 10_000;
/** Opening takes milliseconds; a process that opens for so long hangs. */
const OPEN_LOCK_MS = 30_000;
const OPEN_LOCK_PAUSE_MS = 5;

type Root = Pick<RootDatabase<Buffer, Buffer>, 'getStats' | 'getWriteTxnId'>;

/** How large the file is, in pages. */
export interface Size {
  readonly pageSize: number;
  readonly lastPageNumber: number;
}

/** Inside a write transaction: the size it begins from; undefined where it is not built on the newest state (B1). */
export const newestSize = (root: Root): Size | undefined => {
  const stats = root.getStats() as Size & { readonly lastTxnId: number };
  return root.getWriteTxnId() === stats.lastTxnId + 1 ? stats : undefined;
};

const LMDB = import.meta.resolve('lmdb');
const OPEN_AND_CLOSE = `import { open } from ${JSON.stringify(LMDB)}; await open({ path: process.argv[1], noSubdir: false, readOnly: true, maxDbs: 16, maxReaders: 256 }).close();`;

/**
 * Sets the note right (B2). Call it inside a write transaction, and write nothing in that.
 * @throws Fault fatal `log_stale`
 */
export const renewNote = (dir: string): void => {
  const { status, error, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', OPEN_AND_CLOSE, dir], {
    timeout: RENEW_MS,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === 0) return;
  const why = error?.message ?? stderr.trim().split('\n').at(-1) ?? `exit code ${status}`;
  throw new Fault(
    'fatal',
    'log_stale',
    `${dir}: LMDB would write over its newest commit, and a process that mends that did not run: ${why}; start again`,
  );
};

/** The lock file's owner; undefined where there is none, or none that can be read. */
const ownerOf = (file: string): ProcessIdentity | undefined => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  } catch {
    return undefined;
  }
};

const take = (file: string, self: ProcessIdentity): boolean => {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, JSON.stringify(self));
  try {
    linkSync(own, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(own, { force: true });
  }
};

/** A lock whose owner is gone, moved away; two that do this at once find that one has moved nothing, or the other's new lock, which is put back. */
const breakDead = (file: string, self: ProcessIdentity): void => {
  const owner = ownerOf(file);
  if (owner === undefined || lifeOf(owner, self) !== 'dead') return;
  const aside = `${file}.${process.pid}.dead`;
  try {
    renameSync(file, aside);
    const moved = ownerOf(aside);
    if (moved !== undefined && lifeOf(moved, self) !== 'dead') linkSync(aside, file);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
};

/**
 * Runs `open` while no other process opens the environment in `dir` (B3).
 * @throws Fault retryable `log_opening` where another does so for OPEN_LOCK_MS
 */
export const whileNobodyOpens = async <T>(dir: string, open: () => T): Promise<T> => {
  const file = join(dir, 'open.lock');
  const self = thisProcess();
  for (let waited = 0; !take(file, self); waited += OPEN_LOCK_PAUSE_MS) {
    breakDead(file, self);
    if (waited >= OPEN_LOCK_MS)
      throw new Fault(
        'retryable',
        'log_opening',
        `another process has been opening ${dir} for ${OPEN_LOCK_MS / 1000} s (${file}); end it, or remove that file where there is none`,
      );
    await pause(OPEN_LOCK_PAUSE_MS);
  }
  try {
    return open();
  } finally {
    rmSync(file, { force: true });
  }
};
