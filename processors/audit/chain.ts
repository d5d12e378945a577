// Checkpoint after checkpoint: does each go on where the one before ended, and do its leaves lead to the root that was signed? (V1, V2 of verify.ts)
import type { AuditCheckpoint, AuditProblem } from '../../schemas/index.js';
import type { Alignment, SignedLeaf } from './alignment.js';
import type { Checkpoint } from './note.js';
import { EMPTY, HASH_BYTES, rootOf, type Tree, withLeaves } from './tree.js';

export interface Chain {
  tree: Tree;
  /** The newest checkpoint that proved right. */
  newest: Checkpoint | undefined;
  verified: number;
  /** Without a valid signature, in a row: their lists may be right all the same, the next one tells. */
  held: AuditCheckpoint[];
  readonly problems: AuditProblem[];
  /** Where in `problems` the run of roots stands that cannot be reached any more. */
  lost: number | undefined;
}

export const newChain = (): Chain => ({ tree: EMPTY, newest: undefined, verified: 0, held: [], problems: [], lost: undefined });

export interface Listed {
  /** Leaves that no checkpoint covered before, by the list of this one. */
  readonly leaves: readonly SignedLeaf[];
  /** Number of the first leaf of the list. */
  readonly begin: number;
}

/** The leaves of a checkpoint, with those of the unsigned ones before it, where they bridge the gap to what is covered. */
export const listed = (chain: Chain, { leaves }: AuditCheckpoint, size: number): Listed => {
  const begin = size - leaves.length;
  const bridge: AuditCheckpoint[] = [];
  let at = chain.tree.size;
  for (const one of chain.held)
    if (one.size - one.leaves.length === at && one.size <= begin) {
      bridge.push(one);
      at = one.size;
    }
  const [entries, first] = at === begin ? [[...bridge.flatMap((one) => one.leaves), ...leaves], chain.tree.size] : [leaves, begin];
  const numbered = entries.map(([offset, hash], i) => ({ leaf: first + i, offset, hash }));
  return { leaves: numbered.slice(Math.max(0, chain.tree.size - first)), begin: first };
};

/** Takes in what a checkpoint with a valid signature says; the events up to its last leaf wait in `alignment`. */
export const extend = (chain: Chain, alignment: Alignment, { leaves, begin }: Listed, signed: Checkpoint): void => {
  const { tree } = chain;
  const { size } = signed;
  if (begin !== tree.size) chain.problems.push(inconsistent(size, begin, tree.size));
  const isSigned = (grown: Tree): boolean => grown.size === size && rootOf(grown).equals(signed.root);
  const byList = withLeaves(tree, hashesOf(leaves));
  if (isSigned(byList)) {
    alignment.expect(leaves);
    return prove(chain, byList, signed);
  }
  const count = size - tree.size;
  const { pending } = alignment;
  if (pending.leaves.length === 0 && pending.events.length >= count) {
    const byEvents = withLeaves(tree, hashesOf(pending.events.slice(0, count)));
    if (isSigned(byEvents)) {
      alignment.accept(count);
      if (begin === tree.size) chain.problems.push(badRoot(size, 'its list of leaves is not what was signed; the events are'));
      return prove(chain, byEvents, signed);
    }
  }
  lose(chain, badRoot(size, 'neither its list of leaves nor the events lead to the root that was signed'));
  if (begin > tree.size && leaves[0] !== undefined) alignment.skip(leaves[0].offset);
  alignment.expect(leaves);
  // Of what is in no list something must stand there, so that numbers stay right.
  const unknown = Array.from({ length: Math.max(0, begin - tree.size) }, () => Buffer.alloc(HASH_BYTES));
  chain.tree = withLeaves(withLeaves(tree, unknown), hashesOf(leaves));
};

const prove = (chain: Chain, tree: Tree, signed: Checkpoint): void => {
  chain.tree = tree;
  chain.newest = signed;
  chain.verified++;
  chain.lost = undefined;
};

/** One wrong leaf puts every later root out of reach: that is one problem, not one a checkpoint. */
const lose = (chain: Chain, problem: AuditProblem): void => {
  const { problems, lost } = chain;
  if (lost === undefined) chain.lost = problems.push(problem) - 1;
  else problems[lost] = { ...problems[lost]!, count: (problems[lost]!.count ?? 1) + 1 };
};

const hashesOf = (leaves: Iterable<{ readonly hash: string }>): Iterable<Buffer> =>
  Array.from(leaves, ({ hash }) => Buffer.from(hash, 'base64'));

const badRoot = (size: number, why: string): AuditProblem => ({
  kind: 'bad_root',
  message: `checkpoint of ${size} leaves: ${why}`,
  checkpoint: size,
});

const inconsistent = (size: number, begin: number, covered: number): AuditProblem => ({
  kind: 'inconsistent_checkpoint',
  message:
    begin > covered
      ? `checkpoint of ${size} leaves: leaves ${covered} to ${begin - 1} are in no list before it; a checkpoint is missing, or a list was cut`
      : `checkpoint of ${size} leaves: its list begins at leaf ${begin}, but ${covered} leaves were covered already`,
  checkpoint: size,
});
