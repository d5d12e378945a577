// The limit beside ours on Kafka: kafkajs alone, as its users write it (acks all, idempotent, batches), on the same broker in the same run.
//
// L1. It writes as many records as the pipeline wrote, of the same topics, partitions, keys, headers and sizes, and reads those that the pipeline reads:
// states are written and not read. L2. One process, as ours: producer and consumer share a thread. L3. No transactions, no decisions, no views: what
// remains between it and ours is what the guarantees and the work cost.
import { type Admin, type Consumer, Kafka, logLevel, type Message, type Producer } from 'kafkajs';
import { monotonicMs } from './completions.js';
import { startAt } from './load.js';
import type { WrittenRecord } from './written.js';

export const KAFKAJS_VERSION = '2.2.4';
/** Records of one send. */
const BATCH_RECORDS = 1_000;
/** Each with one send under way: an idempotent producer of kafkajs loses its sequence numbers when two overlap. */
const PRODUCERS = 4;
/** How long everything may take, in milliseconds. */
const LIMIT_MS = 300_000;
const REPLY_MS = 10_000;
const CREATE_MS = 10_000;
const MAX_MESSAGE_BYTES = 10 * 1024 * 1024;
const WARM_UP_PINGS = 50;

export const kafkajsClient = (brokers: string): Kafka =>
  new Kafka({ brokers: [brokers], clientId: 'bench-kafkajs', logLevel: logLevel.NOTHING });

const idempotent = (kafka: Kafka): Producer => kafka.producer({ idempotent: true, maxInFlightRequests: 1 });

export const withAdmin = async <T>(kafka: Kafka, use: (admin: Admin) => Promise<T>): Promise<T> => {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
};

const createTopics = (kafka: Kafka, topics: readonly string[], numPartitions: number): Promise<unknown> =>
  withAdmin(kafka, (admin) =>
    admin.createTopics({
      waitForLeaders: true,
      timeout: CREATE_MS,
      topics: topics.map((topic) => ({
        topic,
        numPartitions,
        replicationFactor: 1,
        configEntries: [{ name: 'max.message.bytes', value: String(MAX_MESSAGE_BYTES) }],
      })),
    }),
  );

