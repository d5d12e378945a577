// The artifact store on disk: one file per content, named by its digest (`ab/cdef...`).
//
// B1-B3 of artifact-store.ts. F1. A file appears under its name only when it is whole and on disk: written beside, synced, renamed, folder synced.
// F2. What fails leaves nothing behind. Temporary files live in a folder of their own; what a crash left there is removed at a later open, once it is
// ABANDONED_MS old: younger ones may be another process's, for several processes share one store.
import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault, sha256Schema } from '../schemas/index.js';
import type { ArtifactStore } from './artifact-store.js';

const TEMPORARY = 'incoming';
/** No write takes so long, in milliseconds: an older temporary file is nobody's. */
const ABANDONED_MS = 60 * 60 * 1000;

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);
const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT'];
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Makes a name durable: renames and new folders are entries of their parent. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function removeAbandoned(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    // Whoever wrote it may be done with it by now.
    const written = await stat(path).catch(() => undefined);
    if (written !== undefined && Date.now() - written.mtimeMs > ABANDONED_MS) await rm(path, { force: true });
  }
}

export interface ArtifactFilesOptions {
  /** How a file is written durably; tests give one that fails. */
  readonly write?: (path: string, bytes: Uint8Array) => Promise<void>;
}

/** Opens the store in `dir`, which several processes may share. @throws Fault retryable `disk_full`. */
export async function openArtifactFiles(dir: string, options: ArtifactFilesOptions = {}): Promise<ArtifactStore> {
  const writeFile = options.write ?? writeDurably;
  const incoming = join(dir, TEMPORARY);
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  await removeAbandoned(incoming);
  /** Puts of the same bytes at the same time share one write. */
  const writing = new Map<string, Promise<void>>();

  async function write(sha256: string, bytes: Uint8Array): Promise<void> {
    const folder = join(dir, sha256.slice(0, 2));
    const path = join(folder, sha256.slice(2));
    if (await holds(path, sha256)) return;
    const temporary = join(incoming, randomUUID());
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, bytes);
      await rename(temporary, path);
      await Promise.all([syncFolder(folder), syncFolder(dir)]);
    } catch (error) {
      await rm(temporary, { force: true });
      if (!FULL.includes(codeOf(error))) throw error;
      throw new Fault(
        'retryable',
        'disk_full',
        `There is no room left for an artifact of ${bytes.byteLength} bytes: free space on the data volume.`,
        { cause: error },
      );
    }
  }

  /** A file that rotted on disk is written again rather than trusted. */
  async function holds(path: string, sha256: string): Promise<boolean> {
    const there = await access(path).then(
      () => true,
      () => false,
    );
    return there && digest(await readFile(path)) === sha256;
  }

  return {
    async put(bytes) {
      const sha256 = digest(bytes);
      const running = writing.get(sha256) ?? write(sha256, bytes).finally(() => writing.delete(sha256));
      writing.set(sha256, running);
      await running;
      return sha256;
    },
    async get(sha256) {
      const missing = (cause?: unknown) =>
        new Fault(
          'terminal',
          'content_missing',
          `The artifact store holds nothing under ${sha256.slice(0, 64)}: restore the data directory from a backup.`,
          { cause },
        );
      if (!sha256Schema.safeParse(sha256).success) throw missing();
      const bytes = await readFile(join(dir, sha256.slice(0, 2), sha256.slice(2))).catch((error: unknown) => {
        throw codeOf(error) === 'ENOENT' ? missing(error) : error;
      });
      if (digest(bytes) !== sha256)
        throw new Fault('terminal', 'content_corrupt', `The content stored under ${sha256} has changed on disk: restore it from a backup.`);
      return bytes;
    },
  };
}
