// A small file system of its own, to be filled. Needs root on Linux.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

export interface SmallDisk {
  readonly dir: string;
  unmount(): void;
}

/** undefined where mounting is not permitted. */
export const mountSmallDisk = (dir: string, bytes: number): SmallDisk | undefined => {
  mkdirSync(dir, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return { dir, unmount: () => void execFileSync('umount', ['-l', dir]) };
};
