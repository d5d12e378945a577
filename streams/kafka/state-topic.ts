// The keyed state of a group on Kafka: a compacted topic, one record a key, the newest counts.
//
// Z1. A key is `<topic>/<partition>` of the place it belongs to, and after another `/` the state's own key; without it, it is the place's offset.
// Z2. Reading goes up to what was there when it began, decided or not: what is open then belongs to other places of the partition, and is waited for.
// Z3. A state is read whole or not at all.
import { Fault } from '../../schemas/index.js';
import type { Place } from '../adapter/index.js';
import { placeKey } from '../adapter/index.js';
import { pause } from '../pause.js';
import type { Cluster } from './cluster.js';
import type { Message } from './codec.js';
import { type FetchLimits, fetchOnce, offsetsOf } from './fetching.js';

const FETCH: FetchLimits = { waitMs: 0, partitionBytes: 4 * 1024 * 1024, totalBytes: 16 * 1024 * 1024 };
/** How long an open transaction of somebody else is waited for between two looks, in milliseconds. */
const LOOK_MS = 5;

export const stateKey = (place: Place, key: string | undefined): string =>
  key === undefined ? placeKey(place) : `${placeKey(place)}/${key}`;

/** The record of a state; null deletes it. */
export const stateMessage = (
  { place, stateTopic }: { readonly place: Place; readonly stateTopic: string },
  key: string | undefined,
  value: Buffer | null,
): Message => ({
  topic: stateTopic,
  partition: place.partition,
  key: Buffer.from(stateKey(place, key)),
  value,
  headers: new Map(),
  timestamp: BigInt(Date.now()),
});

/** All states of a place by their own keys; the offset is under `undefined`. All or none (Z3). @throws Fault retryable, also when the signal aborts. */
export const readState = async (
  cluster: Cluster,
  stateTopic: string,
  place: Place,
  signal: AbortSignal,
): Promise<ReadonlyMap<string | undefined, Buffer>> => {
  const own = placeKey(place);
  const prefix = `${own}/`;
  const states = new Map<string | undefined, Buffer>();
  const { first, end } = await offsetsOf(cluster, stateTopic, place.partition);
  for (let from = first; from < end && !signal.aborted; ) {
    const fetched = await fetchOnce(cluster, { topic: place.topic, name: stateTopic, partition: place.partition, from }, FETCH);
    for (const record of fetched.records) {
      const { key } = record;
      const name = key === own ? undefined : key.startsWith(prefix) ? key.slice(prefix.length) : null;
      if (name === null) continue;
      if (record.deleted) states.delete(name);
      else states.set(name, Buffer.from(record.value));
    }
    if (fetched.failed !== undefined)
      throw new Fault('retryable', 'log_unavailable', `reading the state of ${own} from ${stateTopic} at ${from}: ${fetched.failed}`);
    if (fetched.next === from) await pause(LOOK_MS, signal);
    from = fetched.next;
  }
  // Z3: whoever went on with a part of it would begin at the first record and do everything again.
  if (signal.aborted) throw new Fault('retryable', 'partition_revoked', `${own} was given up while its state was read`);
  return states;
};
