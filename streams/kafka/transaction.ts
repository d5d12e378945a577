// One transactional producer: whoever opened its id last owns it, and everybody before is fenced (L4).
//
// X1. Opening fences the earlier owner and ends its open transaction, so what is read after that is stable.
// X2. `write` is all or none. When the answer to its end is lost it asks again until it knows: ending the same transaction twice is harmless.
// X3. A failure before the end leaves the producer dirty: the next write first aborts what is open and gets a new epoch. That new epoch is asked for with the
// old one, so an owner that was fenced meanwhile learns it instead of fencing the new owner back.
import { addOffsetsToTxnV3, addPartitionsToTxnV3, endTxnV3, initProducerIdV4, txnOffsetCommitV3 } from '@platformatic/kafka';
import { Fault, partitionOf } from '../../schemas/index.js';
import type { Channel, Cluster } from './cluster.js';
import type { Message } from './codec.js';
import { isProtocolError, kafkaFault } from './faults.js';
import { type Persistence, persist } from './persist.js';
import { type ProducerId, Sequences, sendBatches, type WrittenBatches } from './producing.js';

export interface Offsets {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly next: number;
}

export interface TransactionOptions {
  readonly cluster: Cluster;
  readonly transactionalId: string;
  /** The broker aborts a transaction that is open for longer, in milliseconds: what a dead process left open is in the way of readers for so long. */
  readonly timeoutMs: number;
  /** Ends the asking for an outcome. */
  readonly signal: AbortSignal;
  readonly onRetry?: (error: unknown) => void;
}

/** How long the steps before the end are tried, in milliseconds; the end itself is tried until it is known. */
const STEP_MS = 6_000;
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 200;
/** Connections to a coordinator that the producers of a process share. */
const CONNECTIONS = 4;

const NONE: ProducerId = { id: -1n, epoch: -1 };

export class TransactionalProducer {
  readonly #options: TransactionOptions;
  readonly #channel: Channel;
  #producer: ProducerId = NONE;
  #sequences = new Sequences();
  #dirty = false;

  private constructor(options: TransactionOptions) {
    this.#options = options;
    this.#channel = `transaction:${partitionOf(options.transactionalId, CONNECTIONS)}`;
  }

  /** Takes the id over. @throws Fault retryable when Kafka does not answer within `forMs`. */
  static async open(options: TransactionOptions, forMs: number): Promise<TransactionalProducer> {
    const producer = new TransactionalProducer(options);
    await producer.#renew({ forMs });
    return producer;
  }

