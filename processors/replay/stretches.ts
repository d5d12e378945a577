// When a timer fires in a lane: when it is due, or, where the record shows that the deciders fired nothing then, when they next did.
import { isBefore } from './agenda.js';
import type { Moment, Stretch } from './record.js';

/** The moment at which what is due at `due` is fired. */
export type FiredAt = (due: number) => Moment;

/** Before what was taken in at the same instant, as in the host. */
const AT_ONCE = -1;

export const firedAt = (stretches: readonly Stretch[]): FiredAt => {
  const merged: { from: number; until: Moment }[] = [];
  for (const { from, until } of [...stretches].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last === undefined || from > last.until.at) merged.push({ from, until });
    else if (isBefore(last.until, until)) last.until = until;
  }
  return (due) => {
    let low = 0;
    let high = merged.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (merged[middle]!.from <= due) low = middle + 1;
      else high = middle;
    }
    const stretch = merged[low - 1];
    return stretch === undefined || stretch.until.at < due
      ? { at: due, order: AT_ONCE }
      : { at: stretch.until.at, order: stretch.until.order + 0.5 };
  };
};
