// The edges, from what was consumed (parent) to what was made from it (child).
//
// A1. What an artifact was made from comes all at once, so the edges from its parents are a stretch. A2. Its children come over time, so the edges to them are a linked list;
// child and next edge lie side by side: a step is one access to memory, and nearly all that a closure does is such steps.
import { withRows } from './rows.js';

/** Numbers of a link: the child, and the next edge of the same parent + 1 (0: none). */
export const LINK = 2;

export interface Adjacency {
  edges: number;
  /** By index: an edge + 1; 0: none. */
  firstChild: Int32Array;
  lastChild: Int32Array;
  /** By edge. */
  links: Int32Array;
  parents: Int32Array;
  /** By index: where the edges from its parents begin, and where they end (not after the beginning: there are none). */
  parentsFrom: Int32Array;
  parentsTo: Int32Array;
}

const none = (): Int32Array => new Int32Array(0);

export const openAdjacency = (): Adjacency => ({
  edges: 0,
  firstChild: none(),
  lastChild: none(),
  links: none(),
  parents: none(),
  parentsFrom: none(),
  parentsTo: none(),
});

/** Room for indexes below `size`. */
export const fitAdjacency = (adjacency: Adjacency, size: number): void => {
  if (size <= adjacency.firstChild.length) return;
  for (const column of ['firstChild', 'lastChild', 'parentsFrom', 'parentsTo'] as const)
    adjacency[column] = withRows(adjacency[column], size);
};

/** The edges to this child come next, and no others before they are all there (A1). */
export const beginEdgesTo = ({ edges, parentsFrom }: Adjacency, child: number): void => {
  parentsFrom[child] = edges;
};

export const addEdge = (adjacency: Adjacency, parent: number, child: number): void => {
  const edge = adjacency.edges++;
  adjacency.links = withRows(adjacency.links, edge + 1, LINK);
  adjacency.parents = withRows(adjacency.parents, edge + 1);
  const { firstChild, lastChild, links, parents, parentsTo } = adjacency;
  links[edge * LINK] = child;
  parents[edge] = parent;
  parentsTo[child] = edge + 1;
  const last = lastChild[parent]!;
  if (last === 0) firstChild[parent] = edge + 1;
  else links[(last - 1) * LINK + 1] = edge + 1;
  lastChild[parent] = edge + 1;
};

export const childrenOf = ({ firstChild, links }: Adjacency, index: number): readonly number[] => {
  const children: number[] = [];
  for (let edge = firstChild[index] ?? 0; edge !== 0; edge = links[(edge - 1) * LINK + 1]!) children.push(links[(edge - 1) * LINK]!);
  return children;
};

export const parentsOf = ({ parents, parentsFrom, parentsTo }: Adjacency, index: number): readonly number[] =>
  Array.from(parents.subarray(parentsFrom[index] ?? 0, parentsTo[index] ?? 0));
