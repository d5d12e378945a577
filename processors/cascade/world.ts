// The projects of one partition as cascades see them: folded from the log, with snapshots in the view store so that a start need not read all of it.
//
// W1. A snapshot is a list of segments: the slim events of a stretch of the partition, written once and never changed. They may be dropped: the log has it all.
// W2. A segment is written after its events were read from the log, in one compare-and-set with the one before it (V4), so segments leave no gap, whoever writes.
// W4. Offsets of other nodes' logs say nothing here: what somebody elsewhere wants to be taken back to such a place is refused where it was not begun there.
// W3. A segment of another shape (an older or newer program's) ends the list: what follows is read from the log. FORMAT rises with every change of CASCADE_TYPES or `slim`.
import { type DatsEvent, decodeWritten, encode, LIFECYCLE, MOVES_KNOWN } from '../../schemas/index.js';
import { eventOf, isCopy, type Log, type Recorded, type ViewStore } from '../../streams/index.js';
import { millisOf } from '../iso-time.js';
import type { Homes } from '../link/index.js';
import { type Left, type Moves, openMoves } from './moves.js';
import { ELSEWHERE } from './plan.js';
import { openProject, type Project, take } from './project.js';
import { type CascadeEvent, concernsCascades, isCascadeEvent, slim } from './slim.js';

export const SNAPSHOT_VIEW = 'cascade-snapshot';
const COLLECTION = 'cascade-segment';
const FORMAT = 2;
/** Of a segment: whichever comes first. */
export const SEGMENT_EVENTS = 5_000;
const SEGMENT_BYTES = 1024 * 1024;
/** Segments asked for at a time. */
const READ_AHEAD = 4;
/** Events taken in before others get their turn. */
const PIECE = 128;

type SegmentEvent = readonly [offset: number, headers: Readonly<Record<string, string>>, value: string, isCopy?: true];

interface Segment {
  readonly format: number;
  /** Offsets: from, and up to (excluding). */
  readonly from: number;
  readonly to: number;
  /** [offset, headers, value, does it come from another node]. */
  readonly events: readonly SegmentEvent[];
}

export interface PartitionWorld {
  readonly partition: number;
  readonly projects: ReadonlyMap<string, Project>;
  /** Projects with a cascade or rollback that is not over. */
  readonly busy: ReadonlySet<Project>;
  /** It had its turn: the others come first now. */
  turnOver(project: Project): void;
  /** It is busy no more, whatever comes. */
  setAside(project: Project): void;
  /** Everything below is taken in. */
  readonly next: number;
  /** Where projects are decided. */
  readonly moves: Moves;
  /** Takes a record in; what it was when it was one that matters, is readable and was not taken before. */
  take(record: Recorded): Taken | undefined;
  /** Passes over what does not matter. */
  passTo(next: number): void;
}

export interface Taken {
  readonly project: Project;
  readonly event: CascadeEvent;
  /** Another node said it. */
  readonly isCopy: boolean;
  /** What is to be decided on now, beside it (moves.ts, M3). */
  readonly left: readonly Left[];
}

type Open = PartitionWorld & { fold(event: CascadeEvent, offset: number, isCopy: boolean): Pick<Taken, 'project' | 'left'> };

/** The only node. */
export const ALONE: Pick<Homes, 'self' | 'homeOf'> = { self: '', homeOf: () => '' };

const openPartition = (partition: number, homes = ALONE): Open => {
  const moves = openMoves(homes);
  const projects = new Map<string, Project>();
  const busy = new Set<Project>();
  const aside = new Set<Project>();
  let next = 0;
  const fold = (event: CascadeEvent, offset: number, isCopy: boolean): Pick<Taken, 'project' | 'left'> => {
    let project = projects.get(event.projectid);
    if (project === undefined) {
      project = openProject(event.projectid, offset);
      projects.set(event.projectid, project);
    }
    next = Math.max(next, offset + 1);
    take(project, event, offset);
    if (project.active.size + project.rolling.size > 0 && !aside.has(project)) busy.add(project);
    else busy.delete(project);
    return { project, left: moves.take(event, offset, project, isCopy) };
  };
  return {
    partition,
    moves,
    projects,
    busy,
    turnOver(project) {
      if (busy.delete(project)) busy.add(project);
    },
    setAside(project) {
      aside.add(project);
      busy.delete(project);
    },
    get next() {
      return next;
    },
    fold,
    take(record) {
      if (record.offset < next || !concernsCascades(record.type)) return undefined;
      const event = readable(record);
      if (event === undefined) return undefined;
      const copied = isCopy(record);
      const known = copied || record.headers[MOVES_KNOWN] !== undefined ? withoutPlace(event) : event;
      return { event: known, isCopy: copied, ...fold(known, record.offset, copied) };
    },
    passTo: (to) => {
      next = Math.max(next, to);
    },
  };
};

/** Records that are no event are dead letters of the deciders; here they say nothing. */
const readable = (record: Recorded): CascadeEvent | undefined => {
  try {
    const event: DatsEvent = eventOf(record);
    return isCascadeEvent(event) && !Number.isNaN(millisOf(event.time)) ? event : undefined;
  } catch {
    return undefined;
  }
};