const within = async <T>(ms: number, doing: string, promise: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`kafkajs: ${doing} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** Resolves when the consumer has its partitions. `onMessages` is told how many came. */
const consuming = async (
  consumer: Consumer,
  topics: readonly string[],
  onMessages: (messages: readonly Message[]) => Promise<void>,
): Promise<void> => {
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => resolve());
  });
  await consumer.connect();
  await consumer.subscribe({ topics: [...topics], fromBeginning: true });
  await consumer.run({ eachBatch: ({ batch }) => onMessages(batch.messages) });
  await within(LIMIT_MS, 'joining', joined);
};

export interface RawThroughput {
  /** From the first send to the last acknowledgement and the last record read, in milliseconds. */
  readonly ms: number;
  /** Of this process, in milliseconds. */
  readonly cpuMs: number;
}

/** Writes `count` records, the sample again and again, and reads them. `isRead` says which topics are read. */
export const rawThroughput = async (kafka: Kafka, { prefix, sample, count, partitions, isRead }: RawOptions): Promise<RawThroughput> => {
  const topics = [...new Set(sample.map(({ topic }) => topic))];
  await createTopics(
    kafka,
    topics.map((topic) => prefix + topic),
    partitions,
  );
  const producers = Array.from({ length: PRODUCERS }, () => idempotent(kafka));
  const consumer = kafka.consumer({ groupId: `${prefix}raw` });
  try {
    await Promise.all(producers.map((producer) => producer.connect()));
    let left = 0;
    let finished: () => void = () => undefined;
    await consuming(
      consumer,
      topics.filter(isRead).map((topic) => prefix + topic),
      async (messages) => {
        left -= messages.length;
        if (left === 0) finished();
      },
    );
    const round = async (records: number): Promise<RawThroughput> => {
      const all = new Promise<void>((resolve) => {
        finished = resolve;
      });
      for (let i = 0; i < records; i++) if (isRead(sample[i % sample.length]!.topic)) left += 1;
      const [cpu, begin] = [process.cpuUsage(), monotonicMs()];
      await within(
        LIMIT_MS,
        `writing and reading ${records} records`,
        Promise.all([sendAll(producers, { prefix, sample, count: records }), all]),
      );
      const { user, system } = process.cpuUsage(cpu);
      return { ms: monotonicMs() - begin, cpuMs: (user + system) / 1_000 };
    };
    await round(Math.ceil(count / 10));
    return await round(count);
  } finally {
    await Promise.allSettled([...producers, consumer].map((client) => client.disconnect()));
  }
};

export interface RawOptions {
  readonly prefix: string;
  readonly sample: readonly WrittenRecord[];
  readonly count: number;
  readonly partitions: number;
  readonly isRead: (topic: string) => boolean;
}

const sendAll = async (
  producers: readonly Producer[],
  { prefix, sample, count }: Pick<RawOptions, 'prefix' | 'sample' | 'count'>,
): Promise<void> => {
  let next = 0;
  const send = async (producer: Producer): Promise<void> => {
    while (next < count) {
      const to = Math.min(count, next + BATCH_RECORDS);
      const byTopic = new Map<string, Message[]>();
      for (; next < to; next++) {
        const { topic, partition, key, value, headers } = sample[next % sample.length]!;
        const messages = byTopic.get(topic) ?? [];
        byTopic.set(topic, messages);
        messages.push({ partition, key, value, headers });
      }
      await producer.sendBatch({ acks: -1, topicMessages: [...byTopic].map(([topic, messages]) => ({ topic: prefix + topic, messages })) });
    }
  };
  await Promise.all(producers.map(send));
};

/** One record there and an answer back, two hops, at a fixed rate: the milliseconds of each. */
export const rawPings = async (kafka: Kafka, prefix: string, count: number, perSecond: number): Promise<readonly number[]> => {
  const [ask, answer] = [`${prefix}ask`, `${prefix}answer`];
  await createTopics(kafka, [ask, answer], 1);
  const [producer, echoing] = [idempotent(kafka), idempotent(kafka)];
  const [echo, reader] = [kafka.consumer({ groupId: ask }), kafka.consumer({ groupId: answer })];
  const clients = [producer, echoing, echo, reader];
  const waiting = new Map<string, () => void>();
  try {
    await Promise.all([producer.connect(), echoing.connect()]);
    await consuming(echo, [ask], async (messages) => {
      await echoing.send({ topic: answer, acks: -1, messages: messages.map(({ value }) => ({ value })) });
    });
    await consuming(reader, [answer], async (messages) => {
      for (const { value } of messages) waiting.get(String(value))?.();
    });
    let sending: Promise<unknown> = Promise.resolve();
    const send = (value: string): Promise<unknown> => {
      sending = sending.then(() => producer.send({ topic: ask, acks: -1, messages: [{ value }] }));
      return sending;
    };
    const ping = async (id: string): Promise<number> => {
      const begin = monotonicMs();
      const answered = new Promise<void>((resolve) => waiting.set(id, resolve));
      await within(REPLY_MS, 'a ping', Promise.all([send(id), answered]));
      waiting.delete(id);
      return monotonicMs() - begin;
    };
    for (let i = 0; i < WARM_UP_PINGS; i++) await ping(`warm-${i}`);
    const pending: Promise<number>[] = [];
    const begin = monotonicMs();
    for (let i = 0; i < count; i++) {
      await startAt(begin + (i * 1_000) / perSecond);
      pending.push(ping(String(i)));
    }
    return await Promise.all(pending);
  } finally {
    await Promise.allSettled(clients.map((client) => client.disconnect()));
  }
};
