// Due times of tasks, in buckets: adding, moving and removing cost the same however many there are.

/** Due times are rounded up to this many milliseconds. */
export const TIMER_RESOLUTION_MS = 10;

export interface Timers {
  readonly due: Map<string, number>;
  readonly buckets: Map<number, Set<string>>;
  /** Keys of `buckets`, smallest first. */
  readonly heap: number[];
}

export const newTimers = (): Timers => ({ due: new Map(), buckets: new Map(), heap: [] });

export const setTimer = (timers: Timers, id: string, atMs: number): void => {
  const bucket = Math.ceil(atMs / TIMER_RESOLUTION_MS);
  if (timers.due.get(id) === bucket) return;
  clearTimer(timers, id);
  timers.due.set(id, bucket);
  const ids = timers.buckets.get(bucket);
  if (ids) ids.add(id);
  else {
    timers.buckets.set(bucket, new Set([id]));
    push(timers.heap, bucket);
  }
};

export const clearTimer = (timers: Timers, id: string): void => {
  const bucket = timers.due.get(id);
  if (bucket === undefined) return;
  timers.due.delete(id);
  // An emptied bucket stays until it is the first: then `nextTimer` drops it.
  timers.buckets.get(bucket)?.delete(id);
};

/** When the next timer is due, in milliseconds since the epoch. */
export const nextTimer = (timers: Timers): number | undefined => {
  for (;;) {
    const bucket = timers.heap[0];
    if (bucket === undefined) return undefined;
    if (timers.buckets.get(bucket)!.size > 0) return bucket * TIMER_RESOLUTION_MS;
    timers.buckets.delete(bucket);
    pop(timers.heap);
  }
};

/** Ids due at `now`, in order of due time, then of insertion. They stay until cleared or set anew. */
export const dueTimers = (timers: Timers, now: number): readonly string[] => {
  const limit = Math.floor(now / TIMER_RESOLUTION_MS);
  const buckets = timers.heap.filter((bucket) => bucket <= limit).sort((a, b) => a - b);
  return buckets.flatMap((bucket) => [...timers.buckets.get(bucket)!]);
};

const push = (heap: number[], value: number): void => {
  let i = heap.push(value) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (heap[parent]! <= value) break;
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = value;
};

const pop = (heap: number[]): void => {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= last) break;
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = last;
};
