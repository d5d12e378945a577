// A whole node as the bench runs it: every role in one process, LMDB with fsync (or Kafka and Redis), a model that answers at once.
//
// The model writes one JSON file of about 500 bytes, so that the profile `syntax` has a file to parse in every task.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Configuration, configurationOf, type RunningNode, startNode } from '../nodes/index.js';

/** Bytes of the generated file, about. */
const ARTIFACT_BYTES = 500;
/** Of every lane and of the model: as much as the peers' workers have for each of their stages. */
const WORKERS = 64;
const RUNNING_PER_PROJECT = 1_000;

const answerFile = (): string => {
  const entries: { name: string; steps: string[]; retries: number }[] = [];
  for (let i = 0; JSON.stringify(entries).length < ARTIFACT_BYTES - 20; i++)
    entries.push({ name: `module-${i}`, steps: ['parse', 'check', 'write'], retries: i % 3 });
  return `${JSON.stringify(entries)}\n`;
};

export interface BenchNode {
  /** Empty or not there. */
  readonly dir: string;
  readonly port: number;
  /** The log on Kafka and the views in Redis; none: both on LMDB. */
  readonly servers?: NodeServers | undefined;
  /** One of two nodes; none: the only one. */
  readonly link?: NodeLink | undefined;
  /** Is history kept where there is an engine for it? Default: yes. */
  readonly history?: boolean | undefined;
}

/** The core, or the edge node whose all projects are. */
export interface NodeLink {
  readonly self: 'core' | 'edge';
  readonly coreUrl: string;
  /** Between two tries to reach the core, at most; milliseconds, default 100. */
  readonly retryMs?: number;
}

/** Of `retryMs`. */
const RETRY_MS = 100;
const TOKEN_ENV = 'BENCH_TOKEN';

/** Where the servers are, and the prefix of topics and keys. */
export interface NodeServers {
  readonly brokers: string;
  readonly redisUrl: string;
  readonly prefix: string;
}

const storageOf = (servers: NodeServers | undefined): Pick<Parameters<typeof configurationOf>[0], 'log' | 'views'> =>
  servers === undefined
    ? {}
    : {
        log: { kind: 'kafka', kafka: { brokers: [servers.brokers], prefix: servers.prefix } },
        views: { kind: 'redis', redis: { url: servers.redisUrl, prefix: servers.prefix } },
      };

const nodesOf = (link: NodeLink | undefined): Pick<Parameters<typeof configurationOf>[0], 'nodes' | 'link'> =>
  link === undefined
    ? {}
    : {
        nodes: [
          { id: 'core', url: link.coreUrl },
          { id: 'edge', token_env: TOKEN_ENV, projects: ['project-*'] },
        ],
        link: { retry_max_ms: link.retryMs ?? RETRY_MS },
      };

export const benchConfiguration = async ({ dir, port, servers, link, history = true }: BenchNode): Promise<Configuration> => {
  await mkdir(dir, { recursive: true });
  const script = join(dir, 'script.json');
  const answers = [{ files: [{ path: 'modules.json', language: 'json', content: answerFile() }], chunk_chars: 100_000 }];
  await writeFile(script, JSON.stringify({ version: 1, rules: [{ match: {}, answers }] }));
  return configurationOf(
    {
      version: 1,
      ...storageOf(servers),
      ...nodesOf(link),
      ...(history ? {} : { analytics: { kind: 'none' } }),
      node: { id: link?.self ?? 'bench', data_dir: join(dir, 'data') },
      gateway: { port, max_open_tasks_per_project: 1_000_000 },
      models: [{ id: 'instant', runner: 'scripted', tiers: ['small', 'medium', 'large'], concurrency: 1_024, script }],
      scheduling: { max_running_per_project: RUNNING_PER_PROJECT },
      slots: { small: WORKERS, medium: WORKERS, large: WORKERS, qa: WORKERS, analysis: WORKERS },
    },
    dir,
  );
};

/** @throws Fault as `startNode`. */
export const startBenchNode = async (options: BenchNode): Promise<RunningNode> => {
  const { config, version, baseDir } = await benchConfiguration(options);
  return startNode({ config, configVersion: version, baseDir, env: { [TOKEN_ENV]: 'of the bench' } });
};
