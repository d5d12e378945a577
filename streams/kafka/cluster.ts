// Brokers, connections, leaders and coordinators: where a request must go. No retries but one: a stale address is looked up again by whoever failed.
//
// C1. One connection a broker and purpose: a request that waits at the broker (a long poll, a join) holds up only its own kind.
// C2. A connection that failed or timed out is never used again. C3. What is known of leaders and coordinators is forgotten on request, never on time.
import { Connection, findCoordinatorV4, metadataV12, TimeoutError } from '@platformatic/kafka';
import { Fault } from '../../schemas/index.js';
import { isProtocolError, isWireError, kafkaFault, unavailable } from './faults.js';

/** What a connection is for. `tail` and `group` requests wait at the broker. */
export type Purpose = 'admin' | 'direct' | 'group' | 'produce' | 'tail' | 'transaction';
/**
 * One of several connections of a purpose: a broker answers a connection's requests one after another, so the join of one member would hold up the
 * heartbeats of the next, and the commits of all partitions each other.
 */
export type Channel = Purpose | `group:${number}` | `transaction:${number}`;
const purposeOf = (channel: Channel): Purpose => channel.split(':', 1)[0] as Purpose;

export interface KafkaSecurity {
  readonly tls?: boolean;
  readonly sasl?: { readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; readonly username: string; readonly password: string };
}

export interface ClusterOptions extends KafkaSecurity {
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[];
  /** As the broker's tools show it: `<node>:<pid>`. */
  readonly clientId: string;
  /** For tests: makes the connection of a purpose. */
  readonly connect?: (make: () => Connection, purpose: Purpose) => Connection;
}

interface Topic {
  readonly id: string;
  readonly leaders: readonly number[];
}

/** Limits in milliseconds. A join may wait for the slowest member of its group. */
const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS: Readonly<Record<Purpose, number>> = {
  admin: 10_000,
  direct: 10_000,
  group: 20_000,
  produce: 10_000,
  tail: 10_000,
  transaction: 10_000,
};
const MAX_IN_FLIGHT = 1_000;
const COORDINATOR_TYPES = { group: 0, transaction: 1 } as const;

