// How artifacts stand. Marks are per cascade: an artifact is tainted when any cascade tainted it, else suspect while one holds it so.
import type { Mark } from '../../schemas/index.js';

export interface Marks {
  of(index: number): Mark;
  taint(index: number, cascade: string): void;
  suspect(index: number, cascade: string): void;
  /** The cascade holds it suspect no longer. */
  clear(index: number, cascade: string): void;
  /** Was it ever marked, by whatever cascade? */
  known(index: number): boolean;
}

export const openMarks = (): Marks => {
  const tainted = new Map<number, Set<string>>();
  const suspect = new Map<number, Set<string>>();
  const ever = new Set<number>();
  const add = (to: Map<number, Set<string>>, index: number, cascade: string): void => {
    ever.add(index);
    const there = to.get(index);
    if (there) there.add(cascade);
    else to.set(index, new Set([cascade]));
  };
  const clear = (index: number, cascade: string): void => {
    const there = suspect.get(index);
    if (there?.delete(cascade) && there.size === 0) suspect.delete(index);
  };
  return {
    of: (index) => (tainted.has(index) ? 'tainted' : suspect.has(index) ? 'suspect' : 'clean'),
    taint(index, cascade) {
      clear(index, cascade);
      add(tainted, index, cascade);
    },
    suspect: (index, cascade) => add(suspect, index, cascade),
    clear,
    known: (index) => ever.has(index),
  };
};
