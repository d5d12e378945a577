// Small pieces that tests of logs are made of: records, readers, workers. Waiting is on conditions, never on time.
import { LIFECYCLE, type Position, partitionOf, type Topic } from '../../schemas/index.js';
import type { Assignment, Log, Outgoing, Recorded } from '../log.js';

/** A plain record; `type` is what it is told apart by. */
export const record = (
  type: string,
  options: { key?: string; topic?: Topic; value?: Uint8Array | string; headers?: Record<string, string> } = {},
): Outgoing => ({
  topic: options.topic ?? LIFECYCLE,
  key: options.key ?? 'key',
  headers: { type, ...options.headers },
  value: options.value ?? `value of ${type}`,
});

/** A key that lives in `partition` of `count`. */
export const keyIn = (partition: number, count: number, salt = ''): string => {
  for (let i = 0; ; i++) if (partitionOf(`${salt}key-${i}`, count) === partition) return `${salt}key-${i}`;
};

/** What a reader can see of a record, without its position in time. */
export const plain = ({ topic, partition, offset, key, headers, value, type }: Recorded) => ({
  topic,
  partition,
  offset,
  key,
  headers: { ...headers },
  value: text(value),
  type,
});

export const text = (value: Uint8Array | string): string => Buffer.from(value as Uint8Array).toString('utf8');

/** All records of a partition that are there now. */
export const readAll = async (log: Log, topic: Topic, partition: number, from = 0): Promise<Recorded[]> => {
  const { end } = await log.range(topic, partition);
  const records: Recorded[] = [];
  if (end <= from) return records;
  for await (const batch of log.read({ topic, partition, offset: from }, new AbortController().signal, { until: end }))
    records.push(...batch);
  return records;
};

/** The next `count` records from `from` on. */
export const take = async (log: Log, from: Position, count: number, maxBatch?: number): Promise<Recorded[]> => {
  const stop = new AbortController();
  const records: Recorded[] = [];
  if (count === 0) return records;
  for await (const batch of log.read(from, stop.signal, maxBatch === undefined ? {} : { maxBatch })) {
    records.push(...batch);
    if (records.length >= count) break;
  }
  stop.abort();
  return records;
};

/** A condition that code under test makes true; whoever waits is told. */
export class Latch<T = void> {
  readonly reached: Promise<T>;
  #resolve!: (value: T) => void;

  constructor() {
    this.reached = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  open(value: T): void {
    this.#resolve(value);
  }
}

/** Values that arrive one by one; `until` waits for a condition over all of them. */
export class Collector<T> {
  readonly items: T[] = [];
  #watchers: { readonly condition: (items: readonly T[]) => boolean; readonly resolve: () => void }[] = [];

  push(...items: readonly T[]): void {
    this.items.push(...items);
    this.#watchers = this.#watchers.filter(({ condition, resolve }) => {
      if (!condition(this.items)) return true;
      resolve();
      return false;
    });
  }

  until(condition: (items: readonly T[]) => boolean): Promise<void> {
    if (condition(this.items)) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ condition, resolve }));
  }
}

/** A handler that holds its partition until it is revoked. */
export const hold = async ({ revoked }: Assignment): Promise<void> => {
  if (revoked.aborted) return;
  await new Promise<void>((resolve) => revoked.addEventListener('abort', () => resolve(), { once: true }));
};

/** A handler that commits batch after batch and reports what it has committed. */
export const consume =
  (done: Collector<Recorded>, each: (records: readonly Recorded[], assignment: Assignment) => Promise<void> = async () => undefined) =>
  async (assignment: Assignment): Promise<void> => {
    for await (const batch of assignment.records({ maxBatch: 5 })) {
      await each(batch, assignment);
      await assignment.commit({ next: batch.at(-1)!.offset + 1, outputs: [], states: new Map() });
      done.push(...batch);
    }
  };
