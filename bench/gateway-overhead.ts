// P10: what a gateway adds to a call of a model. The same request to the same model server, straight and through each gateway, in one run.
//
// V1. Lanes are interleaved in every round and begin in another order each time: drift of the machine hits all. V2. What is added is a difference within a
// round. V3. Every answer is looked at: one that is not whole ends the run.

import { type HttpLane, type Lane, openHttpLane, openPortLane, type Taken } from './chat-lanes.js';
import { type ChatNode, startChatNode } from './chat-node.js';
import type { Figure, PeerFigure } from './figure.js';
import { type LoadedLane, type LoadTable, loadLanes } from './gateway-load.js';
import { type GatewayPeer, startGatewayPeers } from './gateway-peers.js';
import { watchOthers } from './machine.js';
import { type ModelUpstream, startUpstream } from './model-upstream.js';
import { cpuMsOf, type MemoryUse, memoryOf } from './pipeline-process.js';
import { freshDir, removeDir } from './places.js';
import { median } from './statistics.js';

/** Words of an answer, each a chunk when it is streamed. */
const CHUNKS = 16;
/** Of a round, from each lane and each form: as the public comparison that the target stands beside. */
const CALLS = 25;
/** Longer than any pause of a lane: connecting is not what is measured. */
const KEEP_ALIVE_MS = 120_000;
const TARGET_MS = 1;
/** What was published, of other machines: for scale. */
const PUBLISHED = 'published by others, on their machine: LiteLLM 4.34, Portkey 2.37, Bifrost 0.44 ms';
const PUBLISHED_LOAD = 'published by LiteLLM of itself: 1,170 calls/s on 4 x 4 cores, 13 ms at p99';

const DIRECT = 'direct';
const OURS = 'by id';
const AUTO = 'auto';
const PORT = 'port';

export interface OverheadSize {
  readonly rounds: number;
  /** Calls of each lane and form before the first round. */
  readonly warmUp: number;
  readonly clients: readonly number[];
  readonly loadRounds: number;
  readonly loadSeconds: number;
}

type Form = 'whole' | 'first';
/** Medians of each round, in milliseconds. */
type Rounds = Readonly<Record<Form, readonly number[]>>;

const takeRound = async (lane: Lane): Promise<Readonly<Record<Form, number>>> => {
  const take = async (stream: boolean): Promise<readonly Taken[]> => {
    const taken: Taken[] = [];
    for (let i = 0; i < CALLS; i++) taken.push(await lane.ask(stream));
    return taken;
  };
  const whole = median((await take(false)).map(({ totalMs }) => totalMs));
  return { whole, first: median((await take(true)).map(({ firstMs }) => firstMs)) };
};

const takeRounds = async (lanes: readonly Lane[], { rounds, warmUp }: OverheadSize): Promise<ReadonlyMap<string, Rounds>> => {
  for (const lane of lanes)
    for (let i = 0; i < warmUp; i++) {
      await lane.ask(false);
      await lane.ask(true);
    }
  const taken = new Map(lanes.map(({ name }) => [name, { whole: [] as number[], first: [] as number[] }]));
  for (let round = 0; round < rounds; round++)
    for (const [i] of lanes.entries()) {
      const lane = lanes[(i + round) % lanes.length]!;
      const { whole, first } = await takeRound(lane);
      taken.get(lane.name)!.whole.push(whole);
      taken.get(lane.name)!.first.push(first);
    }
  return taken;
};

interface Added {
  readonly ms: number;
  readonly note: string;
}

const addedBy = (taken: ReadonlyMap<string, Rounds>, lane: string, form: Form): Added => {
  const direct = taken.get(DIRECT)![form];
  const added = taken.get(lane)![form].map((ms, round) => ms - direct[round]!);
  const [low, high] = [Math.min(...added), Math.max(...added)].map((ms) => ms.toFixed(2));
  return { ms: median(added), note: `${low} to ${high} over ${added.length} rounds; direct ${median(direct).toFixed(2)} ms` };
};

const besideOf = (peers: readonly GatewayPeer[], value: (peer: GatewayPeer) => number): readonly PeerFigure[] =>
  peers.map((peer) => ({ name: peer.name, version: peer.version, setting: peer.setting, value: value(peer) }));

