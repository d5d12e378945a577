// Lets the process do what else it has to, every few milliseconds.
import { setImmediate as breath } from 'node:timers/promises';

/** Milliseconds of work in one go. */
const STRETCH_MS = 15;

export interface Pace {
  /** Undefined while there is no need to wait: call it often, await it only then. @throws the signal's reason */
  next(): Promise<void> | undefined;
}

export const openPace = (signal: AbortSignal): Pace => {
  let began = performance.now();
  return {
    next: () => {
      signal.throwIfAborted();
      if (performance.now() - began < STRETCH_MS) return undefined;
      return breath().then(() => {
        began = performance.now();
      });
    },
  };
};
