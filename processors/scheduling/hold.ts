// A node that takes no new work: nothing is begun while it is held, and everything that could have been is, when it is let go.
//
// O1. Who was kept back waits in his queue as if the project were full, so nothing else has to know of it. O2. Whether it is held is asked when it matters, not
// folded: it is of the node, not of a project, and holds in all partitions at once. While something is kept back it is asked again every so often.
import type { SchedulingState } from './state.js';

export interface Hold {
  isOn(): boolean;
  /** When to look again, while it is on; milliseconds since the epoch. */
  lookAgainMs(): number;
}

export const NO_HOLD: Hold = { isOn: () => false, lookAgainMs: () => 0 };

/** Is it to wait? It is remembered that somebody does. */
export const keptBack = (hold: Hold, state: SchedulingState): boolean => {
  if (!hold.isOn()) return false;
  state.kept = true;
  return true;
};

/** Is somebody to be looked for who was kept back? Once. */
export const letGo = (hold: Hold, state: SchedulingState): boolean => {
  if (!state.kept || hold.isOn()) return false;
  state.kept = false;
  return true;
};

export const nextLook = (hold: Hold, state: SchedulingState, timer: number | undefined): number | undefined => {
  if (!state.kept || hold === NO_HOLD) return timer;
  return hold.isOn() ? Math.min(timer ?? Number.POSITIVE_INFINITY, hold.lookAgainMs()) : 0;
};
