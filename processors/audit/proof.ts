// Inclusion and consistency proofs of RFC 6962 (2.1.1, 2.1.2): made from all leaves, checked with a few hashes.
import { EMPTY, HASH_BYTES, nodeHash, rootOf } from './tree.js';

/** Roots of all full and partial subtrees, level by level, the leaves first. */
export type Levels = readonly (readonly Buffer[])[];

/** A node without a right neighbour goes up as it is: that is the tree of RFC 6962, whose left subtrees are full. */
export const levelsOf = (leaves: readonly Buffer[]): Levels => {
  const levels: Buffer[][] = [[...leaves]];
  for (let level = levels[0]!; level.length > 1; ) {
    const above: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) above.push(i + 1 < level.length ? nodeHash(level[i]!, level[i + 1]!) : level[i]!);
    levels.push(above);
    level = above;
  }
  return levels;
};

export const rootOfLevels = (levels: Levels): Buffer => levels.at(-1)?.[0] ?? rootOf(EMPTY);

/** The audit path of a leaf, from the bottom up. */
export const inclusionProof = (levels: Levels, index: number): readonly Buffer[] => {
  const path: Buffer[] = [];
  let at = index;
  for (const level of levels) {
    const sibling = level[at % 2 === 0 ? at + 1 : at - 1];
    if (sibling !== undefined) path.push(sibling);
    at = Math.floor(at / 2);
  }
  return path;
};

const MAX_LEVELS = 53;

/** Is `leaf` the one of `index` in the tree of `size` leaves with that root? */
export const verifyInclusion = (leaf: Buffer, index: number, size: number, path: readonly Buffer[], root: Buffer): boolean => {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size || path.length > MAX_LEVELS || !areHashes(path)) return false;
  let node = leaf;
  let at = index;
  let last = size - 1;
  for (const sibling of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      node = nodeHash(sibling, node);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else node = nodeHash(node, sibling);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && node.equals(root);
};

/** That the tree of all leaves begins with the first `first` of them. Empty where that is plain: none, or all. */
export const consistencyProof = (leaves: readonly Buffer[], first: number): readonly Buffer[] =>
  first === 0 || first === leaves.length ? [] : subproof(leaves, first, true);

const rootOfRange = (leaves: readonly Buffer[]): Buffer => rootOfLevels(levelsOf(leaves));

const subproof = (leaves: readonly Buffer[], first: number, whole: boolean): readonly Buffer[] => {
  if (first === leaves.length) return whole ? [] : [rootOfRange(leaves)];
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  const [low, high] = [leaves.slice(0, left), leaves.slice(left)];
  return first <= left ? [...subproof(low, first, whole), rootOfRange(high)] : [...subproof(high, first - left, false), rootOfRange(low)];
};

export interface Head {
  readonly size: number;
  readonly root: Buffer;
}

/** Is the tree of `second` one that begins with all of `first`? */
export const verifyConsistency = (first: Head, second: Head, path: readonly Buffer[]): boolean => {
  if (first.size > second.size || path.length > 2 * MAX_LEVELS || !areHashes(path)) return false;
  if (first.size === second.size) return path.length === 0 && first.root.equals(second.root);
  if (first.size === 0) return path.length === 0;
  let [at, last] = [first.size - 1, second.size - 1];
  while (at % 2 === 1) [at, last] = [(at - 1) / 2, Math.floor(last / 2)];
  const hashes = at === 0 ? [first.root, ...path] : path;
  const [seed, ...rest] = hashes;
  if (seed === undefined) return false;
  let [old, grown] = [seed, seed];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      [old, grown] = [nodeHash(sibling, old), nodeHash(sibling, grown)];
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else grown = nodeHash(grown, sibling);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && old.equals(first.root) && grown.equals(second.root);
};

const areHashes = (path: readonly Buffer[]): boolean => path.every((hash) => hash.length === HASH_BYTES);
