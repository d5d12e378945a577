// The file that a command writes, as named with --out.
import { rename, writeFile } from 'node:fs/promises';
import { badUsage } from '../exit.js';

/** Writes a file whole or not at all. @throws badUsage where it cannot be written. */
export const writeWhole = async (path: string, text: string): Promise<void> => {
  const half = `${path}.${process.pid}.tmp`;
  try {
    await writeFile(half, text);
    await rename(half, path);
  } catch (cause) {
    throw badUsage(`cannot write ${path}: ${(cause as NodeJS.ErrnoException).code}; give another file with --out`, cause);
  }
};
