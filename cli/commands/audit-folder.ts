// A history as a folder: written from a stream, and read to be verified.
//
// D1. A folder that looks whole is whole: files get their names when the stream has ended well, events last. What went wrong leaves nothing behind.
// D2. A line that is none of a bundle is told, with its number, and passed over: what it should have been is missing then.
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { copyFile, type FileHandle, mkdir, mkdtemp, open, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type AuditEvent,
  BUNDLE_FILES,
  type BundleFile,
  checkpointOfLine,
  eventOfLine,
  openNote,
  parseCheckpoint,
  type Verifier,
  type WrittenBundle,
  writeBundle,
} from '../../processors/audit/index.js';
import { type AuditCheckpoint, type Fault, isFault } from '../../schemas/index.js';
import { linesOf } from '../client/index.js';
import { badUsage } from '../exit.js';

/** In memory before it is written, characters. */
const WRITE_CHARS = 256 * 1024;
const EVENTS: BundleFile = 'events.jsonl';
const CHECKPOINTS: BundleFile = 'checkpoints.jsonl';

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Appends to files of a folder; on the disk when `close` has resolved. */
const openFiles = (folder: string) => {
  const files = new Map<BundleFile, { readonly handle: FileHandle; held: string }>();
  return {
    async write(name: BundleFile, text: string): Promise<void> {
      const file = files.get(name) ?? { handle: await open(join(folder, name), 'wx'), held: '' };
      files.set(name, file);
      file.held += text;
      if (file.held.length < WRITE_CHARS) return;
      await file.handle.appendFile(file.held);
      file.held = '';
    },
    async close(): Promise<void> {
      for (const { handle, held } of files.values()) {
        await handle.appendFile(held);
        await handle.sync();
      }
    },
    /** Gives the files back, whatever became of them. */
    async release(): Promise<void> {
      for (const { handle } of files.values()) await handle.close().catch(() => undefined);
    },
  };
};

const isEmpty = (folder: string): boolean => {
  try {
    return readdirSync(folder).length === 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw badUsage(`cannot write into ${folder} (${codeOf(error)}); give another folder`, error);
  }
};

/** @throws Fault `bad_usage` where something is in it already */
export const checkEmpty = (folder: string): void => {
  if (!isEmpty(folder)) throw badUsage(`there is something in ${folder} already; give an empty folder, or one that is not there yet`);
};

/**
 * D1. The bundle, and the scripts that go with it.
 * @param lines of the stream
 * @throws Fault `bad_usage` where the folder is not empty or cannot be written; what the stream throws; `bad_bundle` where it was cut off
 */
export const writeBundleFolder = async (
  folder: string,
  lines: AsyncIterable<string>,
  scripts: readonly string[] = [],
): Promise<WrittenBundle> => {
  checkEmpty(folder);
  const names = [...scripts.map((script) => basename(script)), ...BUNDLE_FILES.filter((file) => file !== EVENTS), EVENTS];
  const begun: string[] = [];
  let made: string | undefined;
  try {
    made = await mkdir(folder, { recursive: true });
    const half = await mkdtemp(join(folder, '.half-'));
    begun.push(half);
    const written = await writeFiles(half, lines);
    for (const script of scripts) await copyFile(script, join(half, basename(script)));
    for (const name of names) {
      await rename(join(half, name), join(folder, name));
      begun.push(join(folder, name));
    }
    await rmdir(half);
    return written;
  } catch (error) {
    for (const path of begun) await rm(path, { recursive: true, force: true });
    if (made !== undefined) await removeFolders(folder, made);
    throw isFault(error) || !(error instanceof Error && 'syscall' in error)
      ? error
      : badUsage(`cannot write into ${folder} (${codeOf(error)}); give another folder`, error);
  }
};

/** Those that were made for it, from the innermost on, as long as nothing else is in them. */
const removeFolders = async (folder: string, outermost: string): Promise<void> => {
  for (let path = folder; path.length >= outermost.length; path = dirname(path))
    if (
      !(await rmdir(path).then(
        () => true,
        () => false,
      ))
    )
      return;
};

const writeFiles = async (folder: string, lines: AsyncIterable<string>): Promise<WrittenBundle> => {
  const files = openFiles(folder);
  try {
    const written = await writeBundle(lines, files.write);
    if (written.events === 0 && written.checkpoints === 0)
      throw badUsage(`project ${written.project} has no event and no checkpoint; is it written right?`);
    await files.close();
    return written;
  } finally {
    await files.release();
  }
};

/** What a folder holds. It can be gone through more than once. */
export interface BundleFolder {
  readonly vkey: string;
  events(): AsyncIterable<AuditEvent>;
  checkpoints(): AsyncIterable<AuditCheckpoint>;
  /** D2. Of what was gone through so far. */
  readonly unreadable: ReadonlySet<string>;
}

const unusable = (folder: string, file: string, error: unknown): Fault =>
  badUsage(`${folder} is no exported history: ${file} cannot be read (${codeOf(error)})`, error);

/** @throws Fault `bad_usage` where a file is not there */
export const openBundleFolder = async (folder: string): Promise<BundleFolder> => {
  const vkey = await readFile(join(folder, 'key.vkey'), 'utf8').catch((error: unknown) => {
    throw unusable(folder, 'key.vkey', error);
  });
  for (const file of [EVENTS, CHECKPOINTS])
    if (!existsSync(join(folder, file))) throw unusable(folder, file, Object.assign(new Error(), { code: 'ENOENT' }));
  const unreadable = new Set<string>();
  async function* items<T>(file: BundleFile, itemOf: (line: string) => T): AsyncGenerator<T> {
    let number = 0;
    for await (const line of linesIn(folder, file)) {
      number++;
      if (line === '') continue;
      const item = fitting(line, itemOf);
      if (item !== undefined) yield item;
      else unreadable.add(`${file}, line ${number}: not what such a line is`);
    }
  }
  return {
    vkey: vkey.trim(),
    events: () => items(EVENTS, eventOfLine),
    checkpoints: () => items(CHECKPOINTS, checkpointOfLine),
    unreadable,
  };
};

const fitting = <T>(line: string, itemOf: (line: string) => T): T | undefined => {
  try {
    return itemOf(line);
  } catch (error) {
    if (isFault(error) && error.code === 'bad_bundle') return undefined;
    throw error;
  }
};

async function* linesIn(folder: string, file: BundleFile): AsyncGenerator<string> {
  try {
    yield* linesOf(createReadStream(join(folder, file)));
  } catch (error) {
    throw isFault(error) ? error : unusable(folder, file, error);
  }
}

/** Of which project it is: what the key signed says so, else what stands in it. */
export const projectOf = async ({ checkpoints, events }: BundleFolder, verifier: Verifier): Promise<string | undefined> => {
  let said: string | undefined;
  for await (const { note, project_id } of checkpoints()) {
    const text = openNote(note, verifier);
    const origin = text === undefined ? undefined : parseCheckpoint(text)?.origin;
    if (origin?.startsWith(`${verifier.name}/`)) return origin.slice(verifier.name.length + 1);
    said ??= project_id;
  }
  if (said !== undefined) return said;
  for await (const { headers } of events()) return headers.projectid;
  return undefined;
};
