// What comes next for a partition: records, or a timer that is due. One pending read at a time, no timer left behind.
import type { Recorded } from '../../streams/index.js';

export type Step =
  | { readonly kind: 'records'; readonly records: readonly Recorded[] }
  | { readonly kind: 'due'; readonly now: number }
  | { readonly kind: 'end' };

/** Longest single timer: setTimeout overflows above 2^31-1 ms. */
const MAX_TIMER_MS = 60_000;

export interface Steps {
  /** The next step; `due` (milliseconds since the epoch) may come before the next records. */
  next(due: number | undefined): Promise<Step>;
  stop(): void;
}

export const race = (batches: AsyncIterator<readonly Recorded[]>, now: () => number): Steps => {
  let reading: Promise<IteratorResult<readonly Recorded[]>> | undefined;
  let arrived: IteratorResult<readonly Recorded[]> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    if (timer) clearTimeout(timer);
    timer = undefined;
  };
  const taken = (result: IteratorResult<readonly Recorded[]>): Step => {
    reading = arrived = undefined;
    return result.done ? { kind: 'end' } : { kind: 'records', records: result.value };
  };
  return {
    async next(due) {
      for (;;) {
        if (due !== undefined && due <= now()) return { kind: 'due', now: now() };
        if (arrived) return taken(arrived);
        reading ??= batches.next();
        if (due === undefined) return taken(await reading);
        const late = new Promise<undefined>((resolve) => {
          timer = setTimeout(resolve, Math.min(MAX_TIMER_MS, Math.max(0, due - now())), undefined);
        });
        const result = await Promise.race([reading, late]);
        stop();
        if (result) arrived = result;
      }
    },
    stop,
  };
};
