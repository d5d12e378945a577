// P1k and P4k: the loads of P1 and P4 on one node whose log is Kafka and whose views are in Redis, beside the embedded node of the same run and beside
// kafkajs alone, which is the limit: it moves the same bytes and keeps none of the promises.
import { LIFECYCLE, TOPICS } from '../schemas/index.js';
import { commitCost } from './commit-cost.js';
import type { Figure, PeerFigure } from './figure.js';
import { KAFKAJS_VERSION, kafkajsClient, rawPings, rawThroughput } from './kafkajs-peer.js';
import {
  completedOf,
  measureLatencies,
  measureThroughput,
  type PipelineSize,
  TASKS_PER_SECOND,
  type Throughput,
  throughputOf,
  warmUp,
} from './pipeline.js';
import { startPipeline } from './pipeline-process.js';
import { type BenchServers, type ServersCpu, serversCpuNote } from './servers.js';
import { median, percentile } from './statistics.js';
import { endsOf, type Hop, hopsTo, readWritten, type Written } from './written.js';

/** A closed loop with few connections would wait for hops, not warm anything up. */
const WARM_UP_CONNECTIONS = 64;
const P95_MS = 150;

/** What the embedded node did in the same run: its figures P1 and P4. */
export type Embedded = readonly Figure[];

interface Measured {
  readonly throughput: Throughput;
  readonly cpu: readonly [before: ServersCpu, after: ServersCpu];
  readonly completed: readonly number[];
  readonly submitted: readonly number[];
  readonly written: Written;
}

const measure = async (servers: BenchServers, size: PipelineSize): Promise<Measured> => {
  const prefix = servers.freshPrefix('pipeline');
  const kafka = kafkajsClient(servers.brokers);
  const pipeline = await startPipeline({ servers: { brokers: servers.brokers, redisUrl: servers.redisUrl, prefix } });
  const alsoMeasuredMs = (): number => Object.values(servers.cpu()).reduce((sum: number, ms: number) => sum + ms, 0);
  const load = async () => {
    try {
      await warmUp(pipeline, WARM_UP_CONNECTIONS);
      const begin = await endsOf(kafka, prefix);
      const { taskIds, completed, submitted } = await measureLatencies(pipeline, size.seconds);
      const [from, before] = [await endsOf(kafka, prefix), servers.cpu()];
      const throughput = await measureThroughput(pipeline, size.tasks, alsoMeasuredMs);
      const after = servers.cpu();
      const to = await endsOf(kafka, prefix);
      return {
        completed,
        submitted,
        throughput,
        cpu: [before, after] as const,
        range: { prefix, begin, from, to, taskIds: new Set(taskIds) },
      };
    } finally {
      await pipeline.stop();
    }
  };
  const { range, ...measured } = await load();
  return { ...measured, written: await readWritten(kafka, range) };
};

const embeddedPeer = (embedded: Embedded, what: string): readonly PeerFigure[] => {
  const figure = embedded.find((one) => one.what === what);
  return figure === undefined ? [] : [{ name: 'embedded', version: 'of this run', setting: 'LMDB, fsync', value: figure.value }];
};

const kafkajsPeer = (setting: string, value: number): PeerFigure => ({ name: 'kafkajs', version: KAFKAJS_VERSION, setting, value });

