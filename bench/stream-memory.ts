// P10m: does a node that streams answers for an hour, to clients of whom a third leave in the middle, stay as large as it was?
//
// V4. The heap is looked at after full collections only: what is left then is held by something. V5. What is full at some size (the newest records that the
// log keeps for its readers, first of all) is filled before the line begins. V6. A slope that is less sure than its bound is told, and not judged.
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
/** Calls before the line begins: more than the log keeps in memory of a partition, 8,192 records. In a short run the streams of a quarter of its time. */
const FILL_CALLS = 10_000;
const FILLED_FROM_S = 120;
const WARM_UP_SHARE = 0.25;
const SAMPLES = 60;
const LONGEST_PAUSE_MS = 15_000;
const FLAT_MB_PER_HOUR = 5;
/** Idle connections to the model server are closed, and are waited for; not so soon that they are closed when they are about to be used. */
const KEEP_ALIVE_MS = 20_000;
const SETTLE_MS = 60_000;
/** Of all streams: more failures than that are no accident of a busy machine. */
const MOST_FAILED_SHARE = 0.001;
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
  failed: number;
}

/** @throws Error with what was answered last */
const refuse = (streamed: Streamed, answered: string): void => {
  streamed.failed += 1;
  if (streamed.failed > 1 + MOST_FAILED_SHARE * streamed.whole) throw new Error(`streams failed, the last of them with ${answered}`);
};

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
      refuse(streamed, `${reply.status}: ${reply.body.slice(-300)}`);
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

/** Calls that are not streamed, as fast as they are answered. */
const fill = async (port: number): Promise<void> => {
  const request = { path: CHAT_PATH, body: chatBody(false) };
  let sent = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const connection = await ChatConnection.open(port);
      while (sent++ < FILL_CALLS) await connection.ask(request);
      connection.close();
    }),
  );
};

const slopeFigure = (what: string, samples: readonly Sample[], pick: (sample: Sample) => number, note: string): Figure => {
  const { slope, error } = linearFit(samples.map((sample) => [sample.hours, pick(sample)] as const));
  const [first, last] = [pick(samples[0]!), pick(samples.at(-1)!)].map((mb) => mb.toFixed(1));
  return {
    id: 'P10m',
    what,
    value: slope,
    unit: 'MB/hour',
    ...(error <= FLAT_MB_PER_HOUR ? { target: { at: 'most', bound: FLAT_MB_PER_HOUR } as const } : {}),
    note: `+- ${error.toFixed(1)} (95 %), ${first} MB at first, ${last} at last, ${samples.length} samples${note}`,
  };
};

const measure = async (node: ChatNode, upstream: ModelUpstream, seconds: number): Promise<readonly Figure[]> => {
  const before = await openThings(node, upstream);
  const stopping = new AbortController();
  const streamed: Streamed = { whole: 0, aborted: 0, failed: 0 };
  if (seconds >= FILLED_FROM_S) await fill(node.port);
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
  const note = `; ${streamed.whole} streams whole, ${streamed.aborted} left, of these ${stopped} stopped at the model server, ${streamed.failed} failed`;
  return [
    slopeFigure(`${what}: heap after collection`, samples, ({ heapMb }) => heapMb, note),
    slopeFigure(
      `${what}: memory of the process's own`,
      samples,
      ({ anonymousMb }) => anonymousMb,
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
