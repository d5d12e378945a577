// Long work in a process that does other things too: it gives way every few milliseconds, and ends soon when it is told to.
import { setImmediate } from 'node:timers/promises';

/** How long the event loop is kept at a time, milliseconds. */
const SHARE_MS = 5;

export interface Breather {
  /** Whether it is time to `give` way. Costs some 30 ns. */
  isDue(): boolean;
  /** Lets others run. @throws the signal's reason when it aborted. */
  give(): Promise<void>;
}

export const openBreather = (signal: AbortSignal): Breather => {
  let began = performance.now();
  return {
    isDue: () => performance.now() - began > SHARE_MS,
    give: async () => {
      await setImmediate();
      signal.throwIfAborted();
      began = performance.now();
    },
  };
};
