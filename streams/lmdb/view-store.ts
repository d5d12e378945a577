// The view store in the log's own LMDB environment: its writes share the log's group commit, its reads are synchronous.
//
// document = f64 version, u32 bytes of index keys, index keys (JSON), document (JSON; empty when deleted)
import { Fault } from '../../schemas/index.js';
import { checkpointConflict, type Document, type ViewCheckpoint, type ViewStore } from '../view-store.js';
import type { GroupCommit } from './group-commit.js';
import { afterPrefix, idKey, textKey } from './keys.js';
import { numberBytes, readNumber, type Store } from './store.js';

const HEAD = 12;
/** What a document costs besides its bytes. */
const ENTRY_OVERHEAD_BYTES = 128;

/** A document is put together in `scratch`, which goes back to this size after a larger one, in bytes. */
const SCRATCH_BYTES = 256 * 1024;

interface Prepared {
  readonly collection: string;
  readonly id: string;
  readonly key: Buffer;
  readonly version: number;
  /** Empty: delete. */
  readonly json: string;
  /** The index keys as text, and as they lie in the index: for the first write. */
  readonly indexes: string;
  readonly indexKeys: readonly Buffer[];
}

export class LmdbViewStore implements ViewStore {
  readonly #store: Store;
  readonly #commits: GroupCommit;
  readonly #onClose: () => Promise<void>;

  constructor(store: Store, commits: GroupCommit, onClose: () => Promise<void>) {
    this.#store = store;
    this.#commits = commits;
    this.#onClose = onClose;
  }

  get<T>(collection: string, id: string): T | undefined {
    this.#commits.checkOpen();
    const bytes = this.#store.documents.getBinaryFast(idKey(collection, id));
    if (bytes === undefined) return undefined;
    const begin = HEAD + bytes.readUInt32LE(8);
    return bytes.length === begin ? undefined : (JSON.parse(bytes.toString('utf8', begin, bytes.length)) as T);
  }

  async put(documents: readonly Document[], checkpoint?: ViewCheckpoint): Promise<void> {
    const prepared = documents.map(prepare);
    const bytes = prepared.reduce((sum, { json, key }) => sum + json.length + key.length + ENTRY_OVERHEAD_BYTES, 0);
    await this.#commits.submit({
      bytes,
      apply: () => {
        if (checkpoint !== undefined) this.#moveCheckpoint(checkpoint);
        for (const document of prepared) this.#write(document);
      },
    });
  }

  async checkpoint(view: string, partition: number): Promise<number> {
    this.#commits.checkOpen();
    return readNumber(this.#store.checkpoints.get(textKey(view, String(partition))));
  }

  async list(
    collection: string,
    prefix: string,
    { after, limit, reverse = false }: { readonly after?: string; readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly { readonly key: string; readonly id: string }[]> {
    this.#commits.checkOpen();
    const first = textKey(collection, prefix);
    const last = afterPrefix(first);
    const own = Buffer.byteLength(collection) + 1;
    const past = after === undefined ? undefined : textKey(collection, `${after}${reverse ? '\0' : '\u0001'}`);
    const start = reverse
      ? past === undefined || Buffer.compare(past, last) > 0
        ? last
        : past
      : past === undefined || Buffer.compare(past, first) < 0
        ? first
        : past;
    const found: { key: string; id: string }[] = [];
    const range = reverse
      ? { start, end: first, inclusiveEnd: true, reverse: true, exclusiveStart: true, limit }
      : { start, end: last, limit };
    for (const { key, value } of this.#store.indexes.getRange(range)) {
      const id = value.toString();
      found.push({ key: key.toString('utf8', own, key.length - value.length - 1), id });
    }
    return found;
  }

  async clear(): Promise<void> {
    const { documents, indexes, checkpoints } = this.#store;
    await this.#commits.submit({
      bytes: 0,
      apply: () => {
        for (const database of [documents, indexes, checkpoints]) void database.clearAsync();
      },
    });
  }

  close(): Promise<void> {
    return this.#onClose();
  }

  #write({ collection, id, key, version, json, indexes, indexKeys }: Prepared): void {
    const { documents } = this.#store;
    const stored = documents.getBinaryFast(key);
    if (stored === undefined) {
      this.#addIndexes(id, indexKeys);
      void documents.put(key, documentBytes(version, indexes, json));
      return;
    }
    if (stored.readDoubleLE(0) >= version) return;
    const end = HEAD + stored.readUInt32LE(8);
    const alive = stored.length > end;
    if (json === '') {
      const old = alive ? indexesIn(stored, end) : [];
      for (const index of old) void this.#store.indexes.remove(textKey(collection, index, id));
      void documents.put(key, documentBytes(version, '', json));
    } else if (alive) void documents.put(key, documentBytes(version, stored.subarray(HEAD, end), json));
    else {
      this.#addIndexes(id, indexKeys);
      void documents.put(key, documentBytes(version, indexes, json));
    }
  }

  #addIndexes(id: string, keys: readonly Buffer[]): void {
    if (keys.length === 0) return;
    const value = Buffer.from(id);
    for (const key of keys) void this.#store.indexes.put(key, value);
  }

  /** Before anything else is written: a conflict must leave no trace in the transaction. */
  #moveCheckpoint(checkpoint: ViewCheckpoint): void {
    const { checkpoints } = this.#store;
    const key = textKey(checkpoint.view, String(checkpoint.partition));
    const stored = readNumber(checkpoints.get(key));
    if (stored !== checkpoint.from) throw checkpointConflict(checkpoint, stored);
    if (checkpoint.next > stored) void checkpoints.put(key, numberBytes(checkpoint.next));
  }
}

/** @throws Fault terminal `bad_index` or `key_too_large`. */
const prepare = ({ collection, id, version, doc, indexes }: Document): Prepared => {
  const key = idKey(collection, id);
  if (doc === null) return { collection, id, key, version, json: '', indexes: '', indexKeys: [] };
  const json = JSON.stringify(doc);
  if (indexes === undefined || indexes.length === 0) return { collection, id, key, version, json, indexes: '', indexKeys: [] };
  const indexKeys = indexes.map((index) => {
    if (index.includes('\0'))
      throw new Fault('terminal', 'bad_index', `an index key of ${collection} ${id} holds a zero character; index keys are plain text`);
    return textKey(collection, index, id);
  });
  return { collection, id, key, version, json, indexes: JSON.stringify(indexes), indexKeys };
};

let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** The stored form; index keys as text or as they were stored. Good until the next call: inside a transaction a put copies at once. */
const documentBytes = (version: number, indexes: string | Buffer, json: string): Buffer => {
  const atMost = HEAD + (indexes.length + json.length) * 3;
  if (scratch.length < atMost || scratch.length > SCRATCH_BYTES) scratch = Buffer.allocUnsafeSlow(Math.max(SCRATCH_BYTES, atMost));
  const keyBytes = typeof indexes === 'string' ? scratch.write(indexes, HEAD) : indexes.copy(scratch, HEAD);
  const begin = HEAD + keyBytes;
  const end = begin + scratch.write(json, begin);
  scratch.writeDoubleLE(version, 0);
  scratch.writeUInt32LE(keyBytes, 8);
  return scratch.subarray(0, end);
};

const indexesIn = (document: Buffer, end: number): readonly string[] =>
  end === HEAD ? [] : (JSON.parse(document.toString('utf8', HEAD, end)) as string[]);
