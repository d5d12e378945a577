// The history of a project that had several homes, from one node's log: what each home decided on, in the order in which it was folded there. Pure.
//
// H1. The homes follow each other: the first one is whoever decided first; each last word names the next; a home decides on what stands in its log behind what its
// first word (`dats.project.arrived`) says. What stands elsewhere, or before, was not decided on, and is sent on by whoever keeps the homes. H2. Within a home the
// order is that of its offsets and of `afteroffset`, as in a rebuild there. H3. Places are those of this node's records; artifacts that a task names as its inputs are
// found here where they are here. H4. Behind a last word there is left what the home had not read when it said it (`afteroffset`), and the new tasks behind the request,
// with what was asked of them: the next home decided on that first. H5. Settings of other nodes are not known here: an event of history counts as said under servers.yaml.
import { type DatsEvent, type EventOf, linkedFromOf } from '../../schemas/index.js';
import { isCopy, type Recorded, readableEventOf } from '../../streams/index.js';
import { type Arrival, openRebuild, type Placed } from '../host/index.js';
import { isLeft } from './homes-decider.js';

type Moved = EventOf<'dats.project.moved'>;

export interface PastOptions {
  /** The node that this is. */
  readonly self: string;
  /** The source of the deciders' own events. */
  readonly source: string;
  readonly consumes: ReadonlySet<string>;
}

export interface Past {
  /** Takes a record of the project, in this node's order. */
  take(record: Recorded): void;
  end(record: Recorded, moved: Moved): Arrival;
}

interface Origin {
  readonly node: string;
  /** Of one life of the node's store. */
  readonly store: string;
  readonly offset: number;
}

/** A record with its event, and where it was said. */
interface Said {
  readonly record: Recorded;
  readonly event: DatsEvent;
  readonly origin: Origin;
}

export const openPast = ({ self, source, consumes }: PastOptions): Past => {
  const history: Placed[] = [];
  /** Artifact -> where its output stands here. */
  const made = new Map<string, number>();
  let home: string | undefined;
  let undecided: readonly Placed[] = [];
  const tasks = new Set<string>();
  let stretch = openStretch(source, consumes, tasks);
  /** What was said at nodes while it is not known from where on they decided. */
  let early: Said[] = [];

  const here = ({ event, origin, record }: Said): void => {
    if (origin.node !== home) return;
    stretch.take(event, origin, record);
  };
  const flushEarly = (after = -1): void => {
    for (const said of early) if (said.origin.offset > after) here(said);
    early = [];
  };
  const handOver = (moved: Moved, origin: Origin): void => {
    home ??= origin.node;
    flushEarly();
    const ended = stretch.end(moved);
    for (const placed of ended.history) history.push(placed);
    undecided = ended.undecided;
    home = moved.data.to;
    stretch = openStretch(source, consumes, tasks);
  };

  return {
    take(record) {
      const isOwn = record.headers.source === source;
      if (!consumes.has(record.type) && !isOwn) return;
      const origin = originOf(record, self);
      const read = readableEventOf(record);
      if (read === undefined) return;
      const event = asHere(read, made);
      noteMade(event, record.offset, made);
      if (event.type === 'dats.project.moved') {
        if (home === undefined || origin.node === home) handOver(event, origin);
        return;
      }
      const said = { record, event, origin };
      if (event.type === 'dats.project.arrived' && origin.node === home) {
        const after = Number(event.afteroffset);
        stretch.arrive(undecided, after);
        flushEarly(after);
      } else if (home === undefined && isOwn) {
        home = origin.node;
        flushEarly();
        stretch.arrive([], -1);
      }
      if (stretch.isOpen()) here(said);
      else early.push(said);
    },
    end(record, moved) {
      handOver(moved, originOf(record, self));
      return { history, undecided, moved: [moved, record.offset] };
    },
  };
};

interface Stretch {
  isOpen(): boolean;
  /** The home decides from behind `after` on, and first on what was left to it. */
  arrive(left: readonly Placed[], after: number): void;
  take(event: DatsEvent, origin: Origin, record: Recorded): void;
  end(moved: Moved): Pick<Arrival, 'history' | 'undecided'>;
}

