// Where the bench keeps what it makes: everything lies under one cache folder, on the disk that is measured, never in the repository.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `DATS_CACHE`, else `$XDG_CACHE_HOME/dats`, else `~/.cache/dats`. */
export const cacheDir = (): string => process.env.DATS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'dats');

const made = new Set<string>();
process.on('exit', () => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

/** A fresh folder on the measured disk; whoever asked removes it with `removeDir`, and the end of the process does in any case. */
export const freshDir = async (name: string): Promise<string> => {
  const base = join(cacheDir(), 'bench');
  await mkdir(base, { recursive: true });
  const dir = await mkdtemp(join(base, `${name}-`));
  made.add(dir);
  return dir;
};

export const removeDir = async (dir: string): Promise<void> => {
  await rm(dir, { recursive: true, force: true });
  made.delete(dir);
};

/** Magic number of tmpfs: a folder there makes every durable figure worthless. */
const TMPFS = 0x01021994;
export const isInMemory = async (dir: string): Promise<boolean> => (await statfs(dir)).type === TMPFS;
