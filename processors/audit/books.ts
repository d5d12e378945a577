// What the auditor knows of one partition: for each project its tree, and the leaves that no checkpoint covers yet. Pure: time comes as an argument.
//
// B1. What `changes` gives, laid over what was loaded, is the state after exactly the records that were taken: it is saved with the offset behind them.
// B2. A checkpoint takes all uncovered leaves of its project, at most `everyEvents`.
import { EMPTY, HASH_BYTES, type Tree, withLeaf } from './tree.js';

/** An offset, and the base64 of a leaf hash. */
export type LeafEntry = readonly [offset: number, hash: string];

export interface Cut {
  readonly project: string;
  readonly tree: Tree;
  readonly leaves: readonly LeafEntry[];
}

export interface Books {
  /** @returns true when the project's uncovered leaves are as many as a checkpoint takes: cut it before the next one of this project. */
  take(project: string, offset: number, leaf: Buffer, now: number): boolean;
  /** The next checkpoint of a project that has uncovered leaves. */
  cut(project: string): Cut;
  /** When the first project is due, milliseconds since the epoch. */
  nextDue(): number | undefined;
  /** A project that is due at `now`. */
  due(now: number): string | undefined;
  /** States to save: what changed since the last call. */
  changes(): ReadonlyMap<string, string>;
}

export interface BooksOptions {
  readonly everyEvents: number;
  readonly everyMs: number;
}

interface Page {
  tree: Tree;
  leaves: LeafEntry[];
  /** When the first of `leaves` was taken, milliseconds since the epoch. */
  since: number;
}

/** As it is saved. */
interface Saved {
  readonly size: number;
  /** Base64 of the hashes in a row. */
  readonly edge: string;
  readonly leaves: readonly LeafEntry[];
  readonly since: number;
}

const PREFIX = 'project/';

export const openBooks = (saved: Iterable<readonly [key: string, text: string]>, { everyEvents, everyMs }: BooksOptions): Books => {
  const pages = new Map<string, Page>();
  /** Projects with uncovered leaves, the one that waits longest first. */
  const waiting = new Map<string, number>();
  const changed = new Set<string>();
  for (const [key, text] of saved) if (key.startsWith(PREFIX)) pages.set(key.slice(PREFIX.length), pageOf(JSON.parse(text) as Saved));
  const open = [...pages].filter(([, page]) => page.leaves.length > 0).sort(([, a], [, b]) => a.since - b.since);
  for (const [project, { since }] of open) waiting.set(project, since);

  const nextDue = (): number | undefined => {
    for (const since of waiting.values()) return since + everyMs;
    return undefined;
  };
  return {
    take(project, offset, leaf, now) {
      let page = pages.get(project);
      if (page === undefined) {
        page = { tree: EMPTY, leaves: [], since: now };
        pages.set(project, page);
      }
      page.tree = withLeaf(page.tree, leaf);
      if (page.leaves.length === 0) {
        page.since = now;
        waiting.set(project, now);
      }
      page.leaves.push([offset, leaf.toString('base64')]);
      changed.add(project);
      return page.leaves.length >= everyEvents;
    },
    cut(project) {
      const page = pages.get(project)!;
      const { tree, leaves } = page;
      page.leaves = [];
      waiting.delete(project);
      changed.add(project);
      return { project, tree, leaves };
    },
    nextDue,
    due(now) {
      for (const [project, since] of waiting) return since + everyMs <= now || since > now ? project : undefined;
      return undefined;
    },
    changes() {
      const states = new Map<string, string>();
      for (const project of changed) states.set(PREFIX + project, textOf(pages.get(project)!));
      changed.clear();
      return states;
    },
  };
};

const textOf = ({ tree, leaves, since }: Page): string =>
  JSON.stringify({ size: tree.size, edge: Buffer.concat(tree.edge).toString('base64'), leaves, since } satisfies Saved);

const pageOf = ({ size, edge, leaves, since }: Saved): Page => {
  const bytes = Buffer.from(edge, 'base64');
  const nodes = Array.from({ length: bytes.length / HASH_BYTES }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
  return { tree: { size, edge: nodes }, leaves: [...leaves], since };
};
