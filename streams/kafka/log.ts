// The log on Kafka: the port (streams/log.ts), put together from its parts.
//
// H1. Opening does not wait for the brokers: what needs them waits, reading and joining for ever, appending and asking for a bounded time (Fault retryable).
// H2. What this process was told is committed or appended is visible to its next `get` and `range`, and to those of every other process: they wait for
// transactions that were open when they asked. H3. Only the leader says that there is nothing: a broker that is none (any more) is asked again, for a bounded time. An
// end that is too low for a moment would make edge nodes believe that this log was restored from older (nodes/link, F2).
import { setMaxListeners } from 'node:events';
import { type Fault, formatPosition, type Position, partitionOf, TOPICS, type Topic, toFault } from '../../schemas/index.js';
import { LEAVE_TIMEOUT_MS, logClosed, type Place, placeKey, recordLimitBytes, recordTooLarge } from '../adapter/index.js';
import { askedOnce } from '../asked-once.js';
import type { Assignment, GroupLag, Log, Membership, Outgoing, Recorded } from '../log.js';
import { pause } from '../pause.js';
import { within } from '../within.js';
import { afterLast } from './after-last.js';
import { type Addressed, Appender } from './appender.js';
import { type OwnedAssignment, openAssignment } from './assignment.js';
import { Cluster, type ClusterOptions } from './cluster.js';
import { messageOf, type SchemaIds, sizeOf } from './codec.js';
import { unavailable } from './faults.js';
import { type FetchLimits, fetchAnswered, offsetsOf } from './fetching.js';
import { committedOf, groupLag } from './lag.js';
import { KafkaMember } from './member.js';
import { persist } from './persist.js';
import { readPartition } from './reader.js';
import { readState } from './state-topic.js';
import { Tails } from './tails.js';
import { ensureStateTopic, ensureTopics, physicalTopic, stateTopic } from './topics.js';
import { TransactionalProducer } from './transaction.js';

export interface KafkaLogOptions extends Pick<ClusterOptions, 'brokers' | 'connect' | 'sasl' | 'tls'> {
  /** Name of this node, as the owner of partitions. */
  readonly node: string;
  /** Partitions of every topic, for ever. */
  readonly partitions: number;
  /** Before the name of every topic and group; default none. */
  readonly prefix?: string;
  /** Replicas of a topic; default: three, or as many as there are brokers. */
  readonly replication?: number;
  /** A member that is silent for so long is taken for dead, in milliseconds; default 3,000. A broker that does not allow it gets its own least value. */
  readonly sessionTimeoutMs?: number;
  /** Gives the ids that values are framed with; asked until it answers, before the first append. None: plain JSON. */
  readonly schemaIds?: () => Promise<SchemaIds>;
  readonly onProblem?: (error: unknown) => void;
}

const SESSION_TIMEOUT_MS = 3_000;
/** What a dead process left open is in the way of readers for so long at most, in milliseconds; the broker looks every second or ten. */
const TRANSACTION_TIMEOUT_MS = 6_000;
/** How long a question waits for an answer, in milliseconds. */
const ASK_MS = 5_000;
const OPEN_MS = 10_000;
/** How long a commit under way goes on after its partition was revoked, in milliseconds. */
const GIVE_UP_MS = 10_000;
/** How long open transactions are waited for, in milliseconds, and between two looks. */
const DECIDED_MS = 8_000;
/** The same for those who only want to know how far behind a group is. */
const LAG_DECIDED_MS = 1_000;
const LOOK_MS = 2;
/** A transaction lasts 6 s at most, and the broker looks every 10 s by default: what is open for longer was left by mistake, in milliseconds. */
const HELD_BACK_MS = 30_000;
const TELL_MS = 10_000;
const ONE: FetchLimits = { waitMs: 0, partitionBytes: 1, totalBytes: 1 };

export const openKafkaLog = (options: KafkaLogOptions): Log => new KafkaLog(options);

