// What LMDB and the file system throw, as Faults.
import { statfsSync } from 'node:fs';
import { Fault, isFault } from '../../schemas/index.js';

const EIO = 5;
const NO_ROOM = new Set([28, 122, -30792]); // ENOSPC, EDQUOT, MDB_MAP_FULL
/** A file system with less than this free, in bytes, counts as full when a write to it failed. */
const FULL_BELOW_BYTES = 1024 * 1024;

/** Bytes that are still free where `dir` lies; where nobody can tell, there is room. */
export const freeBytes = (dir: string): number => {
  try {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
};

export const diskFull = (dir: string, why: string, cause?: unknown): Fault =>
  new Fault('retryable', 'disk_full', `${why}, so nothing was written to ${dir}; make room, then it goes on by itself`, { cause });

export const corrupt = (what: string): Fault =>
  new Fault('fatal', 'log_corrupt', `${what}; stop the processes that use this directory and restore it from a backup or another replica`);

export const keyTooLarge = (what: string, bytes: number, limit: number): Fault =>
  new Fault('terminal', 'key_too_large', `${what} has ${bytes} bytes, the limit is ${limit}; use a shorter one`);

/** LMDB says EIO when a write fell short, which is what the last bytes of a full disk do. */
const isFull = (code: unknown, dir: string): boolean => NO_ROOM.has(code as number) || (code === EIO && freeBytes(dir) < FULL_BELOW_BYTES);

/** How long lmdb-js may take to hand over the reason after it rejected a commit, in milliseconds. */
const REASON_WITHIN_MS = 1000;

/** The reason of a failed commit: lmdb-js rejects first and tells why a moment later. */
const reasonOf = async (error: unknown): Promise<unknown> => {
  const later = (error as { commitError?: Promise<never> }).commitError;
  if (later === undefined) return error;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<unknown>((resolve) => {
    timer = setTimeout(() => resolve(error), REASON_WITHIN_MS);
  });
  const reason = await Promise.race([later.catch((cause: unknown) => cause), late]);
  clearTimeout(timer);
  return reason;
};

export const writeFault = async (error: unknown, dir: string): Promise<Fault> => {
  if (isFault(error)) return error;
  const reason = await reasonOf(error);
  const code = (reason as { code?: unknown }).code;
  if (isFull(code, dir)) return diskFull(dir, 'the disk is full', reason);
  const said = reason instanceof Error ? reason.message : String(reason);
  return new Fault(
    'retryable',
    'log_write_failed',
    `the log in ${dir} could not be written (${said}, code ${String(code)}); nothing was written, look at the disk`,
    {
      cause: reason,
    },
  );
};
