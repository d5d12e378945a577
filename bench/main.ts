// `npm run bench -- [P1 P2 ...] [options]`: measures and prints one line per figure, then the machine. bench/README.md says what each figure means.

import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchBlastRadius } from './blast-radius.js';
import { benchEdgeLink } from './edge-link.js';
import { type Figure, lineOf } from './figure.js';
import { benchGatewayOverhead } from './gateway-overhead.js';
import { installGatewayPeers } from './gateway-peers.js';
import { benchIngest } from './ingest.js';
import { benchKafkaPipeline } from './kafka-pipeline.js';
import { keyedFigures, keyedOnKafkaFigures } from './keyed.js';
import { machineLine } from './machine.js';
import { benchWithPeers, installPeers, peersMissing } from './peers.js';
import { benchPipeline } from './pipeline.js';
import { cacheDir } from './places.js';
import { benchProvenance } from './provenance.js';
import { benchRebalances } from './rebalance.js';
import { benchReplay } from './replay.js';
import { resultsPage } from './results.js';
import { startServers } from './servers.js';
import { benchIdle, benchStart } from './standing.js';
import { benchStreamMemory } from './stream-memory.js';
import { benchStreams } from './streams.js';
import { benchWhatIf } from './what-if.js';

const FIGURES = [
  'P1',
  'P1k',
  'P2',
  'P3',
  'P4',
  'P4k',
  'P5',
  'P5k',
  'P6',
  'P7',
  'P8',
  'P9',
  'P10',
  'P10m',
  'P11',
  'P12',
  'P13',
  'R2',
  'X2',
  'EL',
];
/** Figures on Kafka that are told beside an embedded one of the same run. */
const BESIDE: Readonly<Record<string, string>> = { P1k: 'P1', P4k: 'P4' };
const ON_KAFKA = ['P1k', 'P4k', 'P5k'];
const SIZES = {
  quick: {
    tasks: 2_000,
    seconds: 5,
    replayTasks: 2_000,
    idleSeconds: 10,
    starts: 3,
    rounds: 1,
    peerTasks: 2_000,
    rebalances: 4,
    linked: { events: 20_000, bursts: 1, tasks: 1_000, rounds: 2, seconds: 4 },
    ingested: 50_000,
    executions: [100_000],
    artifacts: 100_000,
    replayed: 2_000,
    gateway: { rounds: 3, warmUp: 100, clients: [1, 16, 64], loadRounds: 1, loadSeconds: 1 },
    streamSeconds: 20,
  },
  normal: {
    tasks: 20_000,
    seconds: 15,
    replayTasks: 43_000,
    idleSeconds: 60,
    starts: 5,
    rounds: 1,
    peerTasks: undefined,
    rebalances: 20,
    linked: { events: 100_000, bursts: 16, tasks: 4_000, rounds: 24, seconds: 4 },
    ingested: 500_000,
    executions: [100_000, 1_000_000, 10_000_000],
    artifacts: 1_000_000,
    replayed: 10_000,
    gateway: { rounds: 7, warmUp: 1_000, clients: [1, 16, 64], loadRounds: 3, loadSeconds: 4 },
    streamSeconds: 300,
  },
  full: {
    tasks: 20_000,
    seconds: 30,
    replayTasks: 43_000,
    idleSeconds: 300,
    starts: 5,
    rounds: 3,
    peerTasks: undefined,
    rebalances: 20,
    linked: { events: 100_000, bursts: 24, tasks: 10_000, rounds: 40, seconds: 6 },
    ingested: 500_000,
    executions: [100_000, 1_000_000, 10_000_000],
    artifacts: 1_000_000,
    replayed: 10_000,
    gateway: { rounds: 7, warmUp: 1_000, clients: [1, 16, 64], loadRounds: 5, loadSeconds: 10 },
    streamSeconds: 3_600,
  },
} as const;

const RESULTS = new URL('../../bench/RESULTS.md', import.meta.url);