class KafkaLog implements Log {
  readonly #options: KafkaLogOptions;
  readonly #prefix: string;
  readonly #cluster: Cluster;
  readonly #tails: Tails;
  readonly #appender: Appender;
  readonly #members = new Set<Membership>();
  readonly #appending = new Set<Promise<unknown>>();
  readonly #closed = new AbortController();
  readonly #physical: ReadonlyMap<Topic, string>;
  readonly #logical: ReadonlyMap<string, Topic>;
  readonly #onProblem: (error: unknown) => void;
  readonly #ready = askedOnce(() => this.#prepare());
  #isReady = false;
  #trouble: Fault | undefined;
  #schemaIds: SchemaIds | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: KafkaLogOptions) {
    this.#options = options;
    this.#prefix = options.prefix ?? '';
    this.#onProblem = once(options.onProblem ?? (() => undefined));
    const clientId = `${options.node}:${process.pid}`;
    this.#cluster = new Cluster({ ...options, clientId });
    this.#physical = new Map(TOPICS.map((topic) => [topic, physicalTopic(this.#prefix, topic)]));
    this.#logical = new Map(TOPICS.map((topic) => [physicalTopic(this.#prefix, topic), topic]));
    const signal = this.#closed.signal;
    // Everything that waits in this log listens to it.
    setMaxListeners(0, signal);
    this.#tails = new Tails({ cluster: this.#cluster, signal, onProblem: this.#onProblem });
    this.#appender = new Appender({
      cluster: this.#cluster,
      transactionalId: `${this.#prefix}dats-append-${options.node}-${process.pid}-${Date.now().toString(36)}`,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
      signal,
    });
    this.#prepared(ASK_MS).catch(() => undefined);
  }

  partitions(_topic: Topic): number {
    return this.#options.partitions;
  }

  async append(records: readonly Outgoing[]): Promise<readonly Position[]> {
    if (this.#closing !== undefined) throw logClosed();
    if (records.length === 0) return [];
    const appending = this.#prepared(ASK_MS).then(() => this.#appender.append(this.#addressed(records)));
    this.#appending.add(appending);
    try {
      return await appending;
    } catch (error) {
      throw this.#closed.signal.aborted ? logClosed() : error;
    } finally {
      this.#appending.delete(appending);
    }
  }

  async *read(
    from: Position,
    signal: AbortSignal,
    options: { until?: number; maxBatch?: number } = {},
  ): AsyncGenerator<readonly Recorded[], void, undefined> {
    if (signal.aborted) return;
    yield* readPartition(this.#sources(), this.#cursor(from, from.offset), { ...options, signals: [signal, this.#closed.signal] });
  }

  async get(position: Position): Promise<Recorded | undefined> {
    this.#checkOpen();
    const cursor = this.#cursor(position, position.offset);
    const held = this.#tails.find(cursor.name, cursor.partition)?.at(position.offset);
    if (held !== undefined) return held ?? undefined;
    const deadline = performance.now() + DECIDED_MS;
    for (;;) {
      const fetched = await this.#ask('reading a record', () => fetchAnswered(this.#cluster, cursor, ONE));
      const [record] = fetched.records;
      if (record !== undefined) return record.offset === position.offset ? record : undefined;
      if (fetched.failed !== undefined || fetched.next > position.offset) return undefined;
      const { end } = await this.#ask('reading a record', () => offsetsOf(this.#cluster, cursor.name, cursor.partition));
      if (end <= position.offset) return undefined;
      // It is there, in a transaction that is not decided yet.
      if (performance.now() > deadline) throw unavailable(`waiting for the transaction at ${formatPosition(position)} of ${cursor.name}`);
      await pause(LOOK_MS, this.#closed.signal);
    }
  }

  range(topic: Topic, partition: number): Promise<{ first: number; end: number }> {
    return this.#range(topic, partition, DECIDED_MS);
  }

  /** Waits for open transactions for so long. */
  async #range(topic: Topic, partition: number, decidedMs: number): Promise<{ first: number; end: number }> {
    this.#checkOpen();
    const name = this.#physical.get(topic)!;
    const ask = () => this.#ask('asking for a range', () => offsetsOf(this.#cluster, name, partition));
    const asked = await ask();
    let { stable } = asked;
    for (const deadline = performance.now() + decidedMs; stable < asked.end && performance.now() < deadline; ) {
      await pause(LOOK_MS, this.#closed.signal);
      stable = (await ask()).stable;
    }
    return { first: asked.first, end: await this.#afterLast({ topic, partition }, asked.first, stable) };
  }

  async #afterLast(place: Place, first: number, stable: number): Promise<number> {
    const { name, partition } = this.#cursor(place, stable);
    const tail = this.#tails.find(name, partition);
    if (tail !== undefined && tail.next >= stable && tail.afterLast !== undefined) return Math.min(stable, tail.afterLast);
    const fetch = (from: number) => this.#ask('asking for a range', () => fetchAnswered(this.#cluster, this.#cursor(place, from), ONE));
    return afterLast(fetch, first, stable);
  }

  async join(name: string, topics: readonly Topic[], onAssigned: (assignment: Assignment) => Promise<void>): Promise<Membership> {
    if (this.#closing !== undefined) throw logClosed();
    const group = this.#prefix + name;
    const member = new KafkaMember({
      ...this.#named(),
      group,
      topics,
      partitions: this.#options.partitions,
      sessionTimeoutMs: this.#options.sessionTimeoutMs ?? SESSION_TIMEOUT_MS,
      prepare: async () => {
        await this.#prepared(ASK_MS);
        await ensureStateTopic(this.#cluster, this.#topicOptions(), name);
      },
      open: (place, revoked) => this.#open(name, group, place, revoked),
      onAssigned,
      onProblem: this.#onProblem,
    });
    this.#members.add(member);
    member.done.catch(() => undefined).finally(() => this.#members.delete(member));
    return member;
  }

  async lag(name: string, topics: readonly Topic[]): Promise<readonly GroupLag[]> {
    this.#checkOpen();
    const places = topics.flatMap((topic) => Array.from({ length: this.#options.partitions }, (_, partition) => ({ topic, partition })));
    return this.#ask('asking for the lag', () =>
      groupLag({
        ...this.#named(),
        group: this.#prefix + name,
        places,
        endOf: async ({ topic, partition }) => (await this.#range(topic, partition, LAG_DECIDED_MS)).end,
      }),
    );
  }

  async health(): Promise<{ ok: boolean; detail?: string }> {
    if (this.#closing !== undefined) return { ok: false, detail: 'the log is closed' };
    const node = await within(
      ASK_MS,
      this.#cluster.nodeCount().catch(() => undefined),
    );
    if (node === undefined) return { ok: false, detail: `no broker answers at ${this.#options.brokers.join(', ')}` };
    if (!this.#isReady)
      return { ok: false, detail: `its topics or the schema registry are not ready: ${this.#trouble?.message ?? 'still asking'}` };
    const held = this.#tails.heldBack(HELD_BACK_MS);
    if (held !== undefined)
      return {
        ok: false,
        detail: `a transaction that nobody ends holds back the readers of ${held.place.name}/${held.place.partition} since ${Math.round(held.heldBackMs() / 1000)} s, longer than any of ours lasts: the broker lost its end. Do not abort it, it may have been committed: see "Which Kafka" in streams/kafka/README.md`,
      };
    return { ok: true, detail: `${node} broker${node === 1 ? '' : 's'}` };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#members].map((member) => member.leave()));
    await within(LEAVE_TIMEOUT_MS, Promise.allSettled(this.#appending));
    this.#closed.abort();
    await this.#cluster.close();
    await this.#tails.ended();
  }

  /** Topics are there, and the registry has answered. @throws Fault retryable when that takes longer than `ms`. */
  async #prepared(ms: number): Promise<void> {
    const done = await within(
      ms,
      this.#ready().then(() => true),
    );
    if (done === undefined) throw this.#trouble ?? unavailable('getting the topics ready');
  }

  async #prepare(): Promise<void> {
    const { signal } = this.#closed;
    const { schemaIds } = this.#options;
    const tried = {
      signal,
      onRetry: (error: unknown) => {
        this.#trouble = toFault(error);
        this.#onProblem(error);
      },
    };
    await persist(() => ensureTopics(this.#cluster, this.#topicOptions()), tried);
    this.#trouble = undefined;
    if (schemaIds !== undefined) this.#schemaIds = await persist(schemaIds, tried);
    this.#isReady = true;
  }

  async #ask<T>(doing: string, question: () => Promise<T>): Promise<T> {
    const asked = this.#prepared(ASK_MS).then(() => persist(question, { forMs: ASK_MS, signal: this.#closed.signal }));
    const answer = await within(
      ASK_MS,
      asked.then((value) => ({ value })),
    );
    if (answer === undefined) {
      asked.catch(() => undefined);
      throw unavailable(doing);
    }
    return answer.value;
  }

  #addressed(records: readonly Outgoing[]): readonly Addressed[] {
    const now = BigInt(Date.now());
    return records.map((record) => {
      const partition = partitionOf(record.key, this.#options.partitions);
      const message = messageOf(record, this.#physical.get(record.topic)!, partition, now, this.#schemaIds);
      const bytes = sizeOf(message);
      if (bytes > recordLimitBytes(record.topic)) throw recordTooLarge(record, bytes);
      return { message, topic: record.topic };
    });
  }

  async #open(name: string, group: string, place: Place, revoked: AbortSignal): Promise<OwnedAssignment> {
    const physical = this.#physical.get(place.topic)!;
    const states = stateTopic(this.#prefix, name);
    const signal = AbortSignal.any([revoked, this.#closed.signal]);
    setMaxListeners(0, signal);
    const producer = await TransactionalProducer.open(
      {
        cluster: this.#cluster,
        transactionalId: `${group}/${place.topic}/${place.partition}`,
        timeoutMs: TRANSACTION_TIMEOUT_MS,
        signal: AbortSignal.any([this.#closed.signal, lateAfter(revoked)]),
        onRetry: this.#onProblem,
      },
      OPEN_MS,
    );
    const deps = {
      group,
      place,
      name: physical,
      stateTopic: states,
      revoked,
      producer,
      addressed: (records: readonly Outgoing[]) => this.#addressed(records),
      follow: (from: number, { maxBatch, signal: own }: { maxBatch?: number; signal?: AbortSignal }) =>
        readPartition(this.#sources(), this.#cursor(place, from), {
          maxBatch,
          signals: [revoked, this.#closed.signal, ...(own === undefined ? [] : [own])],
        }),
      groupOffset: async () => (await committedOf({ ...this.#named(), group, places: [place] })).get(placeKey(place)),
      end: async () => (await this.range(place.topic, place.partition)).end,
      checkOpen: () => this.#checkOpen(),
    };
    return openAssignment(deps, () => readState(this.#cluster, states, place, signal));
  }

  #named() {
    return {
      cluster: this.#cluster,
      nameOf: (topic: Topic) => this.#physical.get(topic)!,
      topicOf: (physical: string) => this.#logical.get(physical),
    };
  }

  #sources() {
    return { cluster: this.#cluster, tails: this.#tails };
  }

  #cursor({ topic, partition }: Place, from: number) {
    return { topic, name: this.#physical.get(topic)!, partition, from };
  }

  #topicOptions() {
    const { partitions, replication } = this.#options;
    return { prefix: this.#prefix, partitions, ...(replication === undefined ? {} : { replication }) };
  }

  /** Open until `close` has let the members finish: their last commits are welcome. */
  #checkOpen(): void {
    if (this.#closed.signal.aborted) throw logClosed();
  }
}

/** Aborts GIVE_UP_MS after `revoked` did: a commit whose outcome cannot be learned must not hold a partition for ever. */
const lateAfter = (revoked: AbortSignal): AbortSignal => {
  const late = new AbortController();
  setMaxListeners(0, late.signal);
  const begin = () => void setTimeout(() => late.abort(), GIVE_UP_MS).unref();
  if (revoked.aborted) begin();
  else revoked.addEventListener('abort', begin, { once: true });
  return late.signal;
};

/** Tells the same kind of problem at most every TELL_MS: an outage makes every part fail again and again. */
const once = (tell: (error: unknown) => void): ((error: unknown) => void) => {
  const told = new Map<unknown, number>();
  return (error) => {
    const code = (error as { code?: unknown }).code;
    const now = performance.now();
    if (now - (told.get(code) ?? Number.NEGATIVE_INFINITY) < TELL_MS) return;
    told.set(code, now);
    tell(error);
  };
};
