// When the deciders took in what others said, where the log does not say it outright.
import type { Said } from './record.js';

/** Something known: what stands at `offset` was taken in at `at`; between two offsets (`.5`) a timer fired. */
export interface Anchor {
  readonly offset: number;
  readonly at: number;
}

/** Sets the moments of `said`, which are in the order of their offsets, as the anchors are: known ones as they are, others by their own time, between their neighbours. */
export const settleMoments = (said: readonly Pick<Said, 'offset' | 'time' | 'moment'>[], anchors: readonly Anchor[]): void => {
  // A clock that was set back is no reason to change the order.
  let latest = Number.NEGATIVE_INFINITY;
  const known = anchors.map(({ offset, at }) => {
    latest = Math.max(latest, at);
    return { offset, at: latest };
  });
  let next = 0;
  let before = Number.NEGATIVE_INFINITY;
  for (const { offset, time, moment } of said) {
    while (next < known.length && known[next]!.offset < offset) before = known[next++]!.at;
    const after = known[next];
    moment.at = after?.offset === offset ? after.at : Math.max(before, Math.min(time, after?.at ?? Number.POSITIVE_INFINITY));
    before = moment.at;
  }
};
