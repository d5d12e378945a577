// Why the adapter is not built on kafkajs: what kafkajs 2.2.4 does, as facts, where the contract of the log needs something else, and ours beside it.
//
// These are no tests of our code alone: one that fails after an update of kafkajs means that kafkajs does better now, and that the decision in README.md is
// to be looked at again. They need a cluster of one broker (DATS_TEST_KAFKA), as the proxy stands in front of one.
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { type Consumer, type EachMessagePayload, Kafka, type KafkaConfig, logLevel, type Producer } from 'kafkajs';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { LIFECYCLE } from '../../schemas/index.js';
import { Collector, hold, Latch } from '../testing/log-driver.js';
import { PARTITIONS } from '../testing/log-harness.js';
import { Cluster, type ClusterOptions } from './cluster.js';
import type { Message } from './codec.js';
import { fetchOnce, offsetsOf } from './fetching.js';
import { kafkaHarness } from './testing/harness.js';
import { TransactionalProducer } from './transaction.js';

const BROKER = process.env.DATS_TEST_KAFKA ?? '127.0.0.1:19092';
const TEST_MS = 60_000;
/** How long a condition is waited for, in milliseconds. */
const SOON = { timeout: 10_000 };

const run = Math.random().toString(36).slice(2);
let serial = 0;
const unique = (name: string): string => `kafkajs-${name}-${run}-${++serial}`;

/** What a test opened, closed in the opposite order. */
const cleanups: (() => unknown)[] = [];
const later = (cleanup: () => unknown): void => {
  cleanups.push(cleanup);
};
afterEach(async () => {
  while (cleanups.length > 0) await cleanups.pop()!();
});

const quiet = { brokers: [BROKER], logLevel: logLevel.NOTHING, retry: { retries: 2, initialRetryTime: 50 } };
const client = (options: Partial<KafkaConfig> = {}): Kafka => new Kafka({ ...quiet, ...options });

const newTopic = async (numPartitions = 1): Promise<string> => {
  const topic = unique('topic');
  const admin = client().admin();
  await admin.connect();
  later(() => admin.disconnect());
  await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }] });
  later(() => admin.deleteTopics({ topics: [topic] }));
  return topic;
};

const transactional = async (transactionalId: string, kafka = client()): Promise<Producer> => {
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, retry: quiet.retry });
  await producer.connect();
  later(() => producer.disconnect());
  return producer;
};

/** Begins a transaction with one record in it. */
const begin = async (producer: Producer, topic: string, value: string) => {
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: [{ partition: 0, value }] });
  return transaction;
};

const ourCluster = (options: Partial<ClusterOptions> = {}): Cluster => {
  const cluster = new Cluster({ brokers: [BROKER], clientId: 'kafkajs-test', ...options });
  later(() => cluster.close());
  return cluster;
};
const ours = (cluster: Cluster, transactionalId: string): Promise<TransactionalProducer> =>
  TransactionalProducer.open({ cluster, transactionalId, timeoutMs: 6_000, signal: new AbortController().signal }, SOON.timeout);
const message = (topic: string, value: string): Message => ({
  topic,
  partition: 0,
  key: Buffer.from('key'),
  value: Buffer.from(value),
  headers: new Map(),
  timestamp: BigInt(Date.now()),
});

/** What a reader of committed records finds in partition 0, once everything there is decided; and how far it knows the partition then. */
const decided = async (topic: string): Promise<{ readonly values: readonly string[]; readonly next: number }> => {
  const cluster = ourCluster();
  await expect.poll(async () => open(await offsetsOf(cluster, topic, 0)), SOON).toBe(0);
  const limits = { waitMs: 0, partitionBytes: 1_000_000, totalBytes: 1_000_000 };
  const { records, next } = await fetchOnce(cluster, { topic: LIFECYCLE, name: topic, partition: 0, from: 0 }, limits);
  return { values: records.map(({ value }) => Buffer.from(value).toString()), next };
};
const open = ({ end, stable }: { readonly end: number; readonly stable: number }): number => end - stable;

