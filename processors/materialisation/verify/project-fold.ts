// A project folded again from its first event, into memory: the documents as they must be once everything below a position is in.
//
// O1. The fold is the one of the live views (projection.ts), over what lies in the log, and over no view of anybody else. O2. It only goes on, to any position, and
// stops exactly there. O3. Documents are kept as JSON text, as a store has them: what a fold reads again it reads as the live one does.
// O4. Every event of a task carries its project, so no event of another project of the partition changes a document of this one.
import { BUDGET_ANSWERS, Fault, isFault, TASK_TYPES } from '../../../schemas/index.js';
import type { Document, Log, Recorded, ViewStore } from '../../../streams/index.js';
import { eventIn } from '../event-in.js';
import { MARK_TYPES } from '../marks.js';
import { openProjection, type Projection } from '../projection.js';
import type { Pace } from './pace.js';
import { type ProjectPlace, projectRecords } from './project-records.js';

export interface Folded {
  readonly collection: string;
  readonly id: string;
  readonly version: number;
  readonly json: string;
  readonly indexes: readonly string[];
}

export interface ProjectFold {
  /** Events of the project that are in. */
  readonly events: number;
  /** Offsets of the first and the last of them. */
  readonly first: number | undefined;
  readonly last: number | undefined;
  /** Everything below is in. */
  readonly upTo: number;
  /** Milliseconds that it took so far. */
  readonly tookMs: number;
  /** Folds on to `position` (excluding), which is not beyond the end of the log. @throws Fault terminal `verify_too_large` */
  advance(position: number): Promise<void>;
  get(collection: string, id: string): Folded | undefined;
  all(): Iterable<Folded>;
}

/** Characters of all documents: they are in memory. */
export const FOLD_LIMIT_CHARS = 256 * 1024 * 1024;
/** Events between two looks at what changed. */
const FLUSH_EVENTS = 2_048;
/** Events between two looks at the clock. */
const STRIDE = 64;

const TYPES: ReadonlySet<string> = new Set([...TASK_TYPES, ...BUDGET_ANSWERS, ...MARK_TYPES]);

/** What the deciders refused is in no view (M4); a live one skips what it cannot fold, too. */
const takeInto = (projection: Projection, record: Recorded): void => {
  try {
    void projection.take(eventIn(record), record.offset);
  } catch (error) {
    if (isFault(error) && error.kind !== 'terminal') throw error;
  }
};

/** @param from the first offset of the partition */
export const openProjectFold = (
  log: Log,
  place: ProjectPlace,
  from: number,
  { pace, signal, limitChars = FOLD_LIMIT_CHARS }: { readonly pace: Pace; readonly signal: AbortSignal; readonly limitChars?: number },
): ProjectFold => {
  const documents = new Map<string, Folded>();
  const keyOf = (collection: string, id: string): string => `${collection}/${id}`;
  const get = <T>(collection: string, id: string): T | undefined => {
    const folded = documents.get(keyOf(collection, id));
    return folded === undefined ? undefined : (JSON.parse(folded.json) as T);
  };
  // A projection only reads (J1).
  const projection = openProjection({ get } as ViewStore);
  let [events, upTo, chars, tookMs, waiting] = [0, from, 0, 0, 0];
  let first: number | undefined;
  let last: number | undefined;

  const keep = ({ collection, id, version, doc, indexes }: Document): void => {
    const key = keyOf(collection, id);
    const before = documents.get(key);
    const json = JSON.stringify(doc);
    chars += json.length - (before?.json.length ?? 0);
    documents.set(key, { collection, id, version, json, indexes: before?.indexes ?? indexes ?? [] });
  };
  const flush = (): void => {
    for (const document of projection.flush()) keep(document);
    waiting = 0;
    if (chars > limitChars)
      throw new Fault('terminal', 'verify_too_large', `the documents of the project are more than ${limitChars} characters together`);
  };
  const take = (record: Recorded): void => {
    first ??= record.offset;
    last = record.offset;
    events += 1;
    if (!TYPES.has(record.type)) return;
    takeInto(projection, record);
    if (++waiting === FLUSH_EVENTS) flush();
  };

  return {
    get events() {
      return events;
    },
    get first() {
      return first;
    },
    get last() {
      return last;
    },
    get upTo() {
      return upTo;
    },
    get tookMs() {
      return tookMs;
    },
    advance: async (position) => {
      if (position <= upTo) return;
      const began = performance.now();
      for await (const records of projectRecords(log, place, { from: upTo, until: position }, signal)) {
        for (const [i, record] of records.entries()) {
          take(record);
          if (i % STRIDE === 0) await pace.next();
        }
        await pace.next();
      }
      flush();
      upTo = position;
      tookMs += performance.now() - began;
    },
    get: (collection, id) => documents.get(keyOf(collection, id)),
    all: () => documents.values(),
  };
};
