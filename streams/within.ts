// A wait for somebody who may not answer.
import { pause } from './pause.js';

/** What `promise` gives, or undefined when that takes longer than `ms` milliseconds; leaves no timer behind. @throws what it throws in time */
export const within = async <T>(ms: number, promise: Promise<T>): Promise<T | undefined> => {
  const settled = new AbortController();
  try {
    return await Promise.race([promise, pause(ms, settled.signal).then(() => undefined)]);
  } finally {
    settled.abort();
  }
};
