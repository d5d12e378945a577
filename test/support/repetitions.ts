// Events that stand in a log more often than the ways between nodes explain, with what tells one cause from another. Pure.
//
// P1. An event that was asked for at the wrong node stands once at every node that it came by, and once more where it was kept for a move or asked for again under its key: MOST
// times in a topic at the most. P2. An edge node takes the core for restored (nodes/link, F2) only where it was: else it reads the core's outbox again, and all that was
// asked of it comes twice.
import { NODES } from '../../schemas/index.js';
import { type Recorded, readableEventOf } from '../../streams/index.js';

/** Of one event in one topic of a node. */
const MOST = 8;
/** Of a kind. */
const SHOWN = { events: 3, places: 12 } as const;

const placeOf = ({ partition, offset, timestamp, headers: { linkedfrom = 'said here', movesknown = 'nothing' } }: Recorded): string =>
  `p${partition}-${offset} at ${new Date(timestamp).toISOString()} ${linkedfrom} knows ${movesknown}`;

const kindOf = ({ topic, key, type, headers: { source } }: Recorded): string => `${type} by ${source} under ${key} in ${topic}`;

const placesOf = (copies: readonly Recorded[]): readonly string[] =>
  copies.length <= SHOWN.places
    ? copies.map(placeOf)
    : [...copies.slice(0, SHOWN.places - 2).map(placeOf), '...', ...copies.slice(-2).map(placeOf)];

/** Events that stand in a topic more than so often, by kind, each with its copies. */
const oftenerThan = (most: number, records: readonly Recorded[]): ReadonlyMap<string, readonly (readonly Recorded[])[]> => {
  const byEvent = new Map<string, Recorded[]>();
  for (const record of records) {
    const place = `${record.topic} ${record.headers['id']}`;
    const copies = byEvent.get(place);
    if (copies === undefined) byEvent.set(place, [record]);
    else copies.push(record);
  }
  const kinds = new Map<string, (readonly Recorded[])[]>();
  for (const copies of byEvent.values()) {
    if (copies.length <= most) continue;
    const kind = kindOf(copies[0]!);
    kinds.set(kind, [...(kinds.get(kind) ?? []), copies]);
  }
  return kinds;
};
const countOf = (events: readonly (readonly Recorded[])[]): number => events.reduce((sum, copies) => sum + copies.length, 0);

/** What stands there more than once, in a few words. */
export const repeatedKinds = (records: readonly Recorded[]): string =>
  [...oftenerThan(1, records)]
    .map(([kind, events]) => ({ kind, events: events.length, more: countOf(events) - events.length }))
    .sort((a, b) => b.more - a.more)
    .map(({ kind, events, more }) => `${more} more of ${events} ${kind}`)
    .join('; ');

/** P1, for each kind of event; empty: all is well. @param records of any topics, those of a partition in order */
export const repetitions = (node: string, records: readonly Recorded[]): readonly string[] =>
  [...oftenerThan(MOST, records)].map(([kind, events]) => {
    const all = countOf(events);
    const shown = events
      .slice(0, SHOWN.events)
      .map((copies) => [`  ${copies[0]!.headers['id']}, ${copies.length} times`, ...placesOf(copies)].join('\n    '));
    return [`${node}: ${events.length} events stand there ${all} times: ${kind}`, ...shown].join('\n');
  });

/** P2. @param records of the edge node's topic of nodes */
export const restoredCores = (edge: string, core: string, records: readonly Recorded[]): readonly string[] =>
  records.flatMap((record) => {
    const event = record.topic === NODES && record.type === 'dats.node.registered' ? readableEventOf(record) : undefined;
    if (event?.type !== 'dats.node.registered' || event.data.node_id !== core || event.data.epoch === 1) return [];
    const again = (event.data.missing ?? []).map(({ topic, partition, records: count }) => `${count} offsets of ${topic}/${partition}`);
    return [
      `${edge}: took the core for restored at ${event.time} (store ${event.data.store_id}), and read again ${again.join(', ') || 'nothing'}`,
    ];
  });
