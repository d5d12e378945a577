// Which artifacts a walk has seen. Shared by all graphs and walks of the process: a walk begins with a new stamp, so nothing has to be cleared and nothing is
// allocated for it. A walk is synchronous and calls nobody who could begin another.
import { withRows } from './rows.js';

const LAST_STAMP = 2 ** 31 - 1;

export interface Visits {
  /** By index; seen in this walk where it is the stamp. */
  readonly stamps: Int32Array;
  readonly stamp: number;
  /** Nothing is seen. @param size of the graph */
  begin(size: number): void;
}

/** @param stamp the last one that is used up */
export const openVisits = (stamp = 0): Visits => {
  let stamps = new Int32Array(0);
  return {
    get stamps() {
      return stamps;
    },
    get stamp() {
      return stamp;
    },
    begin: (size) => {
      stamps = withRows(stamps, size);
      if (stamp === LAST_STAMP) {
        stamps.fill(0);
        stamp = 0;
      }
      stamp++;
    },
  };
};