  /**
   * Writes messages and offsets as one transaction; resolves to what was written where.
   * @throws Fault `fenced`; retryable: nothing was written, or (code `outcome_unknown`) the signal aborted before the outcome was known.
   */
  async write(messages: readonly Message[], offsets?: Offsets): Promise<WrittenBatches> {
    if (this.#dirty) await this.#recover();
    if (messages.length === 0 && offsets === undefined) return new Map();
    this.#dirty = true;
    await this.#enlist(messages, offsets);
    const offsetsCommitted = offsets === undefined ? undefined : this.#commitOffsets(offsets);
    offsetsCommitted?.catch(() => undefined);
    try {
      const written = await this.#send(messages);
      await offsetsCommitted;
      await this.#end();
      this.#dirty = false;
      return written;
    } finally {
      // Nothing of this transaction may still be on its way when the next one begins.
      await offsetsCommitted?.catch(() => undefined);
    }
  }

  async #enlist(messages: readonly Message[], offsets: Offsets | undefined): Promise<void> {
    const { id: producerId, epoch: producerEpoch } = this.#producer;
    const { transactionalId } = this.#options;
    const partitions = new Map<string, Set<number>>();
    for (const { topic, partition } of messages) partitions.set(topic, (partitions.get(topic) ?? new Set()).add(partition));
    const topics = [...partitions].map(([name, numbers]) => ({ name, partitions: [...numbers] }));
    const enlistPartitions = () =>
      this.#ask('transaction', transactionalId, 'adding partitions to a transaction', (node) =>
        this.#options.cluster.call(node, this.#channel, addPartitionsToTxnV3.api, [
          { transactionalId, producerId, producerEpoch, verifyOnly: false, topics },
        ]),
      );
    const enlistOffsets = ({ group }: Offsets) =>
      this.#ask('transaction', transactionalId, 'adding offsets to a transaction', (node) =>
        this.#options.cluster.call(node, this.#channel, addOffsetsToTxnV3.api, transactionalId, producerId, producerEpoch, group),
      );
    // Sent together: on one connection the coordinator takes the second when it has written the first down.
    const asked = [topics.length > 0 ? enlistPartitions() : undefined, offsets === undefined ? undefined : enlistOffsets(offsets)];
    const failed = (await Promise.allSettled(asked)).find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #send(messages: readonly Message[]): Promise<WrittenBatches> {
    const { cluster, transactionalId } = this.#options;
    if (messages.length === 0) return Promise.resolve(new Map());
    return sendBatches(messages, {
      cluster,
      producer: this.#producer,
      sequences: this.#sequences,
      transactionalId,
      persistence: this.#steps(),
    });
  }

  async #commitOffsets({ group, topic, partition, next }: Offsets): Promise<void> {
    const { transactionalId, cluster } = this.#options;
    const { id, epoch } = this.#producer;
    const topics = [
      {
        name: topic,
        partitions: [{ partitionIndex: partition, committedOffset: BigInt(next), committedLeaderEpoch: -1, committedMetadata: '' }],
      },
    ];
    await this.#ask('group', group, 'committing offsets', (node) =>
      cluster.call(node, this.#channel, txnOffsetCommitV3.api, transactionalId, group, id, epoch, -1, '', null, topics),
    );
  }

  /** Ends the transaction one way or the other, once. */
  #endTxn(committed: boolean): Promise<unknown> {
    const { transactionalId, cluster } = this.#options;
    const { id, epoch } = this.#producer;
    return cluster.atCoordinator('transaction', transactionalId, 'ending a transaction', (node) =>
      cluster.call(node, this.#channel, endTxnV3.api, transactionalId, id, epoch, committed),
    );
  }

  /** Until the outcome is known (X2). @throws Fault fenced; retryable `transaction_aborted` when the broker has aborted it meanwhile. */
  async #end(): Promise<void> {
    try {
      await persist(() => this.#endTxn(true), { ...this.#steps(), forMs: Number.POSITIVE_INFINITY });
    } catch (error) {
      const fault = kafkaFault(error, 'ending a transaction');
      if (isProtocolError(fault.cause, 'INVALID_TXN_STATE'))
        throw new Fault(
          'retryable',
          'transaction_aborted',
          'the broker aborted the transaction before it was ended; nothing of it was written',
          { cause: error },
        );
      if (fault.kind !== 'retryable') throw fault;
      throw new Fault(
        'retryable',
        'outcome_unknown',
        'Kafka did not say whether the commit was written before this process gave the partition up',
        { cause: error },
      );
    }
  }

  /** Aborts what may be open, and begins a new epoch (X3). */
  async #recover(): Promise<void> {
    await persist(() => this.#endTxn(false), this.#steps()).catch((error: unknown) => {
      if (!isProtocolError((error as Fault).cause, 'INVALID_TXN_STATE')) throw error;
    });
    await this.#renew({ forMs: STEP_MS });
    this.#dirty = false;
  }

  async #renew({ forMs }: { readonly forMs: number }): Promise<void> {
    const { transactionalId, timeoutMs, cluster } = this.#options;
    const { id, epoch } = this.#producer;
    const init = () =>
      cluster.atCoordinator('transaction', transactionalId, 'opening a transactional producer', (node) =>
        cluster.call(node, this.#channel, initProducerIdV4.api, transactionalId, timeoutMs, id, epoch),
      );
    const { producerId, producerEpoch } = await persist(init, { ...this.#steps(), forMs });
    this.#producer = { id: producerId, epoch: producerEpoch };
    this.#sequences = new Sequences();
  }

  #steps(): Persistence {
    const { signal, onRetry } = this.#options;
    return { forMs: STEP_MS, signal, firstMs: FIRST_WAIT_MS, longestMs: LONGEST_WAIT_MS, ...(onRetry ? { onRetry } : {}) };
  }

  #ask<R>(kind: 'group' | 'transaction', key: string, doing: string, send: (node: number) => Promise<R>): Promise<R> {
    return persist(() => this.#options.cluster.atCoordinator(kind, key, doing, send), this.#steps());
  }
}
