// What is to happen in a lane, earliest first; at the same instant by its place in the record.
import type { Moment } from './record.js';

export const isBefore = (a: Moment, b: Moment): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

export interface Agenda<T> {
  add(when: Moment, what: T): void;
  next(): { readonly when: Moment; readonly what: T } | undefined;
  take(): { readonly when: Moment; readonly what: T } | undefined;
}

/** A binary heap. */
export const openAgenda = <T>(): Agenda<T> => {
  const heap: { readonly when: Moment; readonly what: T }[] = [];
  const before = (a: number, b: number): boolean => isBefore(heap[a]!.when, heap[b]!.when);
  const swap = (a: number, b: number): void => {
    const kept = heap[a]!;
    heap[a] = heap[b]!;
    heap[b] = kept;
  };
  return {
    add(when, what) {
      let i = heap.push({ when, what }) - 1;
      for (let parent = (i - 1) >> 1; i > 0 && before(i, parent); parent = (i - 1) >> 1) {
        swap(i, parent);
        i = parent;
      }
    },
    next: () => heap[0],
    take() {
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || last === undefined || heap.length === 0) return first;
      heap[0] = last;
      for (let i = 0; ; ) {
        let child = 2 * i + 1;
        if (child >= heap.length) return first;
        if (child + 1 < heap.length && before(child + 1, child)) child++;
        if (!before(child, i)) return first;
        swap(i, child);
        i = child;
      }
    },
  };
};
