// Rebuilding a group's state of one partition from the first event: the same bytes as the state that was saved on the way (property-tested).
//
// The group's own events say after which offset they were decided (`afteroffset`). Live, they were folded right after that record and before the
// next one, though in the log other records may stand between. So others' records wait here until an own event, or the end, says they were read.
import type { DatsEvent } from '../../schemas/index.js';
import { eventOf, type Recorded } from '../../streams/index.js';
import type { Fold } from './fold.js';

export interface Rebuild {
  take(record: Recorded): void;
  /** What others appended after the group's last own event, up to (excluding) `committed`, was read as well. */
  finish(committed: number): void;
}

export const openRebuild = (fold: Fold, source: string): Rebuild => {
  const waiting: { readonly event: DatsEvent; readonly offset: number }[] = [];
  let first = 0;
  const readUpTo = (offset: number): void => {
    while (first < waiting.length && waiting[first]!.offset <= offset) {
      const { event, offset: at } = waiting[first++]!;
      fold.replay(event, at);
    }
    if (first > 1024) {
      waiting.splice(0, first);
      first = 0;
    }
  };
  return {
    take(record) {
      if (!fold.consumes.has(record.type)) return;
      const event = eventOf(record);
      if (event.source !== source) {
        waiting.push({ event, offset: record.offset });
        return;
      }
      const after = Number(event.afteroffset);
      readUpTo(after);
      fold.replay(event, after);
    },
    finish: (committed) => readUpTo(committed - 1),
  };
};