const HELP = `npm run bench -- [${FIGURES.join(' ')}] [--quick | --full] [--peers none|some|all] [--install-peers]
  --peers      none; some: RabbitMQ classic and BullMQ appendfsync always (default); all: Restate and DBOS as well
  --quick      small loads, for a look; --full: three interleaved rounds with the peers, five idle minutes
  --install-peers with P10: only the gateways that P10 stands beside (Portkey by npm, LiteLLM by python3 and pip, into the cache)
  P10m --full  an hour of streams
  --write      puts the figures of this run into bench/RESULTS.md
  P8           fills a store of 10 million executions the first time (some minutes, about 12 GB) and keeps it
  P1k P4k P5k and R2 start a Kafka and a Redis of their own (java and redis-server are needed; the first time the network as well)
  DATS_PEERS   folder of the peers' harness;  DATS_CACHE  where everything is kept (default ~/.cache/dats)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    peers: { type: 'string', default: 'some' },
    'install-peers': { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

type Size = (typeof SIZES)[keyof typeof SIZES];
type Tell = (figures: Promise<readonly Figure[]>) => Promise<void>;

/** Figures that need Kafka and Redis; what was told so far is what stands beside them. */
const measureOnKafka = async (wanted: ReadonlySet<string>, size: Size, told: readonly Figure[], tell: Tell): Promise<void> => {
  if (ON_KAFKA.some((id) => wanted.has(id))) {
    const servers = await startServers();
    try {
      if (wanted.has('P1k') || wanted.has('P4k')) await tell(benchKafkaPipeline(wanted, size, servers, told));
      if (wanted.has('P5k')) await tell(keyedOnKafkaFigures(servers));
    } finally {
      await servers.stop();
    }
  }
  if (wanted.has('R2')) await tell(benchRebalances(size.rebalances));
};

const measure = async (wanted: ReadonlySet<string>): Promise<void> => {
  const size = SIZES[values.quick ? 'quick' : values.full ? 'full' : 'normal'];
  const results = join(cacheDir(), 'bench', 'figures.jsonl');
  await mkdir(join(cacheDir(), 'bench'), { recursive: true });
  const told: Figure[] = [];
  const tell: Tell = async (figures) => {
    for (const figure of await figures) {
      say(lineOf(figure));
      told.push(figure);
      await appendFile(results, `${JSON.stringify({ at: new Date().toISOString(), ...figure })}\n`);
    }
  };
  const embedded = new Set([...wanted].map((id) => BESIDE[id] ?? id));
  if (['P1', 'P2', 'P3', 'P4'].some((id) => embedded.has(id))) await tell(benchPipeline(embedded, size));
  if (values.peers !== 'none' && (wanted.has('P1') || wanted.has('P4'))) {
    const missing = peersMissing();
    const options = { all: values.peers === 'all', rounds: size.rounds, tasks: size.peerTasks, hurried: values.quick };
    if (missing === undefined) await tell(benchWithPeers(options, say));
    else say(missing);
  }
  if (wanted.has('P5')) await tell(keyedFigures());
  if (wanted.has('P6')) await tell(benchReplay(size.replayTasks));
  if (wanted.has('P7')) await tell(benchIngest(size.ingested, size.seconds));
  if (wanted.has('P8')) await tell(benchProvenance(size.executions));
  if (wanted.has('P9')) await tell(benchBlastRadius(size.artifacts));
  if (wanted.has('X2')) await tell(benchWhatIf(size.replayed));
  if (wanted.has('P10')) await tell(benchGatewayOverhead(size.gateway, values.peers !== 'none', say));
  if (wanted.has('P10m')) await tell(benchStreamMemory(size.streamSeconds));
  if (wanted.has('EL')) await tell(benchEdgeLink(size.linked));
  if (wanted.has('P11')) await tell(benchStreams(size.seconds));
  if (wanted.has('P12')) await tell(benchIdle(size.idleSeconds));
  if (wanted.has('P13')) await tell(benchStart(size.starts));
  await measureOnKafka(wanted, size, told, tell);
  const machine = await machineLine();
  say(machine);
  if (values.write) await writeFile(RESULTS, resultsPage(told, machine, []));
};

// The processes that are measured end when this one goes; its folders are removed at its exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const unknown = positionals.filter((id) => !FIGURES.includes(id));
if (values.help) say(HELP);
else if (unknown.length > 0 || !['none', 'some', 'all'].includes(values.peers)) {
  process.stderr.write(`not known: ${[...unknown, `--peers ${values.peers}`].join(', ')}\n${HELP}`);
  process.exitCode = 2;
} else if (values['install-peers']) {
  if (positionals.length === 0 || positionals.includes('P10')) await installGatewayPeers(say);
  if (positionals.length === 0 || positionals.some((id) => id !== 'P10')) await installPeers();
} else await measure(new Set(positionals.length > 0 ? positionals : FIGURES));
