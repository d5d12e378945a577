// How long a request may wait for what it needs.
//
// D1. Every request that asks log and views is answered within ANSWER_MS, whatever they do: 503 then. What it began may be done all the same, and the
// problem says so. D2. Routes that wait for a model, and batches, have limits of their own.
import type { Fault } from '../schemas/index.js';
import { refuse } from './problem.js';

/** From a request that is read to its answer, milliseconds; above the 5 s that the log needs to say that Kafka does not answer. */
export const ANSWER_MS = 10_000;

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
const unanswered = (ms: number): Fault =>
  refuse(
    'unavailable',
    `the log or the view store did not answer within ${seconds(ms)}; what was asked may be done all the same: look before you ask again, or repeat it with the same Idempotency-Key`,
  );

/** What `work` gives. @throws Fault of `late`, by default retryable `unavailable`, when that takes longer than `ms`; then nobody looks at it any more. */
export const within = async <T>(work: Promise<T> | T, ms: number, late: (ms: number) => Fault = unanswered): Promise<T> => {
  if (!(work instanceof Promise)) return work;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late(ms)), ms);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
};
