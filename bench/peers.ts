// The peers: a harness that lies beside the repository and is not part of it. Copied to the cache, installed there, run interleaved with ours.
//
// W1. The same load generator (the harness's `bench`) drives every peer and us. W2. Rounds are interleaved, so that drift of the machine hits all.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, cp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endsWithUs } from './children.js';
import type { Figure } from './figure.js';
import { cacheDir } from './places.js';
import { median } from './statistics.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OURS = fileURLToPath(new URL('./harness-run.js', import.meta.url));

/** A run of the harness that takes longer is given up, in milliseconds. */
const RUN_MS = 20 * 60_000;

interface Peer {
  /** Folder of the harness, and the name in its results. */
  readonly name: string;
  /** How the line calls it, which is what the target says. */
  readonly label: string;
  readonly env: Readonly<Record<string, string>>;
  /** Ours has to be this many times as fast. */
  readonly factor: number;
  readonly byDefault: boolean;
  readonly version: (places: Places) => string;
}

interface Places {
  readonly peers: string;
  readonly root: string;
  readonly data: string;
  readonly results: string;
}

const packageVersion = (places: Places, peer: string, name: string): string =>
  (JSON.parse(readFileSync(join(places.peers, peer, 'node_modules', name, 'package.json'), 'utf8')) as { version: string }).version;

const PEERS: readonly Peer[] = [
  {
    name: 'rabbitmq',
    label: 'RabbitMQ',
    env: { QTYPE: 'classic' },
    factor: 2,
    byDefault: true,
    version: ({ root }) => readdirSync(join(root, 'usr/lib/rabbitmq/lib'))[0]!.replace('rabbitmq_server-', ''),
  },
  {
    name: 'bullmq',
    label: 'BullMQ',
    env: { FSYNC: 'always' },
    factor: 3.5,
    byDefault: true,
    version: (places) => packageVersion(places, 'bullmq', 'bullmq'),
  },
  {
    name: 'restate',
    label: 'Restate',
    env: {},
    factor: 6,
    byDefault: false,
    version: (places) => packageVersion(places, 'restate', '@restatedev/restate-server'),
  },
  {
    name: 'dbos',
    label: 'DBOS',
    env: {},
    factor: 30,
    byDefault: false,
    version: (places) => packageVersion(places, 'dbos', '@dbos-inc/dbos-sdk'),
  },
];

/** Where the harness comes from. */
export const peersSource = (): string => process.env.DATS_PEERS ?? join(ROOT, '..', 'shared', 'peers');

const places = (): Places => ({
  peers: join(cacheDir(), 'peers'),
  root: process.env.PEERS_ROOT ?? join(cacheDir(), 'peers-root'),
  // Postgres runs as its own user and has to reach its folder: a home is closed to it.
  data: process.env.PEERS_DATA ?? join(tmpdir(), 'dats-peers', 'data'),
  results: process.env.PEERS_RESULTS ?? join(cacheDir(), 'peers-results'),
});

const harnessEnv = (at: Places) => ({ ...process.env, PEERS_ROOT: at.root, PEERS_DATA: at.data, PEERS_RESULTS: at.results });

