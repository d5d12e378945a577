// P9, blast radius: what was made from an artifact, in a project of a million artifacts, with the graph that a cascade and an impact ask.
//
// R1. Every closure is compared with that of the peer, which is the same question to a Map of arrays: as many artifacts, and the same last.
// R2. Roots are drawn from all artifacts from which something was made: the others would only make the figure small. R3. A closure is bounded at 10,000 artifacts,
// and those that are cut there count as any.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Graph, openGraph } from '../processors/cascade/graph/index.js';
import { type DependencyGraph, dependencyGraph } from './dependency-graph.js';
import type { Figure } from './figure.js';
import { watchOthers } from './machine.js';
import { openRandom } from './random.js';
import { percentile } from './statistics.js';

const SEED = 20_261_126;
const LIMIT = 10_000;
const ROOTS = 2_000;
const WARM_UP = 100;
/** Closures without a limit, for information. */
const WHOLE = 20;
const TARGET_MS = 10;
const BYTES_PER_MIB = 1_048_576;
/** Sizes that closures are counted by: up to. */
const SIZES = [10, 100, 1_000, LIMIT - 1, LIMIT] as const;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Built<G> {
  readonly graph: G;
  readonly buildMs: number;
  readonly rssMiB: number;
  /** Of heap and typed arrays, after a collection. */
  readonly bytes: number;
}

const used = (): { readonly rss: number; readonly bytes: number } => {
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, bytes: heapUsed + external };
};

const built = <G>(build: () => G): Built<G> => {
  const before = used();
  const began = performance.now();
  const graph = build();
  const buildMs = performance.now() - began;
  const after = used();
  return { graph, buildMs, rssMiB: (after.rss - before.rss) / BYTES_PER_MIB, bytes: after.bytes - before.bytes };
};

const ours = (project: DependencyGraph): Graph => {
  const graph = openGraph();
  for (let place = 0; place < project.ids.length; place++) graph.add(project.factAt(place), project.consumedAt(place));
  return graph;
};

/** What one writes first: children by id, and no fact. */
type Peer = ReadonlyMap<string, readonly string[]>;
const peerOf = (project: DependencyGraph): Peer => {
  const children = new Map<string, string[]>();
  for (const [place, id] of project.ids.entries())
    for (const parent of project.consumedAt(place)) {
      const known = children.get(parent);
      if (known === undefined) children.set(parent, [id]);
      else known.push(id);
    }
  return children;
};

const peerClosure = (children: Peer, root: string, limit: number): readonly string[] => {
  const seen = new Set([root]);
  for (const id of seen)
    for (const child of children.get(id) ?? []) {
      if (seen.size >= limit) return [...seen];
      seen.add(child);
    }
  return [...seen];
};

const timed = <T>(act: () => T): { readonly ms: number; readonly value: T } => {
  const began = performance.now();
  const value = act();
  return { ms: performance.now() - began, value };
};

const msOf = (times: readonly number[]): string => [0.5, 0.95, 0.99, 1].map((p) => percentile(times, p).toFixed(2)).join(', ');

const sizesOf = (sizes: readonly number[]): string =>
  SIZES.map((bound, i) => {
    const above = SIZES[i - 1] ?? 0;
    const count = sizes.filter((size) => size > above && size <= bound).length;
    return `${count} of ${above + 1 === bound ? bound : `${above + 1} to ${bound}`}`;
  }).join(', ');

/** Artifacts from which something was made, at random (R2). */
const rootsOf = (graph: Graph, count: number): readonly number[] => {
  const random = openRandom(SEED + 1);
  const roots: number[] = [];
  while (roots.length < count) {
    const root = random.int(graph.size);
    if (graph.children(root).length > 0) roots.push(root);
  }
  return roots;
};

/** Milliseconds, how many artifacts, and the last of them; first all of ours, so that none pays for the peer's garbage. @throws Error where two differ (R1) */
const measure = (graph: Graph, children: Peer) => {
  const roots = rootsOf(graph, WARM_UP + ROOTS);
  const own = roots.map((root) => {
    const { ms, value } = timed(() => graph.closure([root], { maxArtifacts: LIMIT }));
    return { ms, size: value.nodes.length, last: graph.idOf(value.nodes.at(-1)!) };
  });
  const peer = roots.map((root, i) => {
    const id = graph.idOf(root);
    const { ms, value } = timed(() => peerClosure(children, id, LIMIT));
    const { size, last } = own[i]!;
    if (size !== value.length || last !== value.at(-1)) throw new Error(`two closures of ${id} differ`);
    return ms;
  });
  return { own: own.slice(WARM_UP), peerTimes: peer.slice(WARM_UP) };
};

/** All that can be reached, however much. */
const whole = (graph: Graph): string => {
  const all = rootsOf(graph, WHOLE).map((root) => timed(() => graph.closure([root]).nodes.length));
  const longest = all.reduce((a, b) => (b.ms > a.ms ? b : a));
  return `without a limit the longest of ${WHOLE} took ${longest.ms.toFixed(0)} ms for ${longest.value.toLocaleString('en-US')} artifacts`;
};

/** @param artifacts of the project */
export const benchBlastRadius = async (artifacts: number): Promise<readonly Figure[]> => {
  const others = watchOthers();
  const project = dependencyGraph(SEED, artifacts);
  const own = built(() => ours(project));
  const peer = built(() => peerOf(project));
  const { graph } = own;
  const { own: closures, peerTimes } = measure(graph, peer.graph);
  const times = closures.map(({ ms }) => ms);
  const full = closures.filter(({ size }) => size === LIMIT).map(({ ms }) => ms);
  const what = `artifacts made from one, ${graph.size.toLocaleString('en-US')} artifacts, ${graph.edges.toLocaleString('en-US')} edges, at most ${LIMIT}`;
  const figure = (p: number): Figure => ({
    id: 'P9',
    what: `${what}, p${p * 100}`,
    value: percentile(times, p),
    unit: 'ms',
    beside: [
      {
        name: 'Map of arrays',
        version: `node ${process.versions.node}`,
        setting: 'by id, in this process',
        value: percentile(peerTimes, p),
      },
    ],
  });
  return [
    {
      ...figure(0.99),
      target: { at: 'most', bound: TARGET_MS },
      note: `p50, p95, p99, highest: ${msOf(times)} ms; of the closures of ${LIMIT}: ${msOf(full)} ms; ${ROOTS} random roots with children, seed ${SEED}: closures ${sizesOf(closures.map(({ size }) => size))}; ${whole(graph)}; others used ${others(0).toFixed(2)} cores`,
    },
    figure(0.5),
    figure(0.95),
    {
      id: 'P9',
      what: 'memory of the graph with its facts, an artifact',
      value: own.bytes / artifacts,
      unit: 'bytes',
      beside: [
        {
          name: 'Map of arrays',
          version: 'of this run',
          setting: 'children only, no facts, ids not counted',
          value: peer.bytes / artifacts,
        },
      ],
      note: `RSS +${own.rssMiB.toFixed(0)} MiB, the peer's +${peer.rssMiB.toFixed(0)} MiB; built in ${(own.buildMs / 1_000).toFixed(1)} s, the peer in ${(peer.buildMs / 1_000).toFixed(1)} s`,
    },
  ];
};