const throughputFigures = async (
  servers: BenchServers,
  { tasks }: PipelineSize,
  measured: Measured,
  embedded: Embedded,
): Promise<readonly Figure[]> => {
  const { throughput, cpu, written } = measured;
  const raw = await rawThroughput(kafkajsClient(servers.brokers), {
    prefix: servers.freshPrefix('raw'),
    sample: written.sample,
    count: written.records,
    partitions: written.partitions,
    isRead: (topic) => (TOPICS as readonly string[]).includes(topic),
  });
  const limit = kafkajsPeer('the same records written in batches and read, idempotent, no transactions', (tasks / raw.ms) * 1_000);
  const perTask = `${(written.records / tasks).toFixed(1)} records and ${(written.bytes / tasks / 1_024).toFixed(1)} kB/task`;
  return [
    {
      id: 'P1k',
      what: `${throughputOf(tasks)}, on Kafka`,
      value: throughput.perSecond,
      unit: 'tasks/s',
      beside: [...embeddedPeer(embedded, throughputOf(tasks)), limit],
      note: `${servers.versions}; ${perTask}; ${throughput.note}`,
    },
    {
      id: 'P1k',
      what: 'CPU of the node on Kafka',
      value: throughput.cpuMs,
      unit: 'ms/task',
      beside: [...embeddedPeer(embedded, 'CPU of the node'), kafkajsPeer('the same records', raw.cpuMs / tasks)],
      note: serversCpuNote(...cpu, tasks),
    },
  ];
};

const latencyFigures = async (
  servers: BenchServers,
  { seconds }: PipelineSize,
  measured: Measured,
  embedded: Embedded,
): Promise<readonly Figure[]> => {
  const { completed, submitted, written } = measured;
  const chains = written.completed.map((id) => hopsTo(written.links, id));
  if (chains.length !== completed.length)
    throw new Error(`${completed.length} tasks were completed, the log holds ${chains.length} of them`);
  // The last one is the reader's.
  const hops = chains[0]!.length + 1;
  const pings = await rawPings(kafkajsClient(servers.brokers), servers.freshPrefix('ping'), seconds * TASKS_PER_SECOND, TASKS_PER_SECOND);
  const setting = `${hops} hops, as the pipeline has, each written and read; a ping is two`;
  const hopsTake = (rank: number): PeerFigure => kafkajsPeer(setting, (percentile(pings, rank) * hops) / 2);
  const { append, commit } = await commitCost(servers);
  const p95 = { at: 'most', bound: P95_MS } as const;
  return [
    {
      id: 'P4k',
      what: `${completedOf('p50')}, on Kafka`,
      value: median(completed),
      unit: 'ms',
      beside: [...embeddedPeer(embedded, completedOf('p50')), hopsTake(0.5)],
    },
    {
      id: 'P4k',
      what: `${completedOf('p95')}, on Kafka`,
      value: percentile(completed, 0.95),
      unit: 'ms',
      target: p95,
      beside: [...embeddedPeer(embedded, completedOf('p95')), hopsTake(0.95)],
      note: servers.versions,
    },
    { id: 'P4k', what: 'of it the submission, on Kafka, p50', value: median(submitted), unit: 'ms', note: hopsNote(chains) },
    { id: 'P4k', what: `append of one ${LIFECYCLE} record, p50`, value: append.ms, unit: 'ms', note: append.note },
    { id: 'P4k', what: 'commit of one record, one state and the offset, p50', value: commit.ms, unit: 'ms', note: commit.note },
  ];
};

/** `created -> analyzed 12 ms, ...`: the median of every hop. */
export const hopsNote = (chains: readonly (readonly Hop[])[]): string => {
  const hops = chains[0] ?? [];
  const short = (type: string): string => type.replace(/^dats\./, '');
  const ms = (i: number): number => median(chains.flatMap((chain) => chain[i]?.ms ?? []));
  return `hops p50: ${hops.map(({ from, to }, i) => `${short(from)} -> ${short(to)} ${ms(i)} ms`).join(', ')}`;
};

/** Those of P1k and P4k that are in `wanted`. */
export const benchKafkaPipeline = async (
  wanted: ReadonlySet<string>,
  size: PipelineSize,
  servers: BenchServers,
  embedded: Embedded,
): Promise<readonly Figure[]> => {
  const measured = await measure(servers, size);
  return [
    ...(wanted.has('P1k') ? await throughputFigures(servers, size, measured, embedded) : []),
    ...(wanted.has('P4k') ? await latencyFigures(servers, size, measured, embedded) : []),
  ];
};
