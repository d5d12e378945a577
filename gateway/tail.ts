// The tail: one reader a process and partition over the lifecycle topic, handed on to everybody who follows a task or a project.
//
// F1. A follower sees every matching record from where it asked, once, in offset order: it reads the log by itself until it has caught up, then takes from
// the tail. F2. Memory is bounded: a follower's buffer holds at most BUFFER_RECORDS and BUFFER_BYTES; who is slower falls back to reading the log at its own
// pace and loses nothing. F3. A partition without followers has no reader. F4. A log that is away is silence: a stream that is open goes on when it is back.
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, isFault, LIFECYCLE } from '../schemas/index.js';
import type { Log, Recorded } from '../streams/index.js';
import { backoffMs } from '../streams/runtime/index.js';

export const BUFFER_RECORDS = 1024;
export const BUFFER_BYTES = 4 * 1024 * 1024;
/** Records read from the log at a time while catching up. */
const CATCH_UP_BATCH = 256;
/** Waits between two questions to a log that is away, milliseconds. */
const AWAY = { baseMs: 50, maxMs: 1_000 };

export interface Follow {
  readonly partition: number;
  /** First offset wanted. */
  readonly from: number;
  /** Only records of this project (the record's key). */
  readonly project: string;
  /** Only records about this task (the event's subject). */
  readonly task?: string;
}

export interface Tail {
  /** Batches of matching records until `signal` aborts or the log closes. @throws Fault when the log cannot be read. */
  follow(follow: Follow, signal: AbortSignal): AsyncGenerator<readonly Recorded[], void>;
  /** How many follow now. */
  followers(): number;
  close(): void;
}

const matches = (follow: Follow, record: Recorded): boolean =>
  record.key === follow.project && (follow.task === undefined || record.headers.subject === follow.task);

const sizeOf = (record: Recorded): number => record.value.length;

/** One follower that has caught up. */
class Follower {
  readonly follow: Follow;
  /** What was handed over and not yet taken. */
  #waiting: Recorded[] = [];
  #bytes = 0;
  /** First offset that did not fit; from there on the log has to be read. */
  overflowedAt: number | undefined;
  ended = false;
  failure: Fault | undefined;
  #wake: (() => void) | undefined;

  constructor(follow: Follow) {
    this.follow = follow;
  }