const latencyFigures = (taken: ReadonlyMap<string, Rounds>, peers: readonly GatewayPeer[], others: string): readonly Figure[] => {
  const figure = (what: string, lane: string, form: Form, more = ''): Figure => {
    const { ms, note } = addedBy(taken, lane, form);
    const beside = lane === PORT ? [] : besideOf(peers, ({ name }) => addedBy(taken, name, form).ms);
    const target = lane === PORT ? {} : { target: { at: 'most', bound: TARGET_MS } as const };
    return { id: 'P10', what, value: ms, unit: 'ms', ...target, beside, note: `${note}${more}` };
  };
  return [
    figure('added by /v1/chat/completions, model by id, median', OURS, 'whole', `; ${others}; ${PUBLISHED}`),
    figure('added by it, model `auto`, median', AUTO, 'whole'),
    figure('added by it to the first words of a stream, model by id, median', OURS, 'first'),
    figure('added by it to the first words of a stream, model `auto`, median', AUTO, 'first'),
    figure('of it by the port `ModelGateway.ask`, in process, median', PORT, 'whole', '; it streams from the server, whoever asks'),
  ];
};

const loadFigures = (table: LoadTable, peers: readonly GatewayPeer[], memory: string): readonly Figure[] =>
  [...table].flatMap(([clients, lanes]): readonly Figure[] => {
    const [direct, ours] = [lanes.get(DIRECT)!, lanes.get(OURS)!];
    const at = `${clients} at once`;
    const added = (field: 'p50' | 'p99'): Figure => ({
      id: 'P10',
      what: `${at}, added at ${field}`,
      value: ours[field] - direct[field],
      unit: 'ms',
      beside: besideOf(peers, ({ name }) => lanes.get(name)![field] - direct[field]),
      note: `direct ${direct[field].toFixed(2)} ms`,
    });
    return [
      {
        id: 'P10',
        what: `${at}, calls through the gateway`,
        value: ours.perSecond,
        unit: 'calls/s',
        beside: besideOf(peers, ({ name }) => lanes.get(name)!.perSecond),
        note: `direct ${Math.round(direct.perSecond)}/s; ${PUBLISHED_LOAD}`,
      },
      added('p50'),
      added('p99'),
      {
        id: 'P10',
        what: `${at}, CPU of the gateway's process`,
        value: ours.cpuMs,
        unit: 'ms/call',
        beside: besideOf(peers, ({ name }) => lanes.get(name)!.cpuMs),
        note: `the model server itself ${direct.cpuMs.toFixed(3)}; ${memory}`,
      },
    ];
  });

const grown = (before: MemoryUse, after: MemoryUse): string =>
  `memory ${Math.round(before.residentMb)} MB before all load, ${Math.round(after.residentMb)} after`;

interface Started {
  readonly upstream: ModelUpstream;
  readonly node: ChatNode;
  readonly peers: readonly GatewayPeer[];
}

const measure = async ({ upstream, node, peers }: Started, size: OverheadSize, dir: string): Promise<readonly Figure[]> => {
  const lastWord = `word${CHUNKS - 1}`;
  const others: readonly HttpLane[] = peers.map(({ name, port, headers }) => ({ name, port, headers }));
  const straight: LoadedLane = { name: DIRECT, port: upstream.port, pid: upstream.pid };
  const ours: LoadedLane = { name: OURS, port: node.port, pid: node.pid };
  const http = [straight, ours, { name: AUTO, port: node.port, model: 'auto' }, ...others];
  const lanes = [...http.map((lane) => openHttpLane(lane, lastWord)), await openPortLane(PORT, upstream.port, dir)];
  const pids = [upstream, node, ...peers].map(({ pid }) => pid);
  const measured = (): number => pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  const [before, othersUsed] = [measured(), watchOthers()];
  let taken: ReadonlyMap<string, Rounds>;
  try {
    taken = await takeRounds(lanes, size);
  } finally {
    for (const lane of lanes) lane.close();
  }
  const busy = `others used ${othersUsed(measured() - before).toFixed(2)} cores`;
  const memoryBefore = memoryOf(node.pid);
  const loaded = [straight, ours, ...peers.map(({ name, port, headers, pid }) => ({ name, port, headers, pid }))];
  const table = await loadLanes(loaded, { clients: size.clients, rounds: size.loadRounds, seconds: size.loadSeconds }, lastWord);
  return [...latencyFigures(taken, peers, busy), ...loadFigures(table, peers, grown(memoryBefore, memoryOf(node.pid)))];
};

/** @param withPeers beside the gateways of others that are installed */
export const benchGatewayOverhead = async (
  size: OverheadSize,
  withPeers: boolean,
  say: (line: string) => void,
): Promise<readonly Figure[]> => {
  const dir = await freshDir('gateway');
  const upstream = await startUpstream({ chunks: CHUNKS, chunkMs: 0, keepAliveMs: KEEP_ALIVE_MS });
  let node: ChatNode | undefined;
  let peers: readonly GatewayPeer[] = [];
  try {
    node = await startChatNode(upstream.port);
    if (withPeers) peers = await startGatewayPeers(upstream.port, say);
    return await measure({ upstream, node, peers }, size, dir);
  } finally {
    for (const peer of peers) await peer.stop();
    await node?.stop();
    await upstream.stop();
    await removeDir(dir);
  }
};
