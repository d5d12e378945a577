// Looks after the view store of a partition while there is nothing to write: a write would see by itself where the store is.
//
// A store that does not answer is not said to be elsewhere: it is looked at again, and the health of the node tells people.
import type { ViewStore } from '../../streams/index.js';

export interface Watch {
  /** Aborted when the stored checkpoint was not `position` while nothing was under way. */
  readonly left: AbortSignal;
  /** From here to `quiet` the store is not looked at, and a look that is under way counts for nothing. */
  busy(): void;
  quiet(): void;
  /** Ends it: no timer stays behind. */
  stop(): void;
}

/** @param everyMs between two looks, in milliseconds. */
export const watchCheckpoint = (
  views: ViewStore,
  { view, partition, everyMs }: { readonly view: string; readonly partition: number; readonly everyMs: number },
  position: () => number,
): Watch => {
  const left = new AbortController();
  let isQuiet = true;
  let turn = 0;
  let looking = false;
  const look = async (): Promise<void> => {
    if (!isQuiet || looking) return;
    const began = turn;
    looking = true;
    try {
      const stored = await views.checkpoint(view, partition);
      if (isQuiet && began === turn && stored !== position()) left.abort();
    } catch {
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), everyMs);
  return {
    left: left.signal,
    busy: () => {
      isQuiet = false;
      turn += 1;
    },
    quiet: () => {
      isQuiet = true;
    },
    stop: () => clearInterval(timer),
  };
};
