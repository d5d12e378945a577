// Whether a core has of an edge node what it is to have: every record of it, once, in order, byte for byte, and nothing else.
import { LIFECYCLE, LINKED_FROM, linkedFromOf, TELEMETRY, type Topic } from '../../schemas/index.js';
import type { Log, Recorded } from '../../streams/index.js';
import { openLmdbStorage } from '../../streams/lmdb/index.js';
import { recordsOf } from './whole-log.js';

const LINKED_TOPICS: readonly Topic[] = [LIFECYCLE, TELEMETRY];
/** More of one kind are counted, not listed. */
const LISTED = 5;

/** Of its own, whatever becomes of the store. */
const plain = ({ topic, partition, offset, key, headers, value, type, timestamp }: Recorded): Recorded => ({
  topic,
  partition,
  offset,
  key,
  headers: { ...headers },
  value: Buffer.from(value as Uint8Array),
  type,
  timestamp,
});

/** Records of topics, those that are copied unless told otherwise, in the order of each partition: any adapter's log. */
export const linkedIn = async (log: Log, topics = LINKED_TOPICS): Promise<readonly Recorded[]> => {
  const records: Recorded[] = [];
  for (const topic of topics)
    for (let partition = 0; partition < log.partitions(topic); partition++)
      for await (const record of recordsOf(log, topic, partition)) records.push(plain(record));
  return records;
};

/** The same, as they are on disk. */
export const readLinked = async (dir: string, partitions: number, topics = LINKED_TOPICS): Promise<readonly Recorded[]> => {
  const { log, close } = await openLmdbStorage({ dir, node: 'test', partitions });
  try {
    return await linkedIn(log, topics);
  } finally {
    await close();
  }
};

/** A stretch of an edge's log, as it was in one of the lives of its store. */
export interface Life {
  readonly epoch: number;
  readonly records: readonly Recorded[];
  /** `<topic>/<partition>` -> where this life began, of what the core is to have. Default: at 0. */
  readonly from?: Readonly<Record<string, number>>;
  /** Of what came before there may be less here: records that the node lost and the core kept are not known any more. */
  readonly lost?: boolean;
}

const textOf = ({ key, headers, value }: Pick<Recorded, 'key' | 'headers' | 'value'>): string =>
  JSON.stringify([key, Object.entries(headers).sort(), Buffer.from(value as Uint8Array).toString('base64')]);

const isSent = (record: Recorded, isHere: (project: string) => boolean): boolean =>
  linkedFromOf(record.headers) === undefined && (record.topic !== LIFECYCLE || isHere(record.key));

/** Violations in words; empty: all is well. @param core records of the core */
export const copyViolations = (
  node: string,
  lives: readonly Life[],
  core: readonly Recorded[],
  isHere: (project: string) => boolean,
): readonly string[] => {
  const found = new Map<string, string[]>();
  const report = (rule: string, what: string): void => void found.set(rule, [...(found.get(rule) ?? []), what]);
  const copies = core.filter(({ headers }) => linkedFromOf(headers)?.node === node);
  const byPlace = new Map<string, Recorded>();
  const lastOf = new Map<string, number>();
  for (const copy of copies) {
    const { epoch, partition, offset } = linkedFromOf(copy.headers)!;
    const place = `${epoch}/${copy.topic}/${partition}/${offset}`;
    if (byPlace.has(place)) report('doubled', place);
    byPlace.set(place, copy);
    const line = `${copy.topic}/${copy.key}/${epoch}/${partition}`;
    const last = lastOf.get(line);
    if (last !== undefined && last >= offset) report('out of order', `${place} comes after ${last}`);
    lastOf.set(line, offset);
  }
  for (const { epoch, records, from = {}, lost = false } of lives) {
    for (const record of records) {
      const name = `${record.topic}/${record.partition}`;
      if (record.offset < (from[name] ?? 0) || !isSent(record, isHere)) continue;
      const place = `${epoch}/${name}/${record.offset}`;
      const copy = byPlace.get(place);
      byPlace.delete(place);
      if (copy === undefined) {
        if (!lost) report('missing', `${place} ${record.type}`);
        continue;
      }
      const { [LINKED_FROM]: _linked, ...headers } = copy.headers;
      if (textOf({ ...copy, headers }) !== textOf(record)) report('changed', place);
    }
    if (lost) for (const place of [...byPlace.keys()]) if (place.startsWith(`${epoch}/`)) byPlace.delete(place);
  }
  for (const place of byPlace.keys()) report('from nowhere', place);
  return [...found].flatMap(([rule, list]) => [
    ...list.slice(0, LISTED).map((what) => `${rule}: ${what}`),
    ...(list.length > LISTED ? [`${rule}: ... and ${list.length - LISTED} more`] : []),
  ]);
};
