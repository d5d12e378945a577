// How fast bytes may leave: so many a second over all partitions, and what is urgent goes first.
//
// T1. Only what may go is counted: who gives up while waiting costs the others nothing.
import { pause } from '../../streams/index.js';

export interface Throttle {
  /** Resolves when so many bytes may go, or when the signal aborts. */
  take(bytes: number, urgent: boolean, signal: AbortSignal): Promise<void>;
}

/** How long what can wait looks away while urgent things wait, in milliseconds. */
const GIVE_WAY_MS = 20;

/** @param bytesPerS 0: no limit */
export const openThrottle = (bytesPerS: number, now: () => number = () => performance.now()): Throttle => {
  if (bytesPerS === 0) return { take: async () => {} };
  /** When the line is free again. */
  let freeAt = now();
  let urgentWaiting = 0;
  return {
    take: async (bytes, urgent, signal) => {
      if (urgent) urgentWaiting += 1;
      try {
        while (!signal.aborted) {
          const giveWay = !urgent && urgentWaiting > 0;
          const waitMs = Math.max(freeAt - now(), giveWay ? GIVE_WAY_MS : 0);
          if (waitMs <= 0) break;
          await pause(waitMs, signal);
        }
        if (!signal.aborted) freeAt = Math.max(now(), freeAt) + (bytes / bytesPerS) * 1_000;
      } finally {
        if (urgent) urgentWaiting -= 1;
      }
    },
  };
};
