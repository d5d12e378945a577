// Writes a task's files into a folder. The paths come from a model, so:
//
// W1. Nothing is written outside the folder, whatever the path says. W2. A symbolic link on the way is refused, not followed.
// W3. A file that is there with other content is kept unless `overwrite` is set. W4. All paths are checked before the first file is written.
import { constants } from 'node:fs';
import { lstat, mkdir, open, readFile, realpath } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Fault, isSafePath } from '../schemas/index.js';

export interface FileToWrite {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface WrittenFile {
  /** Absolute. */
  readonly path: string;
  readonly what: 'written' | 'unchanged' | 'replaced';
}

const refuse = (message: string): Fault => new Fault('terminal', 'unsafe_path', message);

const statOf = async (path: string) => {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/** Does every folder on the way to `path` stay a real folder below `root`? */
const checkWay = async (root: string, path: string): Promise<void> => {
  const parts = path.split('/');
  let here = root;
  for (const [i, part] of parts.entries()) {
    here = join(here, part);
    const stat = await statOf(here);
    if (stat === undefined) return;
    if (stat.isSymbolicLink()) throw refuse(`${here} is a symbolic link; it is not followed. Remove it, or give another folder with --out`);
    const last = i === parts.length - 1;
    if (!last && !stat.isDirectory()) throw refuse(`${here} is not a folder, but ${path} needs one there; give another folder with --out`);
    if (last && !stat.isFile()) throw refuse(`${here} is there and is not a file; give another folder with --out`);
  }
};

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Creates `folder` where it is missing. @throws Fault `unsafe_path`, `file_exists`. */
export const writeFiles = async (folder: string, files: readonly FileToWrite[], overwrite = false): Promise<readonly WrittenFile[]> => {
  for (const { path } of files)
    if (!isSafePath(path))
      throw refuse(`"${JSON.stringify(path).slice(1, -1)}" leads out of the folder or is no plain path; nothing was written`);
  await mkdir(folder, { recursive: true });
  const root = await realpath(resolve(folder));
  const before = new Map<string, Uint8Array>();
  for (const { path, bytes } of files) {
    await checkWay(root, path);
    const target = join(root, path);
    if ((await statOf(target)) === undefined) continue;
    const there = await readFile(target);
    before.set(path, there);
    if (!overwrite && !sameBytes(there, bytes))
      throw new Fault(
        'terminal',
        'file_exists',
        `${target} is there with other content; nothing was written. Give --force to replace it, or another folder with --out`,
      );
  }
  const written: WrittenFile[] = [];
  for (const { path, bytes } of files) {
    const target = join(root, path);
    const there = before.get(path);
    if (there !== undefined && sameBytes(there, bytes)) {
      written.push({ path: target, what: 'unchanged' });
      continue;
    }
    await mkdir(dirname(target), { recursive: true });
    await checkWay(root, path);
    const file = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o644);
    try {
      await file.writeFile(bytes);
    } finally {
      await file.close();
    }
    written.push({ path: target, what: there === undefined ? 'written' : 'replaced' });
  }
  return written;
};
