// The view store in Redis: four keys, one script for all writes (`put-script.ts`).
//
// W1. What a `put` acknowledged is what the next `get`, `list` and `checkpoint` of any process see: all of them ask the one primary.
// W2. Checkpoints carry a token that every write draws anew. A writer goes on only from the token that it left, or read before it read documents:
// a store that was emptied and brought back to the same offset by somebody else is not taken for the one it knew (V4). So a token is not replaced
// when somebody else in this process looks at the checkpoint, only dropped by a refused write. W3. Nothing in it outlives Redis: what is
// gone is written again from the log.
import { randomUUID } from 'node:crypto';
import { Fault } from '../../schemas/index.js';
import { checkpointConflict, type Document, type ViewCheckpoint, type ViewStore } from '../view-store.js';
import { connectRedis, DEFAULT_PREFIX, type RedisConnection, type RedisOptions } from './connection.js';
import { PUT, WRITTEN } from './put-script.js';

/** What may be on its way to Redis at once, in characters: whoever comes then is told to come again. */
const WAITING_CHARS = 64 * 1024 * 1024;

/**
 * Opens the views in Redis; also while Redis is away, as it is looked for from then on.
 * @throws Fault fatal `bad_redis_url`.
 */
export const openRedisViewStore = async ({ url, prefix = DEFAULT_PREFIX }: RedisOptions): Promise<ViewStore> =>
  new RedisViewStore(await connectRedis({ url, what: 'the view store', code: 'views_unavailable' }), prefix);

class RedisViewStore implements ViewStore {
  readonly #connection: RedisConnection;
  readonly #documents: string;
  readonly #keys: string;
  readonly #index: string;
  readonly #checkpoints: string;
  /** Checkpoint field -> the token that this process goes on from (W2). */
  readonly #tokens = new Map<string, string>();
  #waiting = 0;

  constructor(connection: RedisConnection, prefix: string) {
    this.#connection = connection;
    this.#documents = `${prefix}{views}:documents`;
    this.#keys = `${prefix}{views}:keys`;
    this.#index = `${prefix}{views}:index`;
    this.#checkpoints = `${prefix}{views}:checkpoints`;
  }

  async get<T>(collection: string, id: string): Promise<T | undefined> {
    const stored = await this.#connection.call((redis) => redis.hget(this.#documents, fieldOf(collection, id)));
    if (stored === null) return undefined;
    const json = stored.slice(stored.indexOf('\0') + 1);
    return json === '' ? undefined : (JSON.parse(json) as T);
  }

  async put(documents: readonly Document[], checkpoint?: ViewCheckpoint): Promise<void> {
    const field = checkpoint === undefined ? '' : checkpointField(checkpoint.view, checkpoint.partition);
    const token = randomUUID();
    const args: (string | number)[] = [field, checkpoint?.from ?? 0, checkpoint?.next ?? 0, this.#tokens.get(field) ?? '', token];
    // Before the first await: the caller may change the documents afterwards.
    let chars = 0;
    for (const document of documents) chars += addDocument(args, document);
    if (this.#waiting > 0 && this.#waiting + chars > WAITING_CHARS)
      throw new Fault('retryable', 'views_busy', `${this.#waiting} characters are on their way to Redis already; write more slowly`);
    this.#waiting += chars;
    try {
      const found = await this.#connection.run(PUT, [this.#documents, this.#keys, this.#index, this.#checkpoints], args);
      if (checkpoint === undefined) return;
      if (found === WRITTEN) {
        this.#tokens.set(field, token);
        return;
      }
      this.#tokens.delete(field);
      throw checkpointConflict(checkpoint, found as number);
    } finally {
      this.#waiting -= chars;
    }
  }

  async checkpoint(view: string, partition: number): Promise<number> {
    const field = checkpointField(view, partition);
    const stored = await this.#connection.call((redis) => redis.hget(this.#checkpoints, field));
    if (stored === null) return 0;
    const space = stored.indexOf(' ');
    if (!this.#tokens.has(field)) this.#tokens.set(field, stored.slice(space + 1));
    return Number(stored.slice(0, space));
  }

  async list(
    collection: string,
    prefix: string,
    { after, limit, reverse = false }: { readonly after?: string; readonly limit: number; readonly reverse?: boolean },
  ): Promise<readonly { readonly key: string; readonly id: string }[]> {
    const first = bytes(collection, prefix);
    const end = afterAll(first);
    const past = after === undefined ? undefined : bytes(collection, `${after}${reverse ? '\0' : '\u0001'}`);
    const from = !reverse && past !== undefined && Buffer.compare(past, first) > 0 ? past : first;
    const to = reverse && past !== undefined && Buffer.compare(past, end) < 0 ? past : end;
    const [low, high] = [bound('[', from), bound('(', to)];
    const members = await this.#connection.call((redis) =>
      reverse
        ? redis.zrevrangebylex(this.#index, high, low, 'LIMIT', 0, limit)
        : redis.zrangebylex(this.#index, low, high, 'LIMIT', 0, limit),
    );
    return members.map((member) => {
      const key = collection.length + 1;
      const id = member.indexOf('\0', key);
      return { key: member.slice(key, id), id: member.slice(id + 1) };
    });
  }

  async clear(): Promise<void> {
    this.#tokens.clear();
    await this.#connection.call((redis) => redis.unlink(this.#documents, this.#keys, this.#index, this.#checkpoints));
  }

  async health(): Promise<{ readonly ok: boolean; readonly detail?: string }> {
    try {
      const info = await this.#connection.call((redis) => redis.info('memory'));
      return healthIn(info, this.#connection.address);
    } catch (error) {
      return { ok: false, detail: error instanceof Error ? error.message : String(error) };
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

const fieldOf = (collection: string, id: string): string => `${collection}\0${id}`;
const checkpointField = (view: string, partition: number): string => `${view}/${partition}`;
const bytes = (collection: string, key: string): Buffer => Buffer.from(`${collection}\0${key}`);
const bound = (mark: '[' | '(', at: Buffer): Buffer => Buffer.concat([Buffer.from(mark), at]);

/** The first bytes after all that begin with `prefix` (which ends in no 0xff byte: it is UTF-8). */
const afterAll = (prefix: Buffer): Buffer => {
  const end = Buffer.from(prefix);
  end[end.length - 1]! += 1;
  return end;
};

/** Its arguments for the script; how many characters they are. @throws Fault terminal `bad_index`. */
const addDocument = (args: (string | number)[], { collection, id, version, doc, indexes }: Document): number => {
  const field = fieldOf(collection, id);
  let keys = '';
  if (doc !== null)
    for (const key of indexes ?? []) {
      if (key.includes('\0'))
        throw new Fault('terminal', 'bad_index', `an index key of ${collection} ${id} holds a zero character; index keys are plain text`);
      keys += `${key}\0`;
    }
  const stored = `${version}\0${doc === null ? '' : JSON.stringify(doc)}`;
  args.push(field, stored, keys);
  return field.length + stored.length + keys.length;
};

/** A Redis that may throw away keys which have no time to live throws away views, and nobody would notice. */
const healthIn = (info: string, address: string): { readonly ok: boolean; readonly detail: string } => {
  const value = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const policy = value('maxmemory_policy') ?? 'noeviction';
  if (policy.startsWith('allkeys-') && value('maxmemory') !== '0')
    return {
      ok: false,
      detail: `Redis at ${address} may drop views when it is full (maxmemory-policy ${policy}): set noeviction or a volatile- policy`,
    };
  return { ok: true, detail: `Redis at ${address}, ${value('used_memory_human') ?? 'unknown'} used` };
};
