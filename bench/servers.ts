// Kafka and Redis of the bench's own: started by deploy/local in folders on the measured disk, with the heap and the settings of `servers.mjs up`, and
// ended with the bench, however it ends (unless it is itself killed with SIGKILL).
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { LocalKafka } from '../deploy/local/index.mjs';
import { cpuMsOf } from './pipeline-process.js';
import { freshDir, removeDir } from './places.js';

/** From `dist/bench/`, where this file runs. */
const local = async <T>(file: string): Promise<T> => (await import(new URL(`../../deploy/local/${file}`, import.meta.url).href)) as T;
/** What `servers.mjs up` gives a broker (deploy/local/kafka.mjs); the door for tests has less heap, and shorter sessions. */
const HEAP_MIB = 768;
const SESSION = { 'broker.session.timeout.ms': 3_000, 'broker.heartbeat.interval.ms': 500 };
const ASK_MS = 5_000;

export interface ServersCpu {
  readonly kafkaMs: number;
  readonly redisMs: number;
}

export interface BenchServers {
  readonly brokers: string;
  readonly redisUrl: string;
  readonly kafka: LocalKafka;
  readonly kafkaVersion: string;
  /** `Kafka 4.0.2 (one broker, heap 768 MiB, no fsync a record), Redis 7.0.15`. */
  readonly versions: string;
  /** A prefix of topics and keys that nobody has used before. */
  freshPrefix(name: string): string;
  /** CPU time that they have used since they were started, in milliseconds. */
  cpu(): ServersCpu;
  stop(): Promise<void>;
}

const redisVersion = async (): Promise<string> => {
  const { stdout } = await promisify(execFile)('redis-server', ['--version'], { timeout: ASK_MS });
  return /v=(\S+)/.exec(stdout)?.[1] ?? '(version unknown)';
};

/** @throws ServerFailure of deploy/local: what is missing (java, redis-server), or why a server does not answer. */
export const startServers = async (): Promise<BenchServers> => {
  const { startKafka, startRedis } = await local<typeof import('../deploy/local/index.mjs')>('index.mjs');
  const { KAFKA_VERSION } = await local<typeof import('../deploy/local/kafka.mjs')>('kafka.mjs');
  const dir = await freshDir('kafka');
  const ends: (() => Promise<void>)[] = [() => removeDir(dir)];
  const stop = async (): Promise<void> => {
    for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
  };
  try {
    const kafka = await startKafka({ dir, heapMiB: HEAP_MIB, settings: SESSION });
    // Before the folder is removed at our own exit: a broker that lives goes on writing into it.
    const kill = (): void => {
      if (kafka.pid !== null) process.kill(kafka.pid, 'SIGKILL');
    };
    process.prependOnceListener('exit', kill);
    ends.push(async () => {
      await kafka.close();
      process.off('exit', kill);
    });
    const redis = await startRedis();
    ends.push(() => redis.close());
    return {
      brokers: kafka.brokers,
      redisUrl: redis.url,
      kafka,
      kafkaVersion: KAFKA_VERSION,
      versions: `Kafka ${KAFKA_VERSION} (one broker, heap ${HEAP_MIB} MiB, acks all, no fsync a record), Redis ${await redisVersion()}`,
      freshPrefix: (name) => `${name}-${randomBytes(4).toString('hex')}.`,
      cpu: () => ({ kafkaMs: cpuOf(kafka.pid), redisMs: cpuOf(redis.pid) }),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

const cpuOf = (pid: number | null): number => (pid === null ? 0 : cpuMsOf(pid));

/** What CPU they used since `before`, for a note. */
export const serversCpuNote = (before: ServersCpu, after: ServersCpu, tasks: number): string =>
  `broker ${((after.kafkaMs - before.kafkaMs) / tasks).toFixed(2)}, Redis ${((after.redisMs - before.redisMs) / tasks).toFixed(2)} CPU ms/task`;
