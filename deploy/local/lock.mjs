// One at a time, across processes: a lock is a file that holds its owner's identity.
//
// K2. The owner's death frees it: whoever comes next moves it away by rename.
// K3. Two that move the same dead lock away at once: one finds that it moved a living one, and puts it back. So a lock saves double work;
//     what must not be wrong rests on more (the rename in fetch.mjs; the port, and the server's own lock on its data, in supervise.mjs).
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { failure } from './failure.mjs';
import { identityOf, lives } from './identity.mjs';

const PAUSE_MS = 100;

const ownerOf = (file) => {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
};

const take = (file) => {
  const mine = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(mine, JSON.stringify(identityOf(process.pid)));
  try {
    linkSync(mine, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
};

const breakDead = (file) => {
  const owner = ownerOf(file);
  if (owner === undefined || lives(owner)) return;
  const aside = `${file}.${process.pid}.dead`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const moved = ownerOf(aside);
  try {
    if (moved && lives(moved)) linkSync(aside, file);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(aside, { force: true });
  }
};

/**
 * Runs `work` while no other process of this machine holds `file`.
 * @throws failure `locked` after `limitMs`
 */
export const withLock = async (file, limitMs, work) => {
  const until = Date.now() + limitMs;
  while (!take(file)) {
    breakDead(file);
    if (Date.now() > until)
      throw failure(
        'locked',
        `${file} has been held for ${limitMs / 1000} s by process ${ownerOf(file)?.pid}. Wait for it or end it, then try again.`,
      );
    await pause(PAUSE_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
};