const END_TXN = 26;
type Lost = 'answer' | 'request';

/** Stands in front of the broker, and cuts the connection at the end of a transaction: the request, or its answer, is lost. */
class CuttingProxy {
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #losing: Lost | undefined;

  private constructor(upstream: { readonly host: string; readonly port: number }) {
    this.#server = createServer((near) => this.#join(near, createConnection(upstream)));
  }

  static async open(): Promise<CuttingProxy> {
    const at = BROKER.lastIndexOf(':');
    const proxy = new CuttingProxy({ host: BROKER.slice(0, at), port: Number(BROKER.slice(at + 1)) });
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    later(() => {
      for (const socket of proxy.#sockets) socket.destroy();
      return new Promise((resolve) => proxy.#server.close(resolve));
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  loseNext(what: Lost): void {
    this.#losing = what;
  }

  #join(near: Socket, far: Socket): void {
    let awaited: number | undefined;
    const cut = () => {
      this.cuts += 1;
      near.destroy();
    };
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    eachFrame(near, (frame) => {
      const [apiKey, correlationId] = [frame.readInt16BE(4), frame.readInt32BE(8)];
      if (apiKey === END_TXN && this.#losing !== undefined) {
        const lost = this.#losing;
        this.#losing = undefined;
        if (lost === 'request') return cut();
        awaited = correlationId;
      }
      far.write(frame);
    });
    eachFrame(far, (frame) => (frame.readInt32BE(4) === awaited ? cut() : near.write(frame)));
  }
}

/** Kafka's frames: four bytes of length, then so many more. */
const eachFrame = (socket: Socket, take: (frame: Buffer) => void): void => {
  let held = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (!socket.destroyed && held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
      const length = 4 + held.readInt32BE(0);
      take(held.subarray(0, length));
      held = held.subarray(length);
    }
  });
};

const kafkajsThrough = (proxy: CuttingProxy): Kafka =>
  client({ socketFactory: ({ onConnect }) => createConnection({ host: '127.0.0.1', port: proxy.port }, onConnect) });
const oursThrough = (proxy: CuttingProxy): Cluster =>
  ourCluster({
    connect: (make) => {
      const connection = make();
      const connect = connection.connect.bind(connection);
      connection.connect = () => connect('127.0.0.1', proxy.port);
      return connection;
    },
  });

interface Reading {
  readonly group?: string;
  readonly eachMessage?: (payload: EachMessagePayload) => Promise<void>;
  readonly onBatch?: (batch: { readonly lastOffset: string; readonly highWatermark: string; readonly lag: string }) => void;
  readonly onProcessed?: (lastOffset: string) => void;
}

/** A consumer that begins at the first offset. Limits in milliseconds, as low as they make sense. */
const consume = async (topic: string, { group = unique('group'), eachMessage, onBatch, onProcessed }: Reading): Promise<Consumer> => {
  const consumer = client().consumer({
    groupId: group,
    sessionTimeout: 1_500,
    rebalanceTimeout: 3_000,
    heartbeatInterval: 100,
    maxWaitTimeInMs: 100,
  });
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => onProcessed?.(payload.lastOffset));
  await consumer.connect();
  later(() => consumer.disconnect());
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    partitionsConsumedConcurrently: 2,
    ...(eachMessage === undefined
      ? {
          eachBatch: async ({ batch }) =>
            onBatch?.({ lastOffset: batch.lastOffset(), highWatermark: batch.highWatermark, lag: batch.offsetLag() }),
        }
      : { eachMessage }),
  });
  return consumer;
};

beforeAll(async () => {
  // What is missing is said at once, and not by every test after its own time.
  const admin = client().admin();
  await admin.connect();
  await admin.disconnect();
});

