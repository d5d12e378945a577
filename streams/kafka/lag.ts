// How far a group is behind, and who owns what: from the coordinator and the leaders.
import { describeGroupsV5, offsetFetchV8 } from '@platformatic/kafka';
import type { Fault, Topic } from '../../schemas/index.js';
import { type Place, placeKey } from '../adapter/index.js';
import type { GroupLag } from '../log.js';
import type { Cluster } from './cluster.js';
import { isProtocolError } from './faults.js';
import { decodeAssignment, placesOf } from './group-protocol.js';
import { persist } from './persist.js';

export interface LagRequest {
  readonly cluster: Cluster;
  readonly group: string;
  readonly places: readonly Place[];
  readonly nameOf: (topic: Topic) => string;
  readonly topicOf: (name: string) => Topic | undefined;
  /** Everything below is decided. */
  readonly endOf: (place: Place) => Promise<number>;
}

/** How long offsets of an open transaction are waited for, in milliseconds. */
const STABLE_MS = 2_000;

export const groupLag = async (request: LagRequest): Promise<readonly GroupLag[]> => {
  const { places, endOf } = request;
  const [committed, owners, ends] = await Promise.all([committedOf(request), ownersOf(request), Promise.all(places.map(endOf))]);
  return places.map((place, index) => {
    const next = committed.get(placeKey(place)) ?? 0;
    const end = ends[index]!;
    return {
      topic: place.topic,
      partition: place.partition,
      committed: next,
      end,
      lag: Math.max(0, end - next),
      owner: owners.get(placeKey(place)),
    };
  });
};

/** What Kafka has as the group's offsets, by place; waits for open transactions. */
export const committedOf = async (request: Omit<LagRequest, 'endOf'>): Promise<ReadonlyMap<string, number>> => {
  const { cluster, group, places, nameOf, topicOf } = request;
  const topics = new Map<string, number[]>();
  for (const { topic, partition } of places) topics.set(nameOf(topic), [...(topics.get(nameOf(topic)) ?? []), partition]);
  const asked = [...topics].map(([name, partitionIndexes]) => ({ name, partitionIndexes }));
  const fetchOffsets = (stable: boolean) =>
    cluster.atCoordinator('group', group, `asking for the offsets of ${group}`, (node) =>
      cluster.call(node, 'direct', offsetFetchV8.api, [{ groupId: group, memberEpoch: -1, topics: asked }], stable),
    );
  // An offset that stays open is told as it was before: the group's offsets are what people look at, and nothing is decided by them.
  const response = await persist(() => fetchOffsets(true), { forMs: STABLE_MS, firstMs: 2 }).catch((error: Fault) => {
    if (!isProtocolError(error.cause, 'UNSTABLE_OFFSET_COMMIT')) throw error;
    return fetchOffsets(false);
  });
  const committed = new Map<string, number>();
  for (const { name, partitions } of response.groups[0]?.topics ?? [])
    for (const { partitionIndex, committedOffset } of partitions) {
      const topic = topicOf(name);
      if (topic !== undefined && committedOffset >= 0n)
        committed.set(placeKey({ topic, partition: partitionIndex }), Number(committedOffset));
    }
  return committed;
};

/** Place -> client id of the member that has it: `<node>:<pid>`. */
const ownersOf = async (request: LagRequest): Promise<ReadonlyMap<string, string>> => {
  const { cluster, group, topicOf } = request;
  const response = await persist(
    () =>
      cluster.atCoordinator('group', group, `describing the group ${group}`, (node) =>
        cluster.call(node, 'direct', describeGroupsV5.api, [group], false),
      ),
    { forMs: STABLE_MS, firstMs: 2 },
  );
  const owners = new Map<string, string>();
  for (const { clientId, memberAssignment } of response.groups[0]?.members ?? [])
    for (const place of placesOf(decodeAssignment(memberAssignment), topicOf)) owners.set(placeKey(place), clientId);
  return owners;
};
