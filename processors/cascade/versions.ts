// Which artifact stands under each path of a project, at any moment: versions, and every change of which one stands.
//
// V1. A path gets a version when the task that made it is completed. V2. Nothing is removed: what stood at an offset can be told for ever.

/** No artifact: nothing stands, or nothing stood. */
export const NONE = -1;

interface Change {
  /** In the project's partition. */
  readonly offset: number;
  readonly index: number;
}

interface Path {
  /** Indexes of its versions, in the order in which they were accepted. */
  readonly versions: number[];
  readonly changes: Change[];
}

export interface Versions {
  paths(): Iterable<string>;
  /** A task was completed: its version stands from now on. */
  accept(path: string, index: number, offset: number): void;
  /** An earlier version stands, or (NONE) none: the one that stood was taken back. */
  revert(path: string, index: number, offset: number): void;
  /** A version that does not stand is taken back. */
  takeBack(index: number): void;
  /** A version that had been taken back stands again. */
  restore(path: string, index: number, offset: number): void;
  /** What stands, NONE where nothing does. */
  head(path: string): number;
  /** What stood when everything below `offset` had happened. */
  headAt(path: string, offset: number): number;
  of(path: string): readonly number[];
  /** Left the head by a rollback, and did not come back. */
  isTakenBack(index: number): boolean;
  isAccepted(index: number): boolean;
}

export const openVersions = (): Versions => {
  const paths = new Map<string, Path>();
  const takenBack = new Set<number>();
  const accepted = new Set<number>();
  const open = (path: string): Path => {
    const found = paths.get(path) ?? { versions: [], changes: [] };
    paths.set(path, found);
    return found;
  };
  const head = (path: string): number => paths.get(path)?.changes.at(-1)?.index ?? NONE;
  return {
    paths: () => paths.keys(),
    accept(path, index, offset) {
      if (accepted.has(index)) return;
      accepted.add(index);
      const { versions, changes } = open(path);
      versions.push(index);
      changes.push({ offset, index });
    },
    revert(path, index, offset) {
      const before = head(path);
      if (before === index) return;
      if (before !== NONE) takenBack.add(before);
      takenBack.delete(index);
      open(path).changes.push({ offset, index });
    },
    takeBack: (index) => void takenBack.add(index),
    restore(path, index, offset) {
      takenBack.delete(index);
      if (head(path) !== index) open(path).changes.push({ offset, index });
    },
    head,
    headAt(path, offset) {
      const changes = paths.get(path)?.changes ?? [];
      for (let i = changes.length - 1; i >= 0; i--) if (changes[i]!.offset < offset) return changes[i]!.index;
      return NONE;
    },
    of: (path) => paths.get(path)?.versions ?? [],
    isTakenBack: (index) => takenBack.has(index),
    isAccepted: (index) => accepted.has(index),
  };
};
