// What the pipeline wrote into Kafka, read back by an independent client: how many records, their bytes, a sample of them, and the hops of one task.
//
// W1. Only records that were committed count: no markers, nothing aborted. W2. Read when the pipeline has ended: a last record of our own in every
// partition says where to stop.
import type { IHeaders, Kafka } from 'kafkajs';
import { withAdmin } from './kafkajs-peer.js';

/** A record as it is on the wire; `topic` is without the prefix. */
export interface WrittenRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

/** Records kept as a sample, at most. */
const SAMPLE_RECORDS = 8_192;
/** How long the reading may take, in milliseconds. */
const READ_MS = 300_000;

/** Keeps evenly spaced records of a stream of unknown length: all, then every second one, then every fourth ... */
export const evenSample = <T>(limit: number): { readonly kept: readonly T[]; offer(item: T): void } => {
  let stride = 1;
  let seen = 0;
  let kept: T[] = [];
  return {
    get kept() {
      return kept;
    },
    offer: (item) => {
      if (seen++ % stride !== 0) return;
      kept.push(item);
      if (kept.length <= limit) return;
      kept = kept.filter((_, i) => i % 2 === 0);
      stride *= 2;
    },
  };
};

/** An event of a task: who wrote it, what caused it, and when it was made (milliseconds since the epoch). */
export interface Link {
  readonly type: string;
  readonly source: string;
  readonly cause: string | undefined;
  readonly at: number;
}

/** One hop: an event that was written, and the event that whoever read it made of it. */
export interface Hop {
  readonly from: string;
  readonly to: string;
  /** Between the making of the two, in milliseconds: writing, reading and working. */
  readonly ms: number;
}

/**
 * The hops that lead to the event `last`, in order. A writer's events of one turn are one commit, so a hop is where the writer changes; the reader of
 * `last` is one hop more. @throws Error when the chain is broken.
 */
export const hopsTo = (links: ReadonlyMap<string, Link>, last: string): readonly Hop[] => {
  const hops: Hop[] = [];
  const seen = new Set<string>();
  let after: Link | undefined;
  for (let id: string | undefined = last; id !== undefined; ) {
    const link = links.get(id);
    if (link === undefined || seen.has(id)) throw new Error(`the chain of causes of event ${last} is broken at ${id}`);
    seen.add(id);
    if (after !== undefined && link.source !== after.source) hops.unshift({ from: link.type, to: after.type, ms: after.at - link.at });
    after = link;
    id = link.cause;
  }
  return hops;
};

/** Ends of the partitions of the topics with `prefix`, by `topic/partition`. */
export type Ends = ReadonlyMap<string, bigint>;

export const endsOf = (kafka: Kafka, prefix: string): Promise<Ends> =>
  withAdmin(kafka, async (admin) => {
    const ends = new Map<string, bigint>();
    for (const topic of (await admin.listTopics()).filter((name) => name.startsWith(prefix)))
      for (const { partition, high } of await admin.fetchTopicOffsets(topic)) ends.set(`${topic}/${partition}`, BigInt(high));
    return ends;
  });

const sizeOf = (headers: IHeaders, key: Buffer | null, value: Buffer | null): number => {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of Object.entries(headers)) bytes += name.length + Buffer.byteLength(String(text ?? ''));
  return bytes;
};

export interface Written {
  /** Between the two ends. */
  readonly records: number;
  readonly bytes: number;
  /** Of every topic. */
  readonly partitions: number;
  readonly sample: readonly WrittenRecord[];
  /** Every event of the tasks that were asked for, by its id. */
  readonly links: ReadonlyMap<string, Link>;
  /** The ids of their `dats.task.completed`. */
  readonly completed: readonly string[];
}

export interface WrittenOptions {
  readonly prefix: string;
  /** Reading begins here; what is before `from` is not counted. */
  readonly begin: Ends;
  readonly from: Ends;
  readonly to: Ends;
  /** Tasks whose events are wanted, all of them after `begin`. */
  readonly taskIds: ReadonlySet<string>;
}

/** The pipeline must have ended. @throws Error when it takes too long. */
export const readWritten = async (kafka: Kafka, { prefix, begin, from, to, taskIds }: WrittenOptions): Promise<Written> => {
  const stops = await markEnds(kafka, await endsOf(kafka, prefix));
  const sample = evenSample<WrittenRecord>(SAMPLE_RECORDS);
  const links = new Map<string, Link>();
  const completed: string[] = [];
  let [records, bytes] = [0, 0];
  const consumer = kafka.consumer({ groupId: `${prefix}bench-written`, maxWaitTimeInMs: 100 });
  const unread = new Set(stops.keys());
  let finished: () => void = () => undefined;
  const all = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const topics = [...new Set([...stops.keys()].map((place) => place.slice(0, place.lastIndexOf('/'))))];
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`reading what was written took longer than ${READ_MS} ms`)), READ_MS);
  });
  try {
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        const place = `${topic}/${partition}`;
        const [first, end, stop] = [from.get(place) ?? 0n, to.get(place) ?? 0n, stops.get(place)!];
        for (const { offset, key, value, headers = {} } of messages) {
          const at = BigInt(offset);
          if (taskIds.has(String(headers['ce_subject']))) {
            const [id, link] = linkOf(headers);
            links.set(id, link);
            if (link.type === 'dats.task.completed') completed.push(id);
          }
          if (at >= first && at < end) {
            records += 1;
            bytes += sizeOf(headers, key, value);
            sample.offer({ topic: topic.slice(prefix.length), partition, key, value, headers });
          }
          if (at >= stop && unread.delete(place) && unread.size === 0) finished();
        }
      },
    });
    for (const [place, offset] of begin) consumer.seek({ ...placeOf(place), offset: String(offset) });
    await Promise.race([all, late]);
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
  return { records, bytes, partitions: stops.size / topics.length, sample: sample.kept, links, completed };
};

const linkOf = (headers: IHeaders): [string, Link] => {
  const text = (name: string): string => String(headers[`ce_${name}`]);
  const cause = headers['ce_causationid']?.toString();
  return [text('id'), { type: text('type'), source: text('source'), cause, at: Date.parse(text('time')) }];
};

const placeOf = (place: string): { topic: string; partition: number } => {
  const at = place.lastIndexOf('/');
  return { topic: place.slice(0, at), partition: Number(place.slice(at + 1)) };
};

/** Writes a record at the end of every partition; resolves to their offsets. */
const markEnds = async (kafka: Kafka, ends: Ends): Promise<Ends> => {
  const producer = kafka.producer();
  await producer.connect();
  const marks = new Map<string, bigint>();
  try {
    for (const place of ends.keys()) {
      const { topic, partition } = placeOf(place);
      const [written] = await producer.send({ topic, messages: [{ partition, key: 'bench-end', value: 'end' }] });
      marks.set(place, BigInt(written!.baseOffset!));
    }
  } finally {
    await producer.disconnect();
  }
  return marks;
};
