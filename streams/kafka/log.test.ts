// What the log makes of a leader that refuses a question for a moment. (All else of it is in the contract, on a real broker.)
import { type Connection, ResponseError } from '@platformatic/kafka';
import { afterEach, describe, expect, test } from 'vitest';
import { LIFECYCLE, TOPICS } from '../../schemas/index.js';
import type { Log } from '../log.js';
import { openKafkaLog } from './log.js';
import { physicalTopic } from './topics.js';

const FETCH = 1;
const LIST_OFFSETS = 2;
const METADATA = 3;
const NOT_LEADER_OR_FOLLOWER = 6;
const PLACE = { topic: LIFECYCLE, partition: 0 } as const;
const idOf = (topic: string): string => `id of ${topic}`;

let log: Log;
afterEach(() => log.close());

const metadata = {
  brokers: [{ nodeId: 0, host: 'broker.test', port: 9092 }],
  topics: TOPICS.map((topic) => ({
    name: physicalTopic('', topic),
    topicId: idOf(topic),
    errorCode: 0,
    partitions: [{ partitionIndex: 0, leaderId: 0 }],
  })),
};
const offset = (value: number) => ({
  topics: [{ name: LIFECYCLE, partitions: [{ partitionIndex: 0, errorCode: 0, offset: BigInt(value) }] }],
});
const fetched = (errorCode: number, count: number) => {
  const records = Array.from({ length: count }, (_, offsetDelta) => ({
    offsetDelta,
    timestampDelta: 0n,
    length: 1,
    key: null,
    value: Buffer.from(`${offsetDelta}`),
    headers: [],
  }));
  const batch = { firstOffset: 0n, lastOffsetDelta: count - 1, attributes: 0, producerId: -1n, firstTimestamp: 0n, records };
  const bounds = { highWatermark: BigInt(count), lastStableOffset: BigInt(count), abortedTransactions: [] };
  const partition = { partitionIndex: 0, errorCode, ...bounds, ...(errorCode === 0 ? { records: [batch] } : {}) };
  return { errorCode: 0, responses: [{ topicId: idOf(LIFECYCLE), partitions: [partition] }] };
};

/** A partition of `count` records in one batch, whose leader says the first time that it is none. */
const openRefused = (count: number): Log => {
  const offsets = [0, count, count];
  let fetches = 0;
  const answerTo = (api: number): unknown => {
    if (api === METADATA) return metadata;
    if (api === LIST_OFFSETS) return offset(offsets.shift()!);
    if (api !== FETCH) throw new Error(`nobody asks for ${api}`);
    if (++fetches > 1) return fetched(0, count);
    const refused = { '/responses/0/partitions/0': [NOT_LEADER_OR_FOLLOWER, null] as never };
    return new ResponseError(FETCH, 13, refused, fetched(NOT_LEADER_OR_FOLLOWER, 0));
  };
  const send = (...args: readonly unknown[]): void => {
    const done = args.at(-1) as (error: Error | null, response?: unknown) => void;
    const answer = answerTo(args[0] as number);
    if (answer instanceof Error) done(answer);
    else done(null, answer);
  };
  const connection = { send, on: () => undefined, connect: async () => undefined, close: async () => undefined };
  log = openKafkaLog({ brokers: ['broker.test:9092'], node: 'test', partitions: 1, connect: () => connection as unknown as Connection });
  return log;
};

describe('a leader that says for a moment that it is none', () => {
  test('does not make a partition shorter', async () => {
    expect(await openRefused(5).range(LIFECYCLE, 0)).toEqual({ first: 0, end: 5 });
  });

  test('does not make a record missing', async () => {
    const record = await openRefused(5).get({ ...PLACE, offset: 3 });
    expect(record && Buffer.from(record.value as Uint8Array).toString()).toBe('3');
  });
});
