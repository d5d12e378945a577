// A Kafka of its own for each test: topics and groups under a prefix that nobody else has.
import { randomBytes } from 'node:crypto';
import { type Connection, deleteTopicsV6 } from '@platformatic/kafka';
import { TOPICS } from '../../../schemas/index.js';
import type { Log } from '../../log.js';
import { PARTITIONS } from '../../testing/log-harness.js';
import { Cluster, type Purpose } from '../cluster.js';
import { type KafkaLogOptions, openKafkaLog } from '../log.js';
import { physicalTopic, stateTopic } from '../topics.js';

/** Short, so that the others notice a silent member soon; in milliseconds. */
const SESSION_TIMEOUT_MS = 1_000;
const DELETE_TIMEOUT_MS = 10_000;
/** Groups that tests join. */
const GROUPS = ['group', 'other', 'group-2', 'third', 'one', 'two', 'core', 'views', 'workers'];

/** Connections of a process that can fall silent: it sends, and nobody hears. */
class Muting {
  #muted = false;
  readonly #connections = new Set<Connection>();

  readonly connect = (make: () => Connection, purpose: Purpose): Connection => {
    const connection = make();
    if (purpose !== 'group') return connection;
    this.#connections.add(connection);
    if (this.#muted) silence(connection);
    return connection;
  };

  mute(): void {
    this.#muted = true;
    for (const connection of this.#connections) silence(connection);
  }
}

const silence = (connection: Connection): void => {
  connection.send = () => undefined;
};

export interface KafkaHarness {
  readonly prefix: string;
  open(node?: string, options?: Partial<KafkaLogOptions>): Promise<Log>;
  expel(node: string): Promise<void>;
  dispose(): Promise<void>;
}

/** `brokers` must run. Topics are removed by `dispose`. */
export const kafkaHarness = (brokers: readonly string[]): KafkaHarness => {
  const prefix = `t${randomBytes(5).toString('hex')}.`;
  const muting = new Map<string, Muting>();
  return {
    prefix,
    open: async (node = 'node-1', options = {}) => {
      const muted = new Muting();
      muting.set(node, muted);
      return openKafkaLog({
        brokers,
        node,
        partitions: PARTITIONS,
        prefix,
        sessionTimeoutMs: SESSION_TIMEOUT_MS,
        connect: muted.connect,
        ...options,
      });
    },
    expel: async (node) => muting.get(node)?.mute(),
    dispose: async () => {
      const cluster = new Cluster({ brokers, clientId: 'dispose' });
      const names = [...TOPICS.map((topic) => physicalTopic(prefix, topic)), ...GROUPS.map((group) => stateTopic(prefix, group))];
      try {
        for (const name of names)
          await cluster.call(await cluster.anyNode(), 'admin', deleteTopicsV6.api, [{ name }], DELETE_TIMEOUT_MS).catch(() => undefined);
      } finally {
        await cluster.close();
      }
    },
  };
};
