// Sending batches of records to their leaders with sequence numbers: what the idempotent and the transactional producer share.
//
// S1. A batch that was sent once is sent again with the same sequence until it is answered: the broker writes it once.
// S2. After an outcome that nobody knows, the numbers are worthless: whoever owns them must get a new epoch (`reset`).
import { produceV9, type ResponseError } from '@platformatic/kafka';
import { Fault } from '../../schemas/index.js';
import type { Cluster } from './cluster.js';
import { type Message, sizeOf } from './codec.js';
import { isProtocolError, kafkaFault, mayHaveMoved } from './faults.js';
import { type Persistence, persist } from './persist.js';

export interface ProducerId {
  readonly id: bigint;
  readonly epoch: number;
}

/** Sequence numbers a partition, as the client wants them. */
export class Sequences extends Map<string, number> {
  getWithDefault(key: string, fallback: number): number {
    return this.get(key) ?? fallback;
  }
  /** Numbers wrap at 2^31. */
  advance(key: string, by: number): void {
    this.set(key, (this.getWithDefault(key, 0) + by) % 0x80000000);
  }
}

const ALL_REPLICAS = -1;
const BROKER_TIMEOUT_MS = 8_000;

export interface Sending {
  readonly cluster: Cluster;
  readonly producer: ProducerId;
  readonly sequences: Sequences;
  readonly transactionalId?: string;
  readonly persistence: Persistence;
}

/** Neighbours in the log: `count` records from `base` on. */
export interface Written {
  readonly base: number;
  readonly count: number;
}
/** What was written of each partition (`topic:partition`), in order. */
export type WrittenBatches = ReadonlyMap<string, readonly Written[]>;

/** A batch has at most so many bytes, or one record: the topics take a little more. */
export const BATCH_BYTES = 8 * 1024 * 1024;

export const placeOf = ({ topic, partition }: Message): string => `${topic}:${partition}`;

/** Messages of each partition, in batches that a topic takes. */
const batchesOf = (messages: readonly Message[]): Map<string, Message[][]> => {
  const places = new Map<string, Message[][]>();
  const bytes = new Map<string, number>();
  for (const message of messages) {
    const place = placeOf(message);
    const size = sizeOf(message);
    const batches = places.get(place);
    const total = (bytes.get(place) ?? 0) + size;
    if (batches === undefined) places.set(place, [[message]]);
    else if (total <= BATCH_BYTES) batches.at(-1)!.push(message);
    else batches.push([message]);
    bytes.set(place, batches === undefined || total > BATCH_BYTES ? size : total);
  }
  return places;
};

/**
 * Sends messages of one or more partitions, in order. Sequence numbers advance for the batches that were written.
 * @throws Fault when one could not be; then it is not known which were.
 */
export const sendBatches = async (messages: readonly Message[], sending: Sending): Promise<WrittenBatches> => {
  const waiting = batchesOf(messages);
  const written = new Map<string, Written[]>([...waiting.keys()].map((place) => [place, []]));
  while (waiting.size > 0) {
    await persist(() => sendFirsts(waiting, written, sending), sending.persistence);
    for (const [place, batches] of waiting) if (batches.length === 0) waiting.delete(place);
  }
  return written;
};

/** Sends the first waiting batch of every partition. What was written is taken out of `waiting`. */
const sendFirsts = async (waiting: Map<string, Message[][]>, written: Map<string, Written[]>, sending: Sending): Promise<void> => {
  const { cluster, sequences } = sending;
  const round = new Map([...waiting].filter(([, batches]) => batches.length > 0).map(([place, batches]) => [place, batches[0]!]));
  const byLeader = new Map<number, Message[]>();
  for (const batch of round.values()) {
    const leader = await cluster.leader(batch[0]!.topic, batch[0]!.partition);
    const group = byLeader.get(leader);
    if (group === undefined) byLeader.set(leader, [...batch]);
    else group.push(...batch);
  }
  const bases = new Map<string, number>();
  const outcomes = await Promise.allSettled([...byLeader].map(([leader, group]) => sendTo(leader, group, sending, bases)));
  for (const [place, batch] of round) {
    const base = bases.get(place);
    if (base === undefined) continue;
    sequences.advance(place, batch.length);
    written.get(place)!.push({ base, count: batch.length });
    waiting.get(place)!.shift();
  }
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed === undefined) return;
  if (mayHaveMoved(failed.reason)) for (const [place, batch] of round) if (!bases.has(place)) cluster.forgetTopic(batch[0]!.topic);
  throw kafkaFault(failed.reason, `appending to ${[...round.keys()].join(', ')}`);
};

/** Notes the offsets of what was written even when a part of it was refused. */
const sendTo = async (leader: number, messages: readonly Message[], sending: Sending, bases: Map<string, number>): Promise<void> => {
  const { producer, sequences, transactionalId } = sending;
  type Response = Exclude<Awaited<ReturnType<typeof produceV9.api.async>>, boolean>;
  const note = (response: Response): void => {
    for (const { name, partitionResponses } of response.responses)
      for (const { index, errorCode, baseOffset } of partitionResponses)
        if (errorCode === 0) bases.set(`${name}:${index}`, Number(baseOffset));
  };
  try {
    const response = await sending.cluster.call(
      leader,
      'produce',
      produceV9.api,
      ALL_REPLICAS,
      BROKER_TIMEOUT_MS,
      messages as never,
      {
        ...(transactionalId === undefined ? {} : { transactionalId }),
        producerId: producer.id,
        producerEpoch: producer.epoch,
        sequences,
      } as never,
    );
    note(response as Response);
  } catch (error) {
    const { response } = error as ResponseError & { response?: Response };
    if (response !== undefined) note(response);
    // Written before, and the answer was lost so long ago that the broker only knows that it has it: the offset is gone with the answer.
    if (isProtocolError(error, 'DUPLICATE_SEQUENCE_NUMBER'))
      throw new Fault('terminal', 'written_before', 'the batch was written before, and its offset is not known any more', { cause: error });
    throw error;
  }
};
