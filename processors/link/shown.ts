// A view that is written from the state of a group, not from a checkpoint: shown when its keeper begins, what changed after every commit, and all of it again when the store
// has lost it, as a Redis that was emptied or restored from older.
//
// S1. What is shown and how far that goes are one write: where the store says less than was shown, it has lost some of it. S2. A store that is away has lost nothing.
import { isFault, toFault } from '../../schemas/index.js';
import type { Document, ViewStore } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';

/** Collection of the view store, by the name of what is shown: the version that was shown last. */
const SHOWN = 'shown';
/** How often it is looked whether the store still has what was shown, in milliseconds. */
export const SHOWN_LOOK_MS = 2_000;

interface Mark {
  readonly version: number;
}

export interface Shown {
  /** @param version rises with what the documents are of; theirs may be others */
  show(documents: readonly Document[], version: number): Promise<void>;
  /** Has the store less than was shown? @throws Fault of the store, not retryable */
  isLost(): Promise<boolean>;
}

export interface ShownOptions {
  readonly views: Pick<ViewStore, 'get' | 'put'>;
  /** Of one keeper: `<group>/<partition>`. */
  readonly name: string;
  readonly until: AbortSignal;
  readonly onTrouble: (error: unknown) => void;
}

export const openShown = ({ views, name, until, onTrouble }: ShownOptions): Shown => {
  let shown: number | undefined;
  return {
    show: async (documents, version) => {
      if (documents.length === 0) return;
      const mark: Mark = { version };
      const all = [...documents, { collection: SHOWN, id: name, version: version + 1, doc: mark }];
      await untilDone(() => views.put(all), { revoked: until, onTrouble });
      shown = Math.max(version, shown ?? version);
    },
    isLost: async () => {
      if (shown === undefined) return false;
      try {
        return ((await views.get<Mark>(SHOWN, name))?.version ?? -1) < shown;
      } catch (error) {
        if (!isFault(toFault(error), 'retryable')) throw error;
        onTrouble(error);
        return false;
      }
    },
  };
};
