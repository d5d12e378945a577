// What can be reached from given artifacts, breadth first.
//
// C1. Each artifact once, whatever circles there are. C2. At the first artifact that is left out for `maxArtifacts` the walk ends: all that would come later is left out
// too. C3. A call allocates its result and nothing else: the marks of what was seen, and the queue, are used again. C4. Roots that have no index are nobody, and left out.
import { type Adjacency, LINK } from './adjacency.js';
import type { Closure, ClosureOptions } from './graph.js';
import { withRows } from './rows.js';
import { openVisits } from './visits.js';

const visits = openVisits();

/** A walk so far; the artifacts that it reached are its queue and, in the end, its result. */
const walk = {
  nodes: new Int32Array(0),
  depths: new Int32Array(0),
  via: new Int32Array(0),
  length: 0,
  limit: 0,
  cut: false,
};

const begin = (size: number, maxArtifacts: number): void => {
  const limit = Math.max(0, Math.min(size, maxArtifacts));
  walk.nodes = withRows(walk.nodes, limit);
  walk.depths = withRows(walk.depths, limit);
  walk.via = withRows(walk.via, limit);
  walk.length = 0;
  walk.limit = limit;
  walk.cut = false;
  visits.begin(size);
};

/** @returns false: it was left out, and the walk is over (C2) */
const reach = (index: number, depth: number, via: number, stamps: Int32Array, stamp: number): boolean => {
  if (stamps[index] === stamp) return true;
  if (walk.length >= walk.limit) {
    walk.cut = true;
    return false;
  }
  stamps[index] = stamp;
  const place = walk.length++;
  walk.nodes[place] = index;
  walk.depths[place] = depth;
  walk.via[place] = via;
  return true;
};

/** The neighbours of one artifact. @returns false: the walk is over */
type Step = (adjacency: Adjacency, index: number, depth: number, stamps: Int32Array, stamp: number) => boolean;

const stepDown: Step = ({ firstChild, links }, index, depth, stamps, stamp) => {
  for (let edge = firstChild[index]!; edge !== 0; edge = links[(edge - 1) * LINK + 1]!)
    if (!reach(links[(edge - 1) * LINK]!, depth, index, stamps, stamp)) return false;
  return true;
};

const stepUp: Step = ({ parents, parentsFrom, parentsTo }, index, depth, stamps, stamp) => {
  const end = parentsTo[index]!;
  for (let edge = parentsFrom[index]!; edge < end; edge++) if (!reach(parents[edge]!, depth, index, stamps, stamp)) return false;
  return true;
};

/** `size`: of the graph; `Graph.closure` says the rest. */
export const closureOf = (adjacency: Adjacency, size: number, roots: Iterable<number>, options: ClosureOptions = {}): Closure => {
  const { direction = 'down', maxDepth = Number.POSITIVE_INFINITY, maxArtifacts = Number.POSITIVE_INFINITY } = options;
  // All of them before the walk begins, since an iterable could begin one too.
  const given = [...roots];
  begin(size, maxArtifacts);
  const { stamps, stamp } = visits;
  const step = direction === 'down' ? stepDown : stepUp;
  for (const root of given) if (Number.isInteger(root) && root >= 0 && root < size && !reach(root, 0, -1, stamps, stamp)) break;
  for (let place = 0; place < walk.length && !walk.cut; place++) {
    const depth = walk.depths[place]! + 1;
    // What lies deeper is not reached: whether there is something is all that is asked.
    if (depth > maxDepth) walk.limit = walk.length;
    step(adjacency, walk.nodes[place]!, depth, stamps, stamp);
  }
  return {
    nodes: walk.nodes.slice(0, walk.length),
    depths: walk.depths.slice(0, walk.length),
    via: walk.via.slice(0, walk.length),
    depth: walk.length === 0 ? 0 : walk.depths[walk.length - 1]!,
    cut: walk.cut,
  };
};
