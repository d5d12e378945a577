// P10m: does a node that streams answers for an hour, to clients of whom a third leave in the middle, stay as large as it was?
//
// V4. The heap is looked at after full collections only: what is left then is held by something. V5. What was taken in the warm-up is not in the line.
import { setTimeout as sleep } from 'node:timers/promises';
import { ChatConnection } from './chat-connection.js';
import { CHAT_PATH, chatBody } from './chat-lanes.js';
import { type ChatNode, startChatNode } from './chat-node.js';
import type { Figure } from './figure.js';
import { linearFit } from './linear-fit.js';
import { type ModelUpstream, startUpstream } from './model-upstream.js';
import { memoryOf } from './pipeline-process.js';
import { openRandom } from './random.js';

const CLIENTS = 16;
const CHUNKS = 24;
const CHUNK_MS = 10;
const SEED = 10;
/** Of the time of a run. */
const WARM_UP_SHARE = 0.25;
const SAMPLES = 60;
const LONGEST_PAUSE_MS = 15_000;
/** From here on the slopes are judged: shorter runs have too few points and too much noise. */
const JUDGED_S = 300;
const FLAT_MB_PER_HOUR = 5;
/** Idle connections to the model server are closed soon, and are waited for. */
const KEEP_ALIVE_MS = 3_000;
const SETTLE_MS = 20_000;
const LOOK_MS = 500;
const MIB = 2 ** 20;

interface Sample {
  readonly hours: number;
  readonly heapMb: number;
  readonly anonymousMb: number;
  readonly residentMb: number;
}

interface Streamed {
  whole: number;
  aborted: number;
}

/** Asks one stream after another until `signal`; a third are left after some of their words. */
const client = async (port: number, seed: number, streamed: Streamed, signal: AbortSignal): Promise<void> => {
  const random = openRandom(seed);
  const request = { path: CHAT_PATH, body: chatBody(true) };
  let connection: ChatConnection | undefined;
  while (!signal.aborted) {
    if (connection?.usable !== true) connection = await ChatConnection.open(port);
    const open = connection;
    let left = random.next() < 1 / 3 ? 1 + random.int(CHUNKS - 4) : Number.POSITIVE_INFINITY;
    const leaves = left < CHUNKS;
    const asked = open.ask(request, () => {
      left -= 1;
      if (left <= 0) open.close();
    });
    const reply = await asked.catch((error: unknown) => {
      if (!leaves) throw error;
    });
    if (reply === undefined) streamed.aborted += 1;
    else if (reply.status !== 200 || !reply.body.includes(`word${CHUNKS - 1} `))
      throw new Error(`the gateway answered ${reply.status}: ${reply.body.slice(-300)}`);
    else streamed.whole += 1;
  }
  connection?.close();
};

const sampleOf = async (node: ChatNode, begin: number): Promise<Sample> => {
  const { heapUsed } = await node.memory();
  return { hours: (performance.now() - begin) / 3_600_000, heapMb: heapUsed / MIB, ...memoryOf(node.pid) };
};

/** What is open, of every kind, as `kind x count`. */
const openThings = async (node: ChatNode, upstream: ModelUpstream): Promise<ReadonlyMap<string, number>> => {
  const { resources } = await node.memory();
  const { connections, running } = await upstream.counts();
  return new Map([
    ...Object.entries(resources),
    ['calls of the gateway', await node.running()],
    ['answers of the model server', running],
    ['connections to the model server', connections],
  ]);
};

/** What is there beyond what was there at the start. */
const leftBehind = (before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  new Map([...after].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const).filter(([, more]) => more > 0));

const settled = async (node: ChatNode, upstream: ModelUpstream, before: ReadonlyMap<string, number>) => {
  for (const deadline = performance.now() + SETTLE_MS; ; await sleep(LOOK_MS)) {
    const left = leftBehind(before, await openThings(node, upstream));
    if (left.size === 0 || performance.now() > deadline) return left;
  }
};

const slopeFigure = (what: string, samples: readonly Sample[], pick: (sample: Sample) => number, seconds: number, note: string): Figure => {
  const { slope, error } = linearFit(samples.map((sample) => [sample.hours, pick(sample)] as const));
  const [first, last] = [pick(samples[0]!), pick(samples.at(-1)!)].map((mb) => mb.toFixed(1));
  return {
    id: 'P10m',
    what,
    value: slope,
    unit: 'MB/hour',
    ...(seconds >= JUDGED_S ? { target: { at: 'most', bound: FLAT_MB_PER_HOUR } as const } : {}),
    note: `+- ${error.toFixed(1)} (95 %), ${first} MB at first, ${last} at last, ${samples.length} samples${note}`,
  };
};

const measure = async (node: ChatNode, upstream: ModelUpstream, seconds: number): Promise<readonly Figure[]> => {
  const before = await openThings(node, upstream);
  const stopping = new AbortController();
  const streamed: Streamed = { whole: 0, aborted: 0 };
  const begin = performance.now();
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(node.port, SEED + i, streamed, stopping.signal)));
  clients.catch(() => stopping.abort());
  const samples: Sample[] = [];
  const pauseMs = Math.min(LONGEST_PAUSE_MS, ((1 - WARM_UP_SHARE) * seconds * 1_000) / SAMPLES);
  await sleep(WARM_UP_SHARE * seconds * 1_000);
  while (!stopping.signal.aborted && performance.now() - begin < seconds * 1_000) {
    samples.push(await sampleOf(node, begin));
    await sleep(pauseMs);
  }
  stopping.abort();
  await clients;
  const left = await settled(node, upstream, before);
  const { left: stopped } = await upstream.counts();
  const what = `${seconds} s of streams, ${CLIENTS} at once, a third left in the middle`;
  const resident = samples.map(({ residentMb }) => residentMb);
  const note = `; ${streamed.whole} streams whole, ${streamed.aborted} left, of these ${stopped} stopped at the model server`;
  return [
    slopeFigure(`${what}: heap after collection`, samples, ({ heapMb }) => heapMb, seconds, note),
    slopeFigure(
      `${what}: memory of the process's own`,
      samples,
      ({ anonymousMb }) => anonymousMb,
      seconds,
      `; resident with the mapped log ${Math.round(resident[0]!)} to ${Math.round(resident.at(-1)!)} MB`,
    ),
    {
      id: 'P10m',
      what: 'left behind: sockets, timers, calls, connections to the model server',
      value: [...left.values()].reduce((sum, more) => sum + more, 0),
      unit: 'more than at the start',
      target: { at: 'most', bound: 0 },
      note: [...left].map(([kind, more]) => `${kind} ${more}`).join(', '),
    },
  ];
};

export const benchStreamMemory = async (seconds: number): Promise<readonly Figure[]> => {
  const upstream = await startUpstream({ chunks: CHUNKS, chunkMs: CHUNK_MS, keepAliveMs: KEEP_ALIVE_MS });
  try {
    const node = await startChatNode(upstream.port);
    try {
      return await measure(node, upstream, seconds);
    } finally {
      await node.stop();
    }
  } finally {
    await upstream.stop();
  }
};
