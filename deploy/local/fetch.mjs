// The cache of downloads, one a user: shared by all checkouts and tests.
//
// F1. A folder of the cache is complete or not there: it is made beside its place and renamed into it.
// F2. Two that fetch at once: one fetches, the other waits for it (and if both fetch after all, the first rename wins).
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';

const FETCH_LIMIT_MS = 15 * 60_000;
const LEFT_OVER_AFTER_MS = 24 * 3_600_000;

const moveInto = (made, place) => {
  try {
    renameSync(made, place);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
};

/** What a killed download left behind; another process may sweep at the same time. */
const sweep = (cache) => {
  for (const name of readdirSync(cache).filter((one) => one.startsWith('.making-'))) {
    const folder = join(cache, name);
    const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > LEFT_OVER_AFTER_MS) rmSync(folder, { recursive: true, force: true });
  }
};

/**
 * The folder `<cache>/<name>`; where it is not there yet, `fill` gets an empty folder to fill, which becomes it.
 * @param {{ cache: string, name: string, fill: (folder: string) => Promise<void>, limitMs?: number }} wanted
 * @throws failure `locked` when another process fetches for longer than `limitMs` (15 minutes), and what `fill` throws
 */
export const fetched = async ({ cache, name, fill, limitMs = FETCH_LIMIT_MS }) => {
  const place = join(cache, name);
  if (existsSync(place)) return place;
  mkdirSync(cache, { recursive: true });
  await withLock(`${place}.lock`, limitMs, async () => {
    if (existsSync(place)) return;
    sweep(cache);
    const made = mkdtempSync(join(cache, `.making-${name}-`));
    try {
      await fill(made);
      moveInto(made, place);
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  });
  return place;
};