test(
  'kafkajs: a zombie that opens its transactional producer again fences the live owner; ours is fenced itself, and stays so',
  async () => {
    const topic = await newTopic();
    const id = unique('owner');
    const zombie = await transactional(id);
    await (await begin(zombie, topic, 'before')).commit();
    const owner = await transactional(id);
    const work = await begin(owner, topic, 'of the owner');
    await expect(begin(zombie, topic, 'too late')).rejects.toMatchObject({ type: 'INVALID_PRODUCER_EPOCH' });
    const reborn = await transactional(id);
    await (await begin(reborn, topic, 'of the zombie')).commit();
    await expect(work.commit()).rejects.toMatchObject({ type: 'INVALID_PRODUCER_EPOCH' });
    expect((await decided(topic)).values).toEqual(['before', 'of the zombie']);

    const second = await newTopic();
    const cluster = ourCluster();
    const stale = await ours(cluster, second);
    await stale.write([message(second, 'before')]);
    const fresh = await ours(cluster, second);
    for (const attempt of ['first', 'second', 'third'])
      await expect(stale.write([message(second, attempt)]), attempt).rejects.toMatchObject({ kind: 'fenced' });
    await fresh.write([message(second, 'of the owner')]);
    expect((await decided(second)).values).toEqual(['before', 'of the owner']);
  },
  TEST_MS,
);

test.each([
  { lost: 'answer', outcome: ['work', 'work'] },
  { lost: 'request', outcome: ['work'] },
] as const)(
  'kafkajs: when the $lost of the end of a transaction is lost the producer learns no outcome and is of no use any more; ours learns it and goes on',
  async ({ lost, outcome }) => {
    const topic = await newTopic();
    const id = unique('owner');
    const proxy = await CuttingProxy.open();
    const producer = await transactional(id, kafkajsThrough(proxy));
    const transaction = await begin(producer, topic, 'work');
    proxy.loseNext(lost);
    // The same error whether it was committed or not.
    await expect(transaction.commit()).rejects.toMatchObject({ name: 'KafkaJSConnectionClosedError' });
    expect(proxy.cuts).toBe(1);
    await expect(transaction.commit()).rejects.toThrow('Cannot continue to use transaction once ended');
    await expect(transaction.abort()).rejects.toThrow('Cannot continue to use transaction once ended');
    await expect(producer.transaction()).rejects.toThrow('Cannot call "beginTransaction" in state "COMMITTING"');
    // All that is left is another producer, which says nothing of what was, and the work done again.
    await (await begin(await transactional(id), topic, 'work')).commit();
    expect((await decided(topic)).values).toEqual(outcome);

    const second = await newTopic();
    const our = await ours(oursThrough(proxy), second);
    proxy.loseNext(lost);
    await our.write([message(second, 'work')]);
    expect(proxy.cuts).toBe(2);
    await our.write([message(second, 'more work')]);
    expect((await decided(second)).values).toEqual(['work', 'more work']);
  },
  TEST_MS,
);

