// Rebuilding a group's state of one partition from the first event: the same state as the one that was saved on the way (property-tested).
//
// B1. The group's own events say after which offset they were decided (`afteroffset`). Live, they were folded right after that record and before
// the next one, though in the log other records may stand between. So others' records wait here until an own event, or the end, says they were read.
// B2. Of others' records, those that became dead letters of the group were never folded: letter, state and offset were one commit. So with the
// group's dead letters known, exactly these are left out, and all others are taken without checking their data again: own events never were checked, they were folded as
// they were made; others' were decoded in full when they were folded, or came from this process as typed values. B3. Where the dead letters are
// not known (none asked for, or some are no longer kept), every record is decoded in full, and one that does not decode ends the rebuild.
// B4. What another node left undecided is taken in before the first answer to it or to what was left behind it; and at the latest before what was read next.
import { type DatsEvent, DLQ, decodeWritten, LETTER, type Position, RETRIED_FROM, type Topic } from '../../schemas/index.js';
import { eventOf, isCopy, type Log, type Recorded } from '../../streams/index.js';
import { type Arrival, type Arrivals, noArrivals, type Placed } from './arrival.js';
import type { Fold } from './fold.js';

/** Records a step of the rebuild takes. */
const MAX_BATCH = 512;

export interface Rebuild {
  take(record: Recorded): void;
  /** The last word that brought a project here, with its history: taken in where others' records are. */
  takeArrival(record: Recorded, arrival: Arrival): void;
  /** What others appended after the group's last own event, up to (excluding) `committed`, was read as well. */
  finish(committed: number): void;
}

/** What a rebuild is made on; without arrivals where nothing ever comes from another node. */
type Rebuilt = Pick<Fold, 'consumes' | 'replay'> & Partial<Pick<Fold, 'replayArrival'>>;

export const openRebuild = (fold: Rebuilt, source: string, deadLetters?: ReadonlySet<number>): Rebuild => {
  const waiting: (Recorded & { readonly arrival?: Arrival })[] = [];
  let first = 0;
  let left: readonly Placed[] = [];
  let leftAt = -1;
  const replayLeft = (count = left.length): void => {
    for (const [event, offset] of left.slice(0, count)) fold.replay(event, offset);
    left = left.slice(count);
  };
  const read = (record: Recorded): DatsEvent =>
    deadLetters === undefined || record.event !== undefined ? eventOf(record) : decodeWritten(record.headers, record.value);
  const readUpTo = (offset: number): void => {
    while (first < waiting.length && waiting[first]!.offset <= offset) {
      const record = waiting[first++]!;
      replayLeft();
      if (record.arrival === undefined) fold.replay(read(record), record.offset);
      else {
        fold.replayArrival!(record.arrival);
        left = record.arrival.undecided;
        leftAt = record.offset;
      }
    }
    if (offset > leftAt) replayLeft();
    if (first > 1024) {
      waiting.splice(0, first);
      first = 0;
    }
  };
  return {
    take(record) {
      if (!fold.consumes.has(record.type) || isCopy(record)) return;
      const { headers } = record;
      if (headers.source !== source) {
        if (!deadLetters?.has(record.offset)) waiting.push(record);
        return;
      }
      // Brought back from the dead letters: folded long before, and passed over when it came by again.
      if (headers[RETRIED_FROM] !== undefined) return;
      const event = read(record);
      const after = Number(event.afteroffset);
      readUpTo(after);
      // What a timer said has no cause, and follows all of it.
      if (left.length > 0)
        replayLeft(event.causationid === undefined ? undefined : left.findIndex(([cause]) => cause.id === event.causationid) + 1);
      fold.replay(event, after);
    },
    takeArrival: ({ topic, partition, offset, key, headers, value, type, timestamp }, arrival) =>
      void waiting.push({ topic, partition, offset, key, headers, value, type, timestamp, arrival }),
    finish: (committed) => readUpTo(committed - 1),
  };
};

/** Offsets of the records in each partition of `topic` that became dead letters of `group`; undefined when dead letters may be gone. */
export const deadLettersOf = async (
  log: Log,
  group: string,
  topic: Topic,
  signal: AbortSignal,
): Promise<((partition: number) => ReadonlySet<number>) | undefined> => {
  const found = new Map<string, Set<number>>();
  for (let partition = 0; partition < log.partitions(DLQ); partition++) {
    const { first, end } = await log.range(DLQ, partition);
    if (first > 0) return undefined;
    for await (const letters of log.read({ topic: DLQ, partition, offset: first }, signal, { until: end }))
      for (const { headers } of letters) {
        if (headers[LETTER.group] !== group || headers[LETTER.topic] !== topic) continue;
        const of = headers[LETTER.partition]!;
        const offsets = found.get(of) ?? new Set();
        found.set(of, offsets.add(Number(headers[LETTER.offset])));
      }
  }
  const none: ReadonlySet<number> = new Set();
  return (partition) => found.get(String(partition)) ?? none;
};

export interface Rebuilding {
  /** The source of the group's own events. */
  readonly source: string;
  /** As `deadLettersOf` gave them for this partition. */
  readonly deadLetters: ReadonlySet<number> | undefined;
  /** What the group has read: below `committed`. */
  readonly committed: number;
  /** Where the partition ends. */
  readonly end: number;
  /** Absent: this is the only node. */
  readonly arrivals?: Arrivals;
}

/** Folds a partition from its first record on; how many records it read. */
export const rebuildPartition = async (
  log: Log,
  fold: Fold,
  { topic, partition }: Omit<Position, 'offset'>,
  { source, deadLetters, committed, end, arrivals = noArrivals }: Rebuilding,
  signal: AbortSignal,
): Promise<number> => {
  const rebuild = openRebuild(fold, source, deadLetters);
  const { first } = await log.range(topic, partition);
  let count = 0;
  for await (const records of log.read({ topic, partition, offset: first }, signal, { until: end, maxBatch: MAX_BATCH })) {
    for (const record of records) {
      const arrival = await arrivals.of(record, signal);
      if (arrival === undefined) rebuild.take(record);
      else rebuild.takeArrival(record, arrival);
    }
    count += records.length;
  }
  rebuild.finish(committed);
  return count;
};
