// Where the bench keeps what it makes: everything lies under one cache folder, on the disk that is measured, never in the repository.
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `DATS_CACHE`, else `$XDG_CACHE_HOME/dats`, else `~/.cache/dats`. */
export const cacheDir = (): string => process.env.DATS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'dats');

/** A fresh folder on the measured disk; whoever asked removes it with `removeDir`. */
export const freshDir = async (name: string): Promise<string> => {
  const base = join(cacheDir(), 'bench');
  await mkdir(base, { recursive: true });
  return mkdtemp(join(base, `${name}-`));
};

export const removeDir = (dir: string): Promise<void> => rm(dir, { recursive: true, force: true });

/** Magic number of tmpfs: a folder there makes every durable figure worthless. */
const TMPFS = 0x01021994;
export const isInMemory = async (dir: string): Promise<boolean> => (await statfs(dir)).type === TMPFS;