test.each([
  { worker: 'that is silent loses it after the session timeout', beats: false },
  { worker: 'whose heartbeats succeed until others join loses it after the rebalance timeout', beats: true },
])(
  'kafkajs: a partition goes to another member while its owner still works on it: one $worker; ours keeps it',
  async ({ beats }) => {
    // Ours has its owner at work all the time that kafkajs needs to lose its own: longer than a session.
    const harness = kafkaHarness([BROKER]);
    later(() => harness.dispose());
    const [one, two] = [await harness.open('node-1'), await harness.open('node-2')];
    later(() => Promise.all([one.close(), two.close()]));
    const busy = new Latch();
    later(() => busy.open());
    const [revoked, taken] = [new Collector<number>(), new Collector<number>()];
    const first = await one.join('group', [LIFECYCLE], async (assignment) => {
      await hold(assignment);
      revoked.push(assignment.partition);
      await busy.reached;
    });
    await expect.poll(() => first.owned().length, SOON).toBe(PARTITIONS);
    await two.join('group', [LIFECYCLE], async (assignment) => {
      taken.push(assignment.partition);
      await hold(assignment);
    });
    await revoked.until((items) => items.length === PARTITIONS / 2);

    const topic = await newTopic(2);
    const producer = client().producer();
    await producer.connect();
    later(() => producer.disconnect());
    await producer.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: 'work' })) });
    const group = unique('group');
    const [began, beaten, others] = [new Collector<number>(), new Collector<string>(), new Collector<number>()];
    let atWork = 0;
    const release = new Latch();
    later(() => release.open());
    await consume(topic, {
      group,
      eachMessage: async ({ partition, heartbeat }) => {
        atWork += 1;
        began.push(partition);
        const beat = () =>
          heartbeat().then(
            () => beaten.push('fine'),
            (error: { type?: string }) => beaten.push(error.type ?? 'failed'),
          );
        const beating = beats ? setInterval(beat, 100) : undefined;
        await release.reached;
        clearInterval(beating);
        atWork -= 1;
      },
    });
    await began.until((items) => items.length === 2);
    if (beats) await beaten.until((items) => items.includes('fine'));
    await consume(topic, { group, eachMessage: async ({ partition }) => others.push(partition) });
    await others.until((items) => items.length === 2);
    expect(atWork).toBe(2);
    expect([...others.items].sort()).toEqual([0, 1]);
    if (beats) expect(beaten.items).toContain('REBALANCE_IN_PROGRESS');
    else expect(beaten.items).toEqual([]);

    expect(taken.items).toEqual([]);
    busy.open();
    await taken.until((items) => items.length === PARTITIONS / 2);
  },
  TEST_MS,
);

test('kafkajs: nothing can be read without joining a group', () => {
  expect(() => client().consumer({ groupId: '' })).toThrow('Consumer groupId must be a non-empty string.');
  const { consumer, producer, admin } = {
    consumer: client().consumer({ groupId: 'group' }),
    producer: client().producer(),
    admin: client().admin(),
  };
  const reading = /^(assign|fetch|poll|read|consume)$/i;
  for (const methods of [consumer, producer, admin].map((part) => Object.keys(part)))
    expect(methods.filter((name) => reading.test(name))).toEqual([]);
});

test(
  'kafkajs: a reader is told where it stands with a batch of records; behind an aborted transaction only an instrumentation event says it',
  async () => {
    const committed = await newTopic();
    await (await begin(await transactional(unique('owner')), committed, 'work')).commit();
    await decided(committed);
    const batches = new Collector<unknown>();
    await consume(committed, { onBatch: (batch) => batches.push(batch) });
    await batches.until((items) => items.length > 0);
    // The marker is counted: who has such a batch knows that it is at the end.
    expect(batches.items).toEqual([{ lastOffset: '1', highWatermark: '2', lag: '0' }]);

    const aborted = await newTopic();
    await (await begin(await transactional(unique('owner')), aborted, 'nothing')).abort();
    expect(await decided(aborted)).toEqual({ values: [], next: 2 });
    const [given, processed] = [new Collector<unknown>(), new Collector<string>()];
    await consume(aborted, { onBatch: (batch) => given.push(batch), onProcessed: (offset) => processed.push(offset) });
    await processed.until((items) => items.includes('1'));
    expect(given.items).toEqual([]);
  },
  TEST_MS,
);

test(
  'kafkajs: the end of a partition is what comes next, open transactions included; up to where all is decided it does not tell',
  async () => {
    const topic = await newTopic();
    const transaction = await begin(await transactional(unique('owner')), topic, 'undecided');
    const admin = client().admin();
    await admin.connect();
    later(() => admin.disconnect());
    expect(await admin.fetchTopicOffsets(topic)).toEqual([{ partition: 0, offset: '1', high: '1', low: '0' }]);
    expect(await offsetsOf(ourCluster(), topic, 0)).toEqual({ first: 0, stable: 0, end: 1 });
    await transaction.commit();
  },
  TEST_MS,
);
