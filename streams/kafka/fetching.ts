// Asking a leader for records. `fetchOnce` asks for what is there now; the tails ask and wait.
import { fetchV13, listOffsetsV7, type ResponseError } from '@platformatic/kafka';
import { Fault, type Topic } from '../../schemas/index.js';
import type { Cluster, Purpose } from './cluster.js';
import { type Fetched, recordsIn } from './codec.js';
import { kafkaFault, mayHaveMoved } from './faults.js';

/** A partition and the offset to read from. */
export interface Cursor {
  readonly topic: Topic;
  /** The topic's name at the broker. */
  readonly name: string;
  readonly partition: number;
  readonly from: number;
}

export interface FetchLimits {
  /** How long the broker may wait for something to come, in milliseconds. */
  readonly waitMs: number;
  readonly partitionBytes: number;
  readonly totalBytes: number;
}

export interface FetchedPartition extends Fetched {
  readonly cursor: Cursor;
  /** Everything below is decided: committed or aborted (Kafka's last stable offset). */
  readonly stable: number;
  /** What comes next, decided or not (Kafka's high watermark). */
  readonly end: number;
  /** The partition moved or the offset is not there: ask again after looking up the leader or the range. */
  readonly failed?: string;
}

const READ_COMMITTED = 1;
const NO_SESSION = { id: 0, epoch: -1 } as const;

/** Records of several partitions with one leader. @throws Fault when there was no answer. */
export const fetchFrom = async (
  cluster: Cluster,
  leader: number,
  purpose: Purpose,
  cursors: readonly Cursor[],
  limits: FetchLimits,
): Promise<readonly FetchedPartition[]> => {
  type Response = Awaited<ReturnType<typeof fetchV13.api.async>>;
  const topics = new Map<string, { topicId: string; partitions: object[] }>();
  const byPlace = new Map<string, Cursor>();
  for (const cursor of cursors) {
    const topicId = await cluster.topicId(cursor.name);
    const topic = topics.get(topicId) ?? { topicId, partitions: [] };
    topics.set(topicId, topic);
    byPlace.set(`${topicId}/${cursor.partition}`, cursor);
    topic.partitions.push({
      partition: cursor.partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(cursor.from),
      lastFetchedEpoch: -1,
      partitionMaxBytes: limits.partitionBytes,
    });
  }
  let response: Response;
  try {
    const { waitMs, totalBytes } = limits;
    const { id, epoch } = NO_SESSION;
    response = await cluster.call(
      leader,
      purpose,
      fetchV13.api,
      waitMs,
      1,
      totalBytes,
      READ_COMMITTED,
      id,
      epoch,
      [...topics.values()] as never,
      [],
      '',
    );
  } catch (error) {
    const partial = (error as ResponseError & { response?: Response }).response;
    if (mayHaveMoved(error)) for (const { name } of cursors) cluster.forgetTopic(name);
    if (partial === undefined || partial.errorCode !== 0) throw kafkaFault(error, 'reading');
    response = partial;
  }
  return response.responses.flatMap(({ topicId, partitions }) =>
    partitions.flatMap((partition) => {
      const cursor = byPlace.get(`${topicId}/${partition.partitionIndex}`);
      if (cursor === undefined) return [];
      const stable = Number(partition.lastStableOffset);
      const end = Number(partition.highWatermark);
      if (partition.errorCode !== 0)
        return [{ cursor, records: [], next: cursor.from, stable, end, failed: codeName(partition.errorCode) }];
      return [{ cursor, stable, end, ...recordsIn(cursor, cursor.from, partition.records ?? [], partition.abortedTransactions) }];
    }),
  );
};

/** There is no such offset, or not any more. */
export const OUT_OF_RANGE = 'OFFSET_OUT_OF_RANGE';
const OUT_OF_RANGE_CODE = 1;
const codeName = (code: number): string => (code === OUT_OF_RANGE_CODE ? OUT_OF_RANGE : `error ${code}`);

/** What is there now of one partition. @throws Fault */
export const fetchOnce = async (
  cluster: Cluster,
  cursor: Cursor,
  limits: FetchLimits,
  purpose: Purpose = 'direct',
): Promise<FetchedPartition> => {
  let fetched: FetchedPartition | undefined;
  try {
    [fetched] = await fetchFrom(cluster, await cluster.leader(cursor.name, cursor.partition), purpose, [cursor], limits);
  } catch (error) {
    if (mayHaveMoved((error as Error).cause ?? error)) cluster.forgetTopic(cursor.name);
    throw error;
  }
  return fetched ?? { cursor, records: [], next: cursor.from, stable: cursor.from, end: cursor.from, failed: 'not in the answer' };
};

/**
 * The same for who asks whether there is anything: a broker that does not lead the partition (any more) has not said that there is nothing. That there is no
 * such offset is an answer. @throws Fault
 */
export const fetchAnswered = async (cluster: Cluster, cursor: Cursor, limits: FetchLimits): Promise<FetchedPartition> => {
  const fetched = await fetchOnce(cluster, cursor, limits);
  if (fetched.failed === undefined || fetched.failed === OUT_OF_RANGE) return fetched;
  throw new Fault('retryable', 'log_unavailable', `reading ${cursor.name}/${cursor.partition} at ${cursor.from}: ${fetched.failed}`);
};

export interface Offsets {
  readonly first: number;
  /** Everything below is decided. */
  readonly stable: number;
  /** What comes next, decided or not (Kafka's high watermark). */
  readonly end: number;
}

const READ_UNCOMMITTED = 0;
const LATEST = -1n;
const EARLIEST = -2n;

/** The offsets that matter of a partition. @throws Fault */
export const offsetsOf = async (cluster: Cluster, name: string, partition: number): Promise<Offsets> => {
  const ask = async (isolation: number, timestamp: bigint): Promise<number> => {
    const topics = [{ name, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }] }];
    const response = await cluster.call(await cluster.leader(name, partition), 'direct', listOffsetsV7.api, -1, isolation, topics);
    return Number(response.topics[0]!.partitions[0]!.offset);
  };
  try {
    const [first, end] = await Promise.all([ask(READ_COMMITTED, EARLIEST), ask(READ_UNCOMMITTED, LATEST)]);
    // Asked last: never above an end that is older.
    const stable = await ask(READ_COMMITTED, LATEST);
    return { first, end, stable };
  } catch (error) {
    if (mayHaveMoved(error)) cluster.forgetTopic(name);
    throw kafkaFault(error, `asking for the offsets of ${name}/${partition}`);
  }
};
