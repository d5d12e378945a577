// Physical topics: their names, and how they are made.
//
// T1. A topic has the partitions of the configuration from its first day: keys find their partition by count, so another number is refused, never mended.
// T2. What is history is kept for ever; state is compacted; work and telemetry go after days.
import { createTopicsV7 } from '@platformatic/kafka';
import { Fault, TOPIC_RETENTION_MS, TOPICS, type Topic } from '../../schemas/index.js';
import type { Cluster } from './cluster.js';
import { isProtocolError, kafkaFault } from './faults.js';

/** The largest record (8 MiB), a dead letter around it and its frame: what a topic must take, in bytes. */
const MAX_MESSAGE_BYTES = 10 * 1024 * 1024;
const CREATE_TIMEOUT_MS = 8_000;
const SAFE_REPLICAS = 3;

export interface TopicOptions {
  /** Before every topic and group: several installations on one cluster. */
  readonly prefix: string;
  readonly partitions: number;
  /** Default: three, or as many as there are brokers. */
  readonly replication?: number;
}

export const physicalTopic = (prefix: string, topic: Topic): string => prefix + topic;
/** The compacted topic of a group's states. */
export const stateTopic = (prefix: string, group: string): string => `${prefix}dats.state.${group}`;

const common = { 'max.message.bytes': String(MAX_MESSAGE_BYTES), 'message.timestamp.type': 'CreateTime' };

/** Settings of a topic of the log, by Kafka's names. */
export const topicSettings = (topic: Topic): Readonly<Record<string, string>> => ({
  ...common,
  'cleanup.policy': 'delete',
  'retention.ms': String(TOPIC_RETENTION_MS[topic] ?? -1),
  'retention.bytes': '-1',
});

/** Settings of a state topic: only the newest value of a key is kept, and cleaning begins early as it is read whole by every new owner. */
export const stateSettings: Readonly<Record<string, string>> = {
  ...common,
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.2',
  'segment.bytes': String(32 * 1024 * 1024),
  'max.compaction.lag.ms': String(6 * 60 * 60 * 1000),
};

/** Makes the topics of the log that are not there. @throws Fault fatal `partitions_differ` when one is there with another number of partitions. */
export const ensureTopics = (cluster: Cluster, options: TopicOptions): Promise<void> => {
  const wanted = TOPICS.map((topic) => ({ name: physicalTopic(options.prefix, topic), settings: topicSettings(topic) }));
  return ensure(cluster, options, wanted);
};

export const ensureStateTopic = (cluster: Cluster, options: TopicOptions, group: string): Promise<void> =>
  ensure(cluster, options, [{ name: stateTopic(options.prefix, group), settings: stateSettings }]);

interface Wanted {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
}

const ensure = async (cluster: Cluster, options: TopicOptions, wanted: readonly Wanted[]): Promise<void> => {
  const missing: Wanted[] = [];
  for (const topic of wanted) if (!(await isThere(cluster, topic.name, options.partitions))) missing.push(topic);
  if (missing.length === 0) return;
  const replication = options.replication ?? Math.min(SAFE_REPLICAS, await cluster.nodeCount());
  const durability = replication >= SAFE_REPLICAS ? { 'min.insync.replicas': '2' } : {};
  const requests = missing.map(({ name, settings }) => ({
    name,
    numPartitions: options.partitions,
    replicationFactor: replication,
    assignments: [],
    configs: Object.entries({ ...settings, ...durability }).map(([key, value]) => ({ name: key, value })),
  }));
  try {
    await cluster.call(await cluster.anyNode(), 'admin', createTopicsV7.api, requests, CREATE_TIMEOUT_MS, false);
  } catch (error) {
    // Another process was faster, perhaps with some of them only.
    if (!isProtocolError(error, 'TOPIC_ALREADY_EXISTS'))
      throw kafkaFault(error, `creating the topics ${missing.map(({ name }) => name).join(', ')}`);
  }
  for (const { name } of missing) await isThere(cluster, name, options.partitions);
};

const isThere = async (cluster: Cluster, name: string, partitions: number): Promise<boolean> => {
  const count = await cluster.partitionsOf(name);
  if (count !== undefined && count !== partitions)
    throw new Fault(
      'fatal',
      'partitions_differ',
      `the topic ${name} has ${count} partitions, the configuration says ${partitions} (log.partitions); a key must always find its partition: set log.partitions to ${count}, or begin with another log.kafka.prefix`,
    );
  return count !== undefined;
};