const run = (command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = endsWithUs(spawn(command, args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'], timeout: RUN_MS }));
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(' ')} in ${cwd} ended with ${signal ?? code}`)),
    );
  });

const makeWritable = async (dir: string): Promise<void> => {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { withFileTypes: true }))
    if (entry.isDirectory() && entry.name !== 'node_modules') await makeWritable(join(dir, entry.name));
    else if (entry.isFile()) await chmod(join(dir, entry.name), entry.name.endsWith('.sh') ? 0o755 : 0o644);
};

/** Copies the harness to the cache and installs servers and packages there. Needs the network, and `apt-get download` for the servers. */
export const installPeers = async (): Promise<void> => {
  const from = peersSource();
  if (!existsSync(from)) throw new Error(`no peers at ${from}; set DATS_PEERS to the folder of the harness`);
  const at = places();
  await cp(from, at.peers, { recursive: true });
  await makeWritable(at.peers);
  const env = harnessEnv(at);
  if (!existsSync(join(at.root, 'usr'))) await run('bash', ['get-servers.sh'], at.peers, env);
  for (const { name } of PEERS) {
    const cwd = join(at.peers, name);
    const locked = existsSync(join(from, name, 'package-lock.json'));
    await run('npm', [locked ? 'ci' : 'install', '--no-audit', '--no-fund'], cwd, env);
  }
  process.stdout.write(`peers installed in ${at.peers}, their servers in ${at.root}\n`);
};

interface Row {
  readonly peer: string;
  readonly setting: string;
  readonly tasks_per_s: number;
  readonly e2e_low_p50_ms: number;
  readonly e2e_low_p95_ms: number;
  readonly cpu_ms_per_task: number;
  readonly disk_flushes_per_task: number;
  readonly other_cpu_cores: number;
  readonly rss_mb: number;
  readonly verified: string;
}

const rowsSince = (at: Places, lines: number): readonly Row[] => readRows(at).slice(lines);
const readRows = (at: Places): readonly Row[] => {
  const file = join(at.results, 'runs.jsonl');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
};

export interface PeerRun {
  readonly all: boolean;
  readonly rounds: number;
  /** Of each of us in a round; undefined: what the harness takes for each peer. */
  readonly tasks: number | undefined;
  /** Do not wait for a quiet machine and do not repeat disturbed phases. */
  readonly hurried: boolean;
}

/** Why there are no peers, in words; undefined when there are. */
export const peersMissing = (): string | undefined => {
  const at = places();
  if (existsSync(join(at.peers, 'common', 'common.mjs')) && existsSync(join(at.peers, 'rabbitmq', 'node_modules'))) return undefined;
  return existsSync(peersSource())
    ? `peers not installed: run \`npm run bench -- --install-peers\` (from ${peersSource()} into ${at.peers})`
    : `peers not found: expected at ${peersSource()}, or where DATS_PEERS says`;
};

const medianOf = (
  rows: readonly Row[],
  field: 'tasks_per_s' | 'e2e_low_p50_ms' | 'e2e_low_p95_ms' | 'cpu_ms_per_task' | 'disk_flushes_per_task' | 'rss_mb',
): number => median(rows.map((row) => row[field]));

const noteOf = (rows: readonly Row[]): string => {
  const disturbed = Math.max(...rows.map((row) => row.other_cpu_cores));
  const flushes = medianOf(rows, 'disk_flushes_per_task');
  return `${medianOf(rows, 'cpu_ms_per_task')} CPU ms/task, ${flushes} flushes/task, ${Math.round(medianOf(rows, 'rss_mb'))} MB, others used up to ${disturbed} cores`;
};

const figuresOf = (rows: readonly Row[], at: Places, peers: readonly Peer[]): readonly Figure[] => {
  const ours = rows.filter((row) => row.peer === 'dats');
  const figures: Figure[] = [];
  for (const peer of peers) {
    const theirs = rows.filter((row) => row.peer === peer.name);
    if (theirs.length === 0) continue;
    const of = (field: Parameters<typeof medianOf>[1]) => ({
      name: peer.label,
      version: peer.version(at),
      setting: theirs[0]!.setting,
      value: medianOf(theirs, field),
    });
    figures.push(
      {
        id: 'P1',
        what: `throughput beside ${peer.label}`,
        value: medianOf(ours, 'tasks_per_s'),
        unit: 'tasks/s',
        target: { at: 'least', bound: peer.factor },
        peer: of('tasks_per_s'),
        note: `ours: ${noteOf(ours)}; ${peer.label}: ${noteOf(theirs)}`,
      },
      {
        id: 'P1',
        what: `CPU beside ${peer.label}`,
        value: medianOf(ours, 'cpu_ms_per_task'),
        unit: 'ms/task',
        peer: of('cpu_ms_per_task'),
      },
      {
        id: 'P4',
        what: `submit to completed at 20/s, p50, beside ${peer.label}`,
        value: medianOf(ours, 'e2e_low_p50_ms'),
        unit: 'ms',
        peer: of('e2e_low_p50_ms'),
      },
      {
        id: 'P4',
        what: `submit to completed at 20/s, p95, beside ${peer.label}`,
        value: medianOf(ours, 'e2e_low_p95_ms'),
        unit: 'ms',
        peer: of('e2e_low_p95_ms'),
      },
    );
  }
  return figures;
};

/** Ours and every peer that runs, in interleaved rounds; a peer that fails is told and left out. */
export const benchWithPeers = async (options: PeerRun, onProblem: (line: string) => void): Promise<readonly Figure[]> => {
  const at = places();
  const before = readRows(at).length;
  const peers = PEERS.filter((peer) => (peer.byDefault || options.all) && existsSync(join(at.peers, peer.name, 'node_modules')));
  const size = options.tasks === undefined ? {} : { N: String(options.tasks) };
  const hurry = options.hurried ? { QUIET_SECS: '2', TRIES: '1', LOW_SECS: '5' } : {};
  const env = { ...harnessEnv(at), RUNS: '1', MODE: 'http', ...size, ...hurry };
  for (let round = 0; round < options.rounds; round++) {
    await run(process.execPath, [OURS, join(at.peers, 'common', 'common.mjs')], ROOT, env);
    for (const peer of peers)
      try {
        await run(process.execPath, ['--no-deprecation', 'bench.mjs'], join(at.peers, peer.name), { ...env, ...peer.env });
      } catch (error) {
        onProblem(`${peer.label} could not be measured: ${(error as Error).message}`);
      }
  }
  return figuresOf(rowsSince(at, before), at, peers);
};