/** One request of the protocol: an `xVn.api` of the client. */
interface Api<A extends readonly unknown[], R> {
  readonly async: (connection: Connection, ...args: A) => Promise<R>;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #connections = new Map<string, Promise<Connection>>();
  #nodes = new Map<number, { readonly host: string; readonly port: number }>();
  readonly #topics = new Map<string, Topic>();
  readonly #coordinators = new Map<string, number>();
  #loading: Promise<void> | undefined;
  #closed = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  get clientId(): string {
    return this.#options.clientId;
  }

  /** Sends a request to a broker. @throws what the client throws: see `faults.ts`. */
  async call<A extends readonly unknown[], R>(node: number, channel: Channel, api: Api<A, R>, ...args: A): Promise<R> {
    const connection = await this.#connection(node, channel);
    try {
      return await api.async(connection, ...args);
    } catch (error) {
      // The client cannot go on with a connection that still has an answer to come.
      if (error instanceof TimeoutError) this.#drop(`${node}/${channel}`, connection);
      throw error;
    }
  }

  /** The broker that leads a partition. */
  async leader(topic: string, partition: number): Promise<number> {
    const leader = (this.#topics.get(topic) ?? (await this.#topic(topic))).leaders[partition];
    if (leader === undefined || leader < 0) {
      this.#topics.delete(topic);
      throw unavailable(`finding the leader of ${topic}/${partition}`);
    }
    return leader;
  }

  async topicId(topic: string): Promise<string> {
    return (this.#topics.get(topic) ?? (await this.#topic(topic))).id;
  }

  /** Partitions of a topic; undefined when there is no such topic. */
  async partitionsOf(topic: string): Promise<number | undefined> {
    await this.#load([topic]);
    return this.#topics.get(topic)?.leaders.length;
  }

  forgetTopic(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Asks the coordinator of a group or a transactional id; one that has moved is looked up by the next question. @throws Fault that says what was being done. */
  async atCoordinator<R>(kind: keyof typeof COORDINATOR_TYPES, key: string, doing: string, send: (node: number) => Promise<R>): Promise<R> {
    try {
      return await send(await this.#coordinator(kind, key));
    } catch (error) {
      if (isWireError(error) || isProtocolError(error, 'NOT_COORDINATOR', 'COORDINATOR_NOT_AVAILABLE'))
        this.#coordinators.delete(`${kind}/${key}`);
      throw kafkaFault(error, doing);
    }
  }

  async #coordinator(kind: keyof typeof COORDINATOR_TYPES, key: string): Promise<number> {
    const name = `${kind}/${key}`;
    const known = this.#coordinators.get(name);
    if (known !== undefined) return known;
    const { coordinators } = await this.#anyone(`finding the coordinator of ${key}`, (connection) =>
      findCoordinatorV4.api.async(connection, COORDINATOR_TYPES[kind], [key]),
    );
    const [found] = coordinators;
    if (found === undefined || found.nodeId < 0) throw unavailable(`finding the coordinator of ${key}`);
    this.#nodes.set(found.nodeId, { host: found.host, port: found.port });
    this.#coordinators.set(name, found.nodeId);
    return found.nodeId;
  }

  /** Any broker that answers. */
  async anyNode(): Promise<number> {
    if (this.#nodes.size === 0) await this.#load([]);
    const [node] = this.#nodes.keys();
    if (node === undefined) throw unavailable('looking for a broker');
    return node;
  }

  async nodeCount(): Promise<number> {
    await this.#load([]);
    return this.#nodes.size;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#connections.values()];
    this.#connections.clear();
    await Promise.all(
      open.map((opening) =>
        opening
          .then(
            (connection) => connection.close(),
            () => undefined,
          )
          .catch(() => undefined),
      ),
    );
  }

  async #topic(name: string): Promise<Topic> {
    await this.#load([name]);
    const topic = this.#topics.get(name);
    if (topic === undefined) throw unavailable(`looking for the topic ${name}`);
    return topic;
  }

  async #load(topics: readonly string[]): Promise<void> {
    const earlier = this.#loading;
    if (earlier !== undefined) await earlier.catch(() => undefined);
    this.#loading = this.#loadNow(topics);
    return this.#loading;
  }

  async #loadNow(topics: readonly string[]): Promise<void> {
    const response = await this.#anyone('asking for metadata', (connection) =>
      metadataV12.api.async(connection, [...topics], false, false).catch((error: unknown) => {
        const partial = (error as { response?: Awaited<ReturnType<typeof metadataV12.api.async>> }).response;
        if (partial !== undefined && isProtocolError(error, 'UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE')) return partial;
        throw error;
      }),
    );
    this.#nodes = new Map(response.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    for (const { name, topicId, errorCode, partitions } of response.topics) {
      if (name === null || name === undefined) continue;
      if (errorCode !== 0) this.#topics.delete(name);
      else {
        const leaders: number[] = [];
        for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId;
        this.#topics.set(name, { id: topicId, leaders });
      }
    }
  }

  /** Asks the first broker that answers: those that are known, then those that were given. */
  async #anyone<R>(doing: string, ask: (connection: Connection) => Promise<R>): Promise<R> {
    let failure: unknown;
    const given = this.#options.brokers.map((broker) => parseBroker(broker));
    for (const { host, port } of [...this.#nodes.values(), ...given]) {
      if (this.#closed) break;
      const key = `${host}:${port}/admin`;
      let connection: Connection | undefined;
      try {
        connection = await this.#open(key, host, port, 'admin');
        return await ask(connection);
      } catch (error) {
        failure = error;
        if (connection !== undefined && error instanceof TimeoutError) this.#drop(key, connection);
      }
    }
    throw kafkaFault(failure, doing);
  }

  async #connection(node: number, channel: Channel): Promise<Connection> {
    let address = this.#nodes.get(node);
    if (address === undefined) {
      await this.#load([]);
      address = this.#nodes.get(node);
    }
    if (address === undefined) throw unavailable(`looking for broker ${node}`);
    return this.#open(`${node}/${channel}`, address.host, address.port, purposeOf(channel));
  }

  #open(key: string, host: string, port: number, purpose: Purpose): Promise<Connection> {
    if (this.#closed) throw new Fault('fatal', 'log_closed', 'the log is closed; open it again before using it');
    const open = this.#connections.get(key);
    if (open !== undefined) return open;
    const opening = this.#connect(key, host, port, purpose);
    this.#connections.set(key, opening);
    opening.catch(() => this.#connections.delete(key));
    return opening;
  }

  async #connect(key: string, host: string, port: number, purpose: Purpose): Promise<Connection> {
    const { tls, sasl, clientId, connect } = this.#options;
    const make = () =>
      new Connection(clientId, {
        connectTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS[purpose],
        maxInflights: MAX_IN_FLIGHT,
        ...(tls ? { tls: {} } : {}),
        ...(sasl ? { sasl } : {}),
      });
    const connection = connect === undefined ? make() : connect(make, purpose);
    const gone = () => this.#drop(key, connection);
    connection.on('error', gone);
    connection.on('close', gone);
    await connection.connect(host, port);
    return connection;
  }

  #drop(key: string, connection: Connection): void {
    const current = this.#connections.get(key);
    void current?.then(
      (open) => {
        if (open === connection && this.#connections.get(key) === current) this.#connections.delete(key);
      },
      () => undefined,
    );
    connection.close().catch(() => undefined);
  }
}

const parseBroker = (broker: string): { host: string; port: number } => {
  const at = broker.lastIndexOf(':');
  return at < 0 ? { host: broker, port: 9092 } : { host: broker.slice(0, at), port: Number(broker.slice(at + 1)) };
};
