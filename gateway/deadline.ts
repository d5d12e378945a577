// How long a request may wait for what it needs.
//
// D1. Every request that asks log and views is answered within ANSWER_MS, whatever they do: 503 then. What it began may be done all the same, and the
// problem says so. D2. Routes that wait for a model, and batches, have limits of their own.
import { refuse } from './problem.js';

/** From a request that is read to its answer, milliseconds; above the 5 s that the log needs to say that Kafka does not answer. */
export const ANSWER_MS = 10_000;

/** What `work` gives. @throws Fault retryable `unavailable` when that takes longer than `ms`; then nobody looks at it any more. */
export const within = async <T>(work: Promise<T> | T, ms: number): Promise<T> => {
  if (!(work instanceof Promise)) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const waited = `${Math.round(ms / 100) / 10} s`;
      reject(
        refuse(
          'unavailable',
          `the log or the view store did not answer within ${waited}; what was asked may be done all the same: look before you ask again, or repeat it with the same Idempotency-Key`,
        ),
      );
    }, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};