/** W4. */
const withoutPlace = (event: CascadeEvent): CascadeEvent =>
  (event.type === 'dats.rollback.requested' || event.type === 'dats.rollback.started') && event.data.target.kind === 'offset'
    ? ({ ...event, data: { ...event.data, target: { ...event.data.target, offset: ELSEWHERE } } } as CascadeEvent)
    : event;

const segmentId = (partition: number, n: number): string => `${partition}/${String(n).padStart(9, '0')}`;

export interface Snapshots {
  /** Keeps an event for the next segment. */
  keep(taken: Pick<Taken, 'event' | 'isCopy'>, offset: number): void;
  /** Writes a segment when there is enough for one, or, `all`, when there is anything. What cannot be written is left for a later start. Never rejects. */
  write(next: number, all?: boolean): Promise<void>;
}

interface Loaded {
  readonly world: PartitionWorld;
  readonly snapshots: Snapshots;
}

export interface WorldOptions {
  readonly log: Pick<Log, 'read' | 'range'>;
  readonly views: ViewStore;
  readonly partition: number;
  /** Reads up to here, excluding; default: to the end as it is now. */
  readonly until?: number;
  readonly signal: AbortSignal;
  /** Default: there is one node. */
  readonly homes?: Pick<Homes, 'self' | 'homeOf'>;
  /** Writes segments of what it reads; else it only reads them. */
  readonly writes: boolean;
  /** Called after each piece, with where it stands: everything below is taken in. What it waits for is waited for, so that others get their turn. */
  readonly onward?: (next: number) => Promise<void> | void;
}

/** The partition folded up to `until`. @throws Fault of the log; a view store that does not answer is done without. */
export const loadWorld = async ({ log, views, partition, until, signal, homes, writes, onward }: WorldOptions): Promise<Loaded> => {
  const world = openPartition(partition, homes);
  const { first, end } = await log.range(LIFECYCLE, partition);
  const to = until ?? end;
  const segments = await takeSegments(world, views, to, onward);
  const snapshots = writes ? openSnapshots(views, partition, segments) : SILENT;
  if (segments.to < first) world.passTo(first);
  let pieces = 0;
  if (world.next < to)
    for await (const records of log.read({ topic: LIFECYCLE, partition, offset: world.next }, signal, { until: to, maxBatch: 2_048 })) {
      for (const record of records) {
        const taken = world.take(record);
        if (taken === undefined) continue;
        snapshots.keep(taken, record.offset);
        if (++pieces % PIECE === 0) await onward?.(world.next);
      }
      world.passTo(records.at(-1)!.offset + 1);
      await snapshots.write(world.next);
      await onward?.(world.next);
    }
  signal.throwIfAborted();
  world.passTo(to);
  return { world, snapshots };
};

/** Takes segments that lie wholly below `until`; how many there were, and where they end. */
const takeSegments = async (
  world: Open,
  views: ViewStore,
  until: number,
  onward: WorldOptions['onward'],
): Promise<{ readonly count: number; readonly to: number; readonly stored: number }> => {
  let count = 0;
  let to = 0;
  let stored = 0;
  try {
    stored = await views.checkpoint(SNAPSHOT_VIEW, world.partition);
    while (to < Math.min(stored, until)) {
      const ids = Array.from({ length: READ_AHEAD }, (_, i) => segmentId(world.partition, count + i));
      const found = await Promise.all(ids.map((id) => views.get<Segment>(COLLECTION, id)));
      for (const segment of found) {
        if (segment === undefined || segment.format !== FORMAT || segment.from !== to || segment.to > until) return { count, to, stored };
        for (const [i, [offset, headers, value, copied = false]] of segment.events.entries()) {
          world.fold(decodeWritten(headers, value) as CascadeEvent, offset, copied);
          if (i % PIECE === PIECE - 1) await onward?.(world.next);
        }
        world.passTo(segment.to);
        to = segment.to;
        count++;
        await onward?.(to);
      }
    }
  } catch {
    // W1: what the store does not give is read from the log.
  }
  return { count, to, stored };
};

const SILENT: Snapshots = { keep: () => undefined, write: async () => undefined };

const openSnapshots = (
  views: ViewStore,
  partition: number,
  { count, to, stored }: { readonly count: number; readonly to: number; readonly stored: number },
): Snapshots => {
  let n = count;
  let from = to;
  // Somebody's segments end elsewhere: theirs stay, and nothing is added to them.
  let usable = stored === to;
  let bytes = 0;
  let events: SegmentEvent[] = [];
  return {
    keep({ event, isCopy }, offset) {
      if (!usable) return;
      const { headers, value } = encode(slim(event) as DatsEvent);
      bytes += value.length + 500;
      events.push(isCopy ? [offset, headers, value, true] : [offset, headers, value]);
    },
    async write(next, all = false) {
      if (!usable || events.length === 0 || (!all && events.length < SEGMENT_EVENTS && bytes < SEGMENT_BYTES)) return;
      const doc: Segment = { format: FORMAT, from, to: next, events };
      events = [];
      bytes = 0;
      try {
        await views.put([{ collection: COLLECTION, id: segmentId(partition, n), version: next, doc }], {
          view: SNAPSHOT_VIEW,
          partition,
          from,
          next,
        });
        n++;
        from = next;
      } catch {
        usable = false;
      }
    },
  };
};