/** What one home decided on. @param tasks those that the homes have taken in so far: it adds its own when it ends */
const openStretch = (source: string, consumes: ReadonlySet<string>, tasks: Set<string>): Stretch => {
  const history: Placed[] = [];
  /** What others said there: where it stands here. By itself, as it may have come twice; and by the offset there. */
  const places = new Map<DatsEvent, number>();
  let byOffset = new Map<number, number>();
  let others: { readonly placed: Placed; readonly at: number }[] = [];
  let store: string | undefined;
  let isOpen = false;
  const begin = () =>
    openRebuild(
      {
        consumes,
        replay: (event, at) => {
          // A move that was asked for there is over.
          if (event.type !== 'dats.project.move.requested') history.push([event, places.get(event) ?? byOffset.get(at) ?? at]);
        },
        replayArrival: () => undefined,
      },
      source,
    );
  let rebuild = begin();

  /** Another life of its store counts anew. */
  const turn = (name: string): void => {
    if (store !== undefined && store !== name) {
      rebuild.finish(Number.POSITIVE_INFINITY);
      rebuild = begin();
      byOffset = new Map();
      others = [];
    }
    store = name;
  };

  return {
    isOpen: () => isOpen,
    arrive(left, after) {
      isOpen = true;
      for (const [event, offset] of left) places.set(event, offset);
      if (left.length > 0) rebuild.takeArrival({ offset: after } as Recorded, { history: [], undecided: left, moved: left[0]! });
    },
    take(event, origin, record) {
      turn(origin.store);
      const { headers, offset: place } = record;
      const { offset } = origin;
      if (headers.source !== source) {
        places.set(event, place);
        byOffset.set(offset, place);
        others.push({ placed: [event, place], at: offset });
        if (event.type.startsWith('dats.project.')) return;
      } else if (event.type.startsWith('dats.project.') && event.type !== 'dats.project.arrived') return;
      const { linkedfrom: _copied, ...said } = headers;
      // Field by field: records of some logs are read out of their bytes when they are asked.
      const { topic, partition, key, value, type, timestamp } = record;
      rebuild.take({ topic, partition, offset, key, headers: said, value, type, timestamp, event });
    },
    end({ afteroffset, data: { requested_at } }) {
      const read = Number(afteroffset);
      rebuild.finish(read + 1);
      const behind = new Set(others.flatMap(({ placed: [event], at }) => (at > requested_at && isLeft(event) ? [event] : [])));
      for (const [event] of history) if (event.type === 'dats.task.created' && !behind.has(event)) tasks.add(event.data.task_id);
      const undecided = leftOf(others, read, requested_at, tasks);
      const left = new Set(undecided.map(([event]) => event));
      return { history: left.size === 0 ? history : history.filter(([event]) => !left.has(event)), undecided };
    },
  };
};

/**
 * H4; moves that were asked for come last: what was asked before them is not left to the home after the next one.
 * @param known tasks that a home has taken in: one that comes once more, by another way, is none of the new ones
 */
const leftOf = (
  others: readonly { readonly placed: Placed; readonly at: number }[],
  read: number,
  requestedAt: number,
  known: ReadonlySet<string>,
): readonly Placed[] => {
  const tasks = new Set<string>();
  const left = others.filter(({ placed: [event], at }) => {
    const task = 'task_id' in event.data ? event.data.task_id : undefined;
    if (at <= requestedAt) return false;
    const isAgain = event.type === 'dats.task.created' && known.has(event.data.task_id);
    if (at <= read && (isAgain || !isLeft(event)) && (task === undefined || !tasks.has(task))) return false;
    if (event.type === 'dats.task.created' && !isAgain) tasks.add(event.data.task_id);
    return event.type === 'dats.project.move.requested' || !event.type.startsWith('dats.project.');
  });
  const isMove = ([event]: Placed): boolean => event.type === 'dats.project.move.requested';
  const placed = left.map((one) => one.placed);
  return [...placed.filter((one) => !isMove(one)), ...placed.filter(isMove)];
};

/** Where a record was said. */
const originOf = (record: Recorded, self: string): Origin => {
  const from = isCopy(record) ? linkedFromOf(record.headers) : undefined;
  if (from === undefined) return { node: self, store: '', offset: record.offset };
  return { node: from.node, store: `${from.epoch}/${from.partition}`, offset: from.offset };
};

/** H3, H5. */
const asHere = (event: DatsEvent, made: ReadonlyMap<string, number>): DatsEvent => {
  const configversion = event.configversion.replace(/\+\d+$/, '');
  if (event.type === 'dats.task.created') {
    const inputs = event.data.inputs.map((input) => ({ ...input, at: made.get(input.artifact_id) ?? input.at }));
    return { ...event, configversion, data: { ...event.data, inputs } };
  }
  if (event.type !== 'dats.task.output.created') return { ...event, configversion } as DatsEvent;
  // All of them are in memory at once: without what they contain.
  const artifacts = event.data.artifacts.map(({ content: _text, ...artifact }) => artifact);
  return { ...event, configversion, data: { ...event.data, artifacts } };
};

const noteMade = (event: DatsEvent, offset: number, made: Map<string, number>): void => {
  if (event.type !== 'dats.task.output.created') return;
  for (const { artifact_id } of event.data.artifacts) if (!made.has(artifact_id)) made.set(artifact_id, offset);
};