  offer(record: Recorded): void {
    if (this.overflowedAt !== undefined) return;
    if (this.#waiting.length >= BUFFER_RECORDS || this.#bytes + sizeOf(record) > BUFFER_BYTES) this.overflowedAt = record.offset;
    else {
      this.#waiting.push(record);
      this.#bytes += sizeOf(record);
    }
    this.wake();
  }

  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** What waits, or undefined when there will be no more from the tail. */
  async take(signal: AbortSignal): Promise<readonly Recorded[] | undefined> {
    for (;;) {
      if (this.#waiting.length > 0) {
        const taken = this.#waiting;
        this.#waiting = [];
        this.#bytes = 0;
        return taken;
      }
      if (this.failure !== undefined) throw this.failure;
      if (signal.aborted || this.ended || this.overflowedAt !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** The reader of one partition. */
class PartitionReader {
  readonly #stop = new AbortController();
  readonly #followers = new Map<string, Set<Follower>>();
  /** Everybody with a claim on the reader, caught up or not. */
  claims = 0;
  /** The offset that the tail hands on next, at the earliest. */
  position = 0;
  ended = false;
  failure: Fault | undefined;
  readonly ready: Promise<void>;

  constructor(log: Log, partition: number) {
    this.ready = this.#start(log, partition);
  }

  async #start(log: Log, partition: number): Promise<void> {
    try {
      const end = await this.#endOf(log, partition);
      if (end === undefined) return this.#finish();
      this.position = end;
    } catch (error) {
      this.#finish();
      throw error;
    }
    void this.#run(log, partition);
  }

  /** Undefined when the reader was stopped before the log answered (F4). */
  async #endOf(log: Log, partition: number): Promise<number | undefined> {
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      try {
        return (await log.range(LIFECYCLE, partition)).end;
      } catch (error) {
        if (!isFault(error, 'retryable')) throw error;
        await sleep(backoffMs(attempt, AWAY, Math.random), undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
    return undefined;
  }

  async #run(log: Log, partition: number): Promise<void> {
    try {
      for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: this.position }, this.#stop.signal)) {
        for (const record of batch) this.#hand(record);
        this.position = batch.at(-1)!.offset + 1;
      }
    } catch (cause) {
      this.failure = new Fault('retryable', 'unavailable', 'the log cannot be read right now; resume where the stream ended', { cause });
    }
    this.#finish();
  }

  #finish(): void {
    this.ended = true;
    for (const followers of this.#followers.values()) for (const follower of followers) this.#end(follower);
  }

  #end(follower: Follower): void {
    follower.ended = true;
    follower.failure = this.failure;
    follower.wake();
  }

  #hand(record: Recorded): void {
    for (const follower of this.#followers.get(record.key) ?? []) if (matches(follower.follow, record)) follower.offer(record);
  }

  attach(follower: Follower): void {
    const { project } = follower.follow;
    const followers = this.#followers.get(project);
    if (followers === undefined) this.#followers.set(project, new Set([follower]));
    else followers.add(follower);
    if (this.ended) this.#end(follower);
  }

  detach(follower: Follower): void {
    const { project } = follower.follow;
    const followers = this.#followers.get(project);
    followers?.delete(follower);
    if (followers?.size === 0) this.#followers.delete(project);
  }

  stop(): void {
    this.#stop.abort();
  }
}

/** Waits for `promise`, but not beyond the signal; the caller looks which it was. @throws what `promise` rejects with. */
const settledOrAborted = async (promise: Promise<void>, signal: AbortSignal): Promise<void> => {
  if (signal.aborted) return;
  let wake = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    wake = resolve;
  });
  signal.addEventListener('abort', wake, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', wake);
  }
};

export const createTail = (log: Log): Tail => {
  const readers = new Map<number, PartitionReader>();

  const claim = (partition: number): PartitionReader => {
    let reader = readers.get(partition);
    if (reader === undefined || reader.ended) {
      reader = new PartitionReader(log, partition);
      readers.set(partition, reader);
    }
    reader.claims++;
    return reader;
  };
  const release = (partition: number, reader: PartitionReader) => {
    if (--reader.claims > 0) return;
    reader.stop();
    if (readers.get(partition) === reader) readers.delete(partition);
  };

  return {
    followers: () => [...readers.values()].reduce((sum, reader) => sum + reader.claims, 0),
    close: () => {
      for (const reader of readers.values()) reader.stop();
    },
    async *follow(follow, signal) {
      const { partition } = follow;
      const reader = claim(partition);
      try {
        await settledOrAborted(reader.ready, signal);
        let next = follow.from;
        while (!signal.aborted) {
          while (next < reader.position) {
            const until = reader.position;
            for await (const batch of log.read({ topic: LIFECYCLE, partition, offset: next }, signal, {
              until,
              maxBatch: CATCH_UP_BATCH,
            })) {
              const wanted = batch.filter((record) => matches(follow, record));
              if (wanted.length > 0) yield wanted;
            }
            if (signal.aborted) return;
            next = until;
          }
          // No await between the comparison above and `attach`: nothing can be missed in between.
          const follower = new Follower(follow);
          const wake = () => follower.wake();
          reader.attach(follower);
          signal.addEventListener('abort', wake);
          try {
            for (let taken = await follower.take(signal); taken !== undefined; taken = await follower.take(signal)) {
              const wanted = taken[0]!.offset >= next ? taken : taken.filter((record) => record.offset >= next);
              if (wanted.length > 0) yield wanted;
            }
          } finally {
            reader.detach(follower);
            signal.removeEventListener('abort', wake);
          }
          if (follower.overflowedAt === undefined) return;
          next = follower.overflowedAt;
        }
      } finally {
        release(partition, reader);
      }
    },
  };
};
