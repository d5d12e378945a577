// A place in a project's history, as people name it: an instant, a position, an event.
import { z } from 'zod';
import { LIFECYCLE, parsePosition } from '../../schemas/index.js';
import type { Log, Recorded } from '../../streams/index.js';
import { refuse } from '../problem.js';
import { turnsOf } from './turns.js';

const INSTANT = z.iso.datetime({ offset: true });
const EVENT = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export type Place =
  | { readonly kind: 'instant'; readonly ms: number }
  | { readonly kind: 'position'; readonly partition: number; readonly offset: number }
  | { readonly kind: 'event'; readonly id: string };

export const PLACE_SAYS = 'is no place in the history: give an instant (RFC 3339), a position such as p0-17, or the id of an event';

/** Undefined: it is none. */
export const placeOf = (text: string): Place | undefined => {
  const position = parsePosition(text);
  if (position !== undefined) return { kind: 'position', ...position };
  if (EVENT.test(text)) return { kind: 'event', id: text };
  return INSTANT.safeParse(text).success ? { kind: 'instant', ms: Date.parse(text) } : undefined;
};

/** Where a place cuts the partition. */
export interface Cut {
  /** What comes before it lies below; of an instant: all that was appended up to it. */
  readonly before: number;
  /** The same, with the event itself. */
  readonly through: number;
}

export interface Stretch {
  readonly partition: number;
  readonly projectId: string;
  /** Of the project's first event. */
  readonly first: number;
  /** Of the partition, exclusive. */
  readonly end: number;
}

/** @throws Fault `event_not_found`, and of the log */
export const cutAt = async (log: Pick<Log, 'get' | 'read'>, stretch: Stretch, place: Place, signal: AbortSignal): Promise<Cut> => {
  const { partition, projectId, end } = stretch;
  switch (place.kind) {
    case 'instant': {
      const offset = await firstAfter(log, stretch, place.ms, signal);
      return { before: offset, through: offset };
    }
    case 'position':
      if (place.partition !== partition)
        throw refuse('event_not_found', `project "${projectId}" is in partition ${partition}: its positions look like p${partition}-17`);
      if (place.offset >= end)
        throw refuse('event_not_found', `there is no event at p${partition}-${place.offset}: the log ends before p${partition}-${end}`);
      return { before: place.offset, through: place.offset + 1 };
    case 'event': {
      const offset = await offsetOf(log, stretch, place.id, signal);
      if (offset === undefined) throw refuse('event_not_found', `project "${projectId}" has no event "${place.id}"`);
      return { before: offset, through: offset + 1 };
    }
  }
};

/** The record at `offset`, or the next one before `end`: offsets may have gaps. */
const recordFrom = async (
  log: Pick<Log, 'get' | 'read'>,
  partition: number,
  offset: number,
  end: number,
  signal: AbortSignal,
): Promise<Recorded | undefined> => {
  const there = await log.get({ topic: LIFECYCLE, partition, offset });
  if (there !== undefined) return there;
  for await (const records of log.read({ topic: LIFECYCLE, partition, offset }, signal, { until: end, maxBatch: 1 })) return records[0];
  signal.throwIfAborted();
  return undefined;
};

/**
 * Offset of the first record that was appended after the instant; the end where there is none. It halves the stretch again and again: where clocks of several
 * writers differ, it is a place near the instant where what was appended up to it gives way to what came after.
 */
const firstAfter = async (
  log: Pick<Log, 'get' | 'read'>,
  { partition, first, end }: Stretch,
  ms: number,
  signal: AbortSignal,
): Promise<number> => {
  let low = first;
  let high = end;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const record = await recordFrom(log, partition, middle, high, signal);
    if (record !== undefined && record.timestamp <= ms) low = record.offset + 1;
    else high = middle;
  }
  return low;
};

const offsetOf = async (
  log: Pick<Log, 'read'>,
  { partition, projectId, first, end }: Stretch,
  id: string,
  signal: AbortSignal,
): Promise<number | undefined> => {
  for await (const records of turnsOf(log, { partition, from: first, until: end }, signal))
    for (const record of records) if (record.key === projectId && (record.event?.id ?? record.headers['id']) === id) return record.offset;
  return undefined;
};
