// Appends that belong to no partition's owner: submissions, commands, telemetry.
//
// A1. Appends to one partition are one batch each, sent with all others that wait (group commit), by one idempotent producer; a batch is atomic at the broker.
// A2. An append to several partitions is a transaction. A3. What cannot be written in time is refused with a retryable Fault. Such an append was not
// acknowledged; where the broker died at the wrong moment it may still be there, as with any store whose answer was lost.
import { initProducerIdV4 } from '@platformatic/kafka';
import { Fault, type Position, type Topic } from '../../schemas/index.js';
import type { Cluster } from './cluster.js';
import { type Message, sizeOf } from './codec.js';
import { kafkaFault } from './faults.js';
import { persist } from './persist.js';
import { BATCH_BYTES, type ProducerId, placeOf, Sequences, sendBatches, type Written, type WrittenBatches } from './producing.js';
import { TransactionalProducer } from './transaction.js';

export interface AppenderOptions {
  readonly cluster: Cluster;
  /** Of this process alone. */
  readonly transactionalId: string;
  readonly transactionTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** How long an append is tried, waiting for its turn included, in milliseconds. */
const APPEND_MS = 8_000;
/** A batch is tried for so long at the least, however long its oldest append has waited, in milliseconds. */
const LEAST_MS = 500;
/** What may wait to be written, in bytes: while Kafka is away, memory stays bounded. */
const PENDING_BYTES = 64 * 1024 * 1024;
/** A request has about so many bytes at most. */
const REQUEST_BYTES = 4 * 1024 * 1024;

/** A message and the topic's name in the log. */
export interface Addressed {
  readonly message: Message;
  readonly topic: Topic;
}

interface Pending {
  /** Milliseconds, of `performance.now`. */
  readonly since: number;
  readonly records: readonly Addressed[];
  readonly bytes: number;
  readonly resolve: (positions: readonly Position[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Positions in the order of the records. */
export const positionsOf = (records: readonly Addressed[], written: WrittenBatches): readonly Position[] => {
  const offsets = new Map<string, Iterator<number>>();
  return records.map(({ topic, message }) => {
    const place = placeOf(message);
    let next = offsets.get(place);
    if (next === undefined) {
      next = offsetsOf(written.get(place) ?? []);
      offsets.set(place, next);
    }
    return { topic, partition: message.partition, offset: next.next().value };
  });
};

function* offsetsOf(batches: readonly Written[]): Generator<number, never> {
  for (const { base, count } of batches) for (let i = 0; i < count; i++) yield base + i;
  throw new Fault('fatal', 'offsets_missing', 'Kafka acknowledged fewer records than were sent');
}

export class Appender {
  readonly #options: AppenderOptions;
  readonly #queues = { single: [] as Pending[], several: [] as Pending[] };
  readonly #running = { single: false, several: false };
  #pendingBytes = 0;
  #producer: ProducerId | undefined;
  #sequences = new Sequences();
  #transactional: TransactionalProducer | undefined;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  append(records: readonly Addressed[]): Promise<readonly Position[]> {
    if (records.length === 0) return Promise.resolve([]);
    const bytes = records.reduce((sum, { message }) => sum + sizeOf(message), 0);
    const one = bytes <= BATCH_BYTES && records.every(({ message }) => placeOf(message) === placeOf(records[0]!.message));
    const kind = one || records.length === 1 ? 'single' : 'several';
    if (this.#pendingBytes > 0 && this.#pendingBytes + bytes > PENDING_BYTES)
      return Promise.reject(
        new Fault('retryable', 'log_unavailable', `${this.#pendingBytes} bytes wait to be written to Kafka already; try again later`),
      );
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      this.#queues[kind].push({ since: performance.now(), records, bytes, resolve, reject });
      if (!this.#running[kind]) this.#run(kind);
    });
  }

  #run(kind: 'single' | 'several'): void {
    this.#running[kind] = true;
    const run = async (): Promise<void> => {
      // What is appended in the same turn shares the request.
      await Promise.resolve();
      for (let batch = this.#next(kind); batch.length > 0; batch = this.#next(kind)) await this.#write(kind, batch);
      this.#running[kind] = false;
    };
    void run();
  }

  #next(kind: 'single' | 'several'): Pending[] {
    const queue = this.#queues[kind];
    let bytes = 0;
    let count = 0;
    while (count < queue.length && (count === 0 || bytes + queue[count]!.bytes <= REQUEST_BYTES)) bytes += queue[count++]!.bytes;
    return queue.splice(0, count);
  }

  async #write(kind: 'single' | 'several', batch: readonly Pending[]): Promise<void> {
    const records = batch.flatMap((pending) => pending.records);
    const forMs = Math.max(LEAST_MS, APPEND_MS - (performance.now() - batch[0]!.since));
    try {
      const written = await (kind === 'single' ? this.#send(records, forMs) : this.#transact(records, forMs));
      const positions = positionsOf(records, written);
      let at = 0;
      for (const { records: own, resolve } of batch) {
        resolve(positions.slice(at, at + own.length));
        at += own.length;
      }
    } catch (error) {
      for (const pending of batch) pending.reject(error);
    } finally {
      for (const { bytes } of batch) this.#pendingBytes -= bytes;
    }
  }

  async #send(records: readonly Addressed[], forMs: number): Promise<WrittenBatches> {
    const { cluster, signal } = this.#options;
    const persistence = { forMs, signal };
    this.#producer ??= await persist(() => this.#init(), persistence);
    try {
      const messages = records.map(({ message }) => message);
      return await sendBatches(messages, { cluster, producer: this.#producer, sequences: this.#sequences, persistence });
    } catch (error) {
      // Nobody knows which of the batches were written: these numbers are never used again.
      this.#producer = undefined;
      this.#sequences = new Sequences();
      throw error;
    }
  }

  async #init(): Promise<ProducerId> {
    const { cluster } = this.#options;
    try {
      const { producerId, producerEpoch } = await cluster.call(
        await cluster.anyNode(),
        'produce',
        initProducerIdV4.api,
        null,
        60_000,
        -1n,
        -1,
      );
      return { id: producerId, epoch: producerEpoch };
    } catch (error) {
      throw kafkaFault(error, 'opening a producer');
    }
  }

  async #transact(records: readonly Addressed[], forMs: number): Promise<WrittenBatches> {
    const { cluster, transactionalId, transactionTimeoutMs, signal } = this.#options;
    this.#transactional ??= await TransactionalProducer.open({ cluster, transactionalId, timeoutMs: transactionTimeoutMs, signal }, forMs);
    try {
      return await this.#transactional.write(records.map(({ message }) => message));
    } catch (error) {
      this.#transactional = undefined;
      throw error;
    }
  }
}
