// Sends one partition of this node's log to the core, from where the core has it, and goes on with its end.
//
// S1. The log is the outbox: nothing is copied or noted beside it, and where to go on is what the core says. S2. One batch at a time, so order is kept.
// S3. Copies of what others said, and what is not this node's to say, are left out; the batch covers their offsets all the same. S4. What was not taken ends the
// session: the next one begins with what the core has. S5. On a line that is too slow for a batch, batches become smaller until one gets through. S6. Where this process has
// much else to do, a partition gives way between two batches: the rest is kept, as while the line is down. What others wait for (the outbox) goes at once.
import { packRecords } from '../../processors/link/index.js';
import { Fault, OUTBOX, TELEMETRY, type Topic } from '../../schemas/index.js';
import { isCopy, type Log, pause, type Recorded } from '../../streams/index.js';
import { giveWay, type Load } from '../../streams/runtime/index.js';
import type { Contents } from './contents.js';
import type { Line } from './line.js';
import type { Throttle } from './throttle.js';

/** Of one batch, before it is packed; one record may be larger. */
const BATCH_BYTES = { least: 8 * 1024, most: 1024 * 1024 } as const;

/** How large batches are (S5). */
export interface BatchSize {
  bytes(): number;
  /** One got through. */
  taken(): void;
  /** A session ended for want of an answer. */
  lost(): void;
}

export const openBatchSize = (): BatchSize => {
  let bytes: number = BATCH_BYTES.most;
  return {
    bytes: () => bytes,
    taken: () => {
      bytes = Math.min(bytes * 2, BATCH_BYTES.most);
    },
    lost: () => {
      bytes = Math.max(bytes / 4, BATCH_BYTES.least);
    },
  };
};

export interface SendingOptions {
  readonly log: Pick<Log, 'read' | 'range'>;
  readonly line: Line;
  readonly throttle: Throttle;
  /** S6; none: it never gives way. */
  readonly load?: Load;
  readonly size: BatchSize;
  readonly contents: Contents;
  readonly node: string;
  readonly epoch: number;
  readonly flushMs: number;
  readonly batchRecords: number;
  /** Told of every batch that the core has taken. */
  readonly onTaken: () => void;
}

export interface Sending {
  readonly topic: Topic;
  readonly partition: number;
  /** The offset below which the core has everything. */
  cursor(): number;
  /** Records that the core does not have yet. */
  backlog(): Promise<number>;
  /** Until the signal aborts. @throws Fault of the line */
  run(signal: AbortSignal): Promise<void>;
}

export const openSending = (topic: Topic, partition: number, from: number, options: SendingOptions): Sending => {
  const { log, line, throttle, load, size, contents, node, epoch, flushMs, batchRecords, onTaken } = options;
  /** The core has everything below. */
  let cursor = from;
  /** Below it is nothing that the core has not, and is to have. */
  let passed = from;

  /** S6: what it takes of this process until the first wait. */
  const counted = <T>(work: () => T): T => {
    const began = performance.now();
    const done = work();
    load?.ours(performance.now() - began);
    return done;
  };

  const isSent = (record: Recorded): boolean => topic === OUTBOX || !isCopy(record);

  const send = async (records: readonly Recorded[], next: number, signal: AbortSignal): Promise<void> => {
    const pushed = topic === TELEMETRY ? undefined : counted(() => contents.push(records, signal));
    const [packed] = await Promise.all([counted(() => packRecords(records)), pushed]);
    await throttle.take(packed.records.length, topic !== TELEMETRY, signal);
    if (signal.aborted) return;
    const taken = await counted(() => line.send({ node_id: node, epoch, topic, partition, first: cursor, next, ...packed }, signal));
    if (taken < next)
      throw new Fault(
        'retryable',
        'link_gap',
        `the core has ${topic}/${partition} up to ${taken}, not up to ${next}; it is sent again from there`,
      );
    cursor = taken;
    passed = taken;
    size.taken();
    onTaken();
  };

  return {
    topic,
    partition,
    cursor: () => cursor,
    backlog: async () => Math.max(0, (await log.range(topic, partition)).end - passed),
    run: async (signal) => {
      for await (const records of log.read({ topic, partition, offset: cursor }, signal, { maxBatch: batchRecords })) {
        const began = performance.now();
        for (const part of inBytes(records, size)) {
          if (signal.aborted) return;
          const sent = part.filter(isSent);
          const next = part.at(-1)!.offset + 1;
          if (sent.length > 0) await send(sent, next, signal);
          // Nothing of it concerns the core: the next batch covers it.
          else if (passed === part[0]!.offset) passed = next;
        }
        if (topic !== OUTBOX) await giveWay(load, signal);
        await pause((records.length < batchRecords ? flushMs : 0) - (performance.now() - began), signal);
      }
    },
  };
};

/** Parts of the size that fits now, or one record. */
function* inBytes(records: readonly Recorded[], limit: BatchSize): Generator<readonly Recorded[]> {
  let begin = 0;
  let bytes = 0;
  for (let i = 0; i < records.length; i++) {
    const size = records[i]!.value.length;
    if (i > begin && bytes + size > limit.bytes()) {
      yield records.slice(begin, i);
      begin = i;
      bytes = 0;
    }
    bytes += size;
  }
  yield records.slice(begin);
}
