// The Merkle tree of RFC 6962, as its right edge: all that is needed to add leaves and to tell the root.
//
// T1. A leaf is SHA-256(0x00 || bytes), a node SHA-256(0x01 || left || right). T2. `edge` holds the roots of the full subtrees, the largest first:
// one for every 1 in the binary form of `size`.
import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

export interface Tree {
  /** Leaves. */
  readonly size: number;
  readonly edge: readonly Buffer[];
}

export const EMPTY: Tree = { size: 0, edge: [] };
/** The root of no leaves. */
const EMPTY_ROOT = hash('sha256', '', 'buffer');

const pair = Buffer.alloc(1 + 2 * HASH_BYTES, 1);
export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  return hash('sha256', pair, 'buffer');
};

export const leafHash = (bytes: string | Uint8Array): Buffer =>
  hash('sha256', typeof bytes === 'string' ? `\0${bytes}` : Buffer.concat([Buffer.of(0), bytes]), 'buffer');

/** The tree with one more leaf. */
export const withLeaf = ({ size, edge }: Tree, leaf: Buffer): Tree => {
  let node = leaf;
  let kept = edge.length;
  for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) node = nodeHash(edge[--kept]!, node);
  const nodes = edge.slice(0, kept);
  nodes.push(node);
  return { size: size + 1, edge: nodes };
};

export const withLeaves = (tree: Tree, leaves: Iterable<Buffer>): Tree => {
  let grown = tree;
  for (const leaf of leaves) grown = withLeaf(grown, leaf);
  return grown;
};

export const rootOf = ({ edge }: Tree): Buffer => {
  let root = edge.at(-1);
  if (root === undefined) return EMPTY_ROOT;
  for (let i = edge.length - 2; i >= 0; i--) root = nodeHash(edge[i]!, root);
  return root;
};
