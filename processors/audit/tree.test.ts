import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { consistencyProof, inclusionProof, levelsOf, rootOfLevels, verifyConsistency, verifyInclusion } from './proof.js';
import { EMPTY, leafHash, rootOf, withLeaves } from './tree.js';

// The reference leaves, roots and proofs of Certificate Transparency, which every implementation of RFC 6962 is tested with.
const REFERENCE = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) =>
  leafHash(Buffer.from(hex, 'hex')),
);
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const hex = (hashes: readonly Buffer[]): string[] => hashes.map((hash) => hash.toString('hex'));
const leavesOf = (n: number): Buffer[] => Array.from({ length: n }, (_, i) => leafHash(`leaf ${i}`));
const rootAt = (leaves: readonly Buffer[], size = leaves.length): Buffer => rootOf(withLeaves(EMPTY, leaves.slice(0, size)));

/** RFC 6962, 2.1, as it is written there. */
const mth = (leaves: readonly Buffer[]): Buffer => {
  const sha = (...parts: readonly Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  if (leaves.length === 0) return sha();
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.of(1), mth(leaves.slice(0, k)), mth(leaves.slice(k)));
};

describe('the published vectors', () => {
  test('have our roots, at every size', () => {
    expect(rootOf(EMPTY).toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(hex(REFERENCE.map((_, i) => rootAt(REFERENCE, i + 1)))).toEqual(ROOTS);
  });

  test.each([
    [
      0,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      5,
      8,
      [
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        ROOTS[3]!,
      ],
    ],
    [2, 3, [ROOTS[1]!]],
    [
      1,
      5,
      [
        ROOTS[0]!,
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ] as const)('have our inclusion proof of leaf %i of %i', (index, size, proof) => {
    const levels = levelsOf(REFERENCE.slice(0, size));
    expect(hex(inclusionProof(levels, index))).toEqual(proof);
    expect(verifyInclusion(REFERENCE[index]!, index, size, inclusionProof(levels, index), rootAt(REFERENCE, size))).toBe(true);
  });

  test.each([
    [
      1,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        ROOTS[3]!,
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ] as const)('have our consistency proof from %i to %i', (first, second, proof) => {
    expect(hex(consistencyProof(REFERENCE.slice(0, second), first))).toEqual(proof);
  });
});

const SIZES = fc.integer({ min: 1, max: 70 });

test('the right edge tells the root of RFC 6962 at every size, and so do the levels', () => {
  for (let size = 0; size <= 130; size++) {
    const leaves = leavesOf(size);
    expect(rootAt(leaves).equals(mth(leaves))).toBe(true);
    if (size > 0) expect(rootOfLevels(levelsOf(leaves)).equals(mth(leaves))).toBe(true);
  }
});

test('every leaf has an inclusion proof, that proves no other leaf, place, size or root', () => {
  fc.assert(
    fc.property(SIZES, fc.nat(), fc.nat(), (size, at, other) => {
      const leaves = leavesOf(size);
      const index = at % size;
      const path = inclusionProof(levelsOf(leaves), index);
      const root = rootAt(leaves);
      expect(verifyInclusion(leaves[index]!, index, size, path, root)).toBe(true);
      const wrong = other % size;
      if (wrong !== index) expect(verifyInclusion(leaves[index]!, wrong, size, path, root)).toBe(false);
      expect(verifyInclusion(leafHash('other'), index, size, path, root)).toBe(false);
      expect(verifyInclusion(leaves[index]!, index, size, [...path, root], root)).toBe(false);
      if (path.length > 0) expect(verifyInclusion(leaves[index]!, index, size, path.slice(1), root)).toBe(false);
      expect(verifyInclusion(leaves[index]!, index, size, path, rootAt(leavesOf(size + 1)))).toBe(false);
      expect(verifyInclusion(leaves[index]!, size, size, path, root)).toBe(false);
    }),
  );
});

test('every size has a consistency proof to every later one, and a history that was changed has none', () => {
  fc.assert(
    fc.property(SIZES, SIZES, (a, b) => {
      const [first, second] = [Math.min(a, b), Math.max(a, b)];
      const leaves = leavesOf(second);
      const [old, grown] = [
        { size: first, root: rootAt(leaves, first) },
        { size: second, root: rootAt(leaves) },
      ];
      const path = consistencyProof(leaves, first);
      expect(verifyConsistency(old, grown, path)).toBe(true);
      const changed = [leafHash('changed'), ...leaves.slice(1)];
      expect(verifyConsistency({ ...old, root: rootAt(changed, first) }, grown, path)).toBe(false);
      expect(verifyConsistency(old, { ...grown, root: rootAt(changed) }, consistencyProof(changed, first))).toBe(false);
      expect(verifyConsistency(old, grown, [...path, old.root])).toBe(false);
      if (first < second) expect(verifyConsistency(grown, old, path)).toBe(false);
    }),
  );
});
