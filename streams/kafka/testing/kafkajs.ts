// kafkajs, as the tests use it that show what it does: quiet, with few retries, and everything that was opened closed again.
import { createConnection } from 'node:net';
import { type Admin, type EachBatchPayload, type EachMessagePayload, Kafka, logLevel, type Producer, type Transaction } from 'kafkajs';

export interface Reading {
  readonly topic: string;
  readonly group?: string;
  /** Else `onBatch` is called for each batch. */
  readonly eachMessage?: (payload: EachMessagePayload) => Promise<void>;
  readonly onBatch?: (batch: { readonly lastOffset: string; readonly highWatermark: string; readonly lag: string }) => void;
  /** An instrumentation event: a batch was dealt with, also one in which nothing was left for the handler. */
  readonly onProcessed?: (lastOffset: string) => void;
}

/** For what a broker that has just begun, or a new topic, is not ready for; in milliseconds. */
const RETRY = { retries: 8, initialRetryTime: 50, maxRetryTime: 1_000 };
/** Limits of a member, in milliseconds: as low as they make sense. */
const LIMITS = { sessionTimeout: 1_500, rebalanceTimeout: 3_000, heartbeatInterval: 100, maxWaitTimeInMs: 100 };

export class KafkajsPeer {
  readonly #broker: string;
  readonly #run = Math.random().toString(36).slice(2);
  readonly #cleanups: (() => unknown)[] = [];
  #serial = 0;

  constructor(broker: string) {
    this.#broker = broker;
  }

  unique(name: string): string {
    return `kafkajs-${name}-${this.#run}-${++this.#serial}`;
  }

  /** Called by `dispose`, in the opposite order. */
  later(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  async dispose(): Promise<void> {
    for (let cleanup = this.#cleanups.pop(); cleanup !== undefined; cleanup = this.#cleanups.pop()) await cleanup();
  }

  /** `port`: every connection goes there, on 127.0.0.1, whatever address the broker says it has. */
  client(port?: number): Kafka {
    const through =
      port === undefined
        ? {}
        : { socketFactory: ({ onConnect }: { onConnect: () => void }) => createConnection({ host: '127.0.0.1', port }, onConnect) };
    return new Kafka({ brokers: [this.#broker], logLevel: logLevel.NOTHING, retry: RETRY, ...through });
  }

  async admin(): Promise<Admin> {
    const admin = this.client().admin();
    await admin.connect();
    this.later(() => admin.disconnect());
    return admin;
  }

  async newTopic(numPartitions = 1): Promise<string> {
    const topic = this.unique('topic');
    const admin = await this.admin();
    await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] });
    this.later(() => admin.deleteTopics({ topics: [topic] }));
    return topic;
  }

  /** A producer; with an id, a transactional one. */
  async producer(transactionalId?: string, port?: number): Promise<Producer> {
    const owner = transactionalId === undefined ? {} : { transactionalId, idempotent: true, maxInFlightRequests: 1 };
    const producer = this.client(port).producer({ retry: RETRY, ...owner });
    await producer.connect();
    this.later(() => producer.disconnect());
    return producer;
  }

  /** Begins a transaction with one record in it. */
  async begin(producer: Producer, topic: string, value: string): Promise<Transaction> {
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ partition: 0, value }] });
    return transaction;
  }

  /** A running consumer that began at the first offset. */
  async consume({ topic, group = this.unique('group'), eachMessage, onBatch, onProcessed }: Reading): Promise<void> {
    const consumer = this.client().consumer({ groupId: group, ...LIMITS });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => onProcessed?.(payload.lastOffset));
    await consumer.connect();
    this.later(() => consumer.disconnect());
    await consumer.subscribe({ topic, fromBeginning: true });
    const told = {
      eachBatch: async ({ batch }: EachBatchPayload) =>
        onBatch?.({ lastOffset: batch.lastOffset(), highWatermark: batch.highWatermark, lag: batch.offsetLag() }),
    };
    await consumer.run({ partitionsConsumedConcurrently: 2, ...(eachMessage === undefined ? told : { eachMessage }) });
  }
}
