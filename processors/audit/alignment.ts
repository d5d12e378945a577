// Which events are the leaves that were signed, and what became of the others.
//
// G1. Events and leaves are compared in order, by leaf hash; what runs in parallel (the longest such run of a window) is as it was signed. What is left over is
// explained at the end: by hash it was moved, by offset it was changed, else it was put in or taken out.
// G2. Where all is well nothing is kept: the heads are equal and drop out.
import type { AuditProblem } from '../../schemas/index.js';

export interface SignedLeaf {
  /** From 0. */
  readonly leaf: number;
  readonly offset: number;
  /** Base64. */
  readonly hash: string;
}

export interface SeenEvent {
  /** Its place among all that are seen, from 0. */
  readonly order: number;
  readonly offset: number;
  readonly hash: string;
  readonly id: string | undefined;
  readonly type: string | undefined;
}

/** A leaf without its event, and who stands on both sides of the gap. */
interface Gap {
  readonly leaf: SignedLeaf;
  readonly after: string | undefined;
  readonly before: string | undefined;
}

export interface Alignment {
  expect(leaves: readonly SignedLeaf[]): void;
  see(event: SeenEvent): void;
  /** Compares what is there. Without `all` the tail, behind the last pair, waits for what is to come. */
  settle(all?: boolean): void;
  /** Events and leaves that wait. */
  readonly pending: { readonly leaves: readonly SignedLeaf[]; readonly events: readonly SeenEvent[] };
  /** Takes the first `count` events that wait for what was signed: somebody else knows that they are. */
  accept(count: number): void;
  /** Takes out the events behind the last leaf and below `offset`: there is nothing to compare them with. */
  skip(offset: number): void;
  /** Problems of all that did not fit. `uncovered`: events behind the last leaf. */
  end(): { readonly problems: readonly AuditProblem[]; readonly uncovered: number };
  /** Events that are, in content and place, what was signed. */
  readonly covered: number;
}

/** Above so many that wait for their like, windows are settled whole. */
const PENDING_LIMIT = 50_000;

export const openAlignment = (): Alignment => {
  let leaves: SignedLeaf[] = [];
  let events: SeenEvent[] = [];
  const gaps: Gap[] = [];
  const strays: SeenEvent[] = [];
  const shifts: Shift[] = [];
  let covered = 0;
  const ends = { leaf: -1, leafOffset: -1, eventOffset: -1, order: -1 };
  let lastId: string | undefined;

  const pair = (leaf: SignedLeaf, event: SeenEvent): void => {
    lastId = event.id;
    ends.order = event.order;
    if (leaf.offset === event.offset) covered++;
    else addShift(shifts, leaf, event);
  };
  /** Aligned pairs apart, the first leaves and events are left over. */
  const resolve = (pairs: readonly Pair[], leafEnd: number, eventEnd: number): void => {
    let [l, e] = [0, 0];
    for (const [leafAt, eventAt] of [...pairs, [leafEnd, eventEnd] as const]) {
      const before = events[eventAt]?.id;
      for (; l < leafAt; l++) gaps.push({ leaf: leaves[l]!, after: lastId, before });
      for (; e < eventAt; e++) strays.push(events[e]!);
      if (leafAt < leafEnd && eventAt < eventEnd) pair(leaves[l++]!, events[e++]!);
    }
    leaves = leaves.slice(leafEnd);
    events = events.slice(eventEnd);
  };
  const settle = (all = false): void => {
    let same = 0;
    while (same < leaves.length && same < events.length && leaves[same]!.hash === events[same]!.hash) pair(leaves[same]!, events[same++]!);
    if (same > 0) [leaves, events] = [leaves.slice(same), events.slice(same)];
    if (leaves.length === 0 && events.length === 0) return;
    const pairs = pairsOf(leaves, events);
    if (all || leaves.length + events.length > PENDING_LIMIT) return resolve(pairs, leaves.length, events.length);
    const last = pairs.at(-1);
    if (last !== undefined) resolve(pairs, last[0] + 1, last[1] + 1);
  };
  return {
    expect(signed) {
      for (const leaf of signed) leaves.push(leaf);
      const last = signed.at(-1);
      if (last !== undefined) [ends.leaf, ends.leafOffset] = [last.leaf, Math.max(ends.leafOffset, last.offset)];
    },
    see(event) {
      events.push(event);
      ends.eventOffset = Math.max(ends.eventOffset, event.offset);
    },
    settle,
    get pending() {
      return { leaves, events };
    },
    accept(count) {
      for (const { id, offset, order } of events.slice(0, count))
        [lastId, ends.leafOffset, ends.order] = [id, Math.max(ends.leafOffset, offset), order];
      [covered, ends.leaf] = [covered + count, ends.leaf + count];
      events = events.slice(count);
    },
    skip(offset) {
      events = events.filter((event) => event.offset <= ends.leafOffset || event.offset >= offset);
    },
    end() {
      settle(true);
      const { problems, uncovered } = explain(gaps, strays, ends);
      const all = [...shifts.map(({ leaf, event, count }) => reordered(leaf, event, count)), ...problems];
      return { problems: all.sort((a, b) => (a.offset ?? 0) - (b.offset ?? 0)), uncovered };
    },
    get covered() {
      return covered;
    },
  };
};

type Pair = readonly [leaf: number, event: number];

/** The longest run of equal hashes that rises in both. */
const pairsOf = (leaves: readonly SignedLeaf[], events: readonly SeenEvent[]): Pair[] => {
  const places = new Map<string, number[]>();
  for (let i = leaves.length - 1; i >= 0; i--) {
    const there = places.get(leaves[i]!.hash);
    if (there === undefined) places.set(leaves[i]!.hash, [i]);
    else there.push(i);
  }
  interface Link {
    readonly leaf: number;
    readonly event: number;
    readonly before: Link | undefined;
  }
  /** `ends[k]`: of the runs of k + 1 pairs the one that ends at the smallest leaf. */
  const ends: Link[] = [];
  events.forEach(({ hash }, event) => {
    const leaf = places.get(hash)?.pop();
    if (leaf === undefined) return;
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle]!.leaf < leaf) low = middle + 1;
      else high = middle;
    }
    ends[low] = { leaf, event, before: ends[low - 1] };
  });
  const pairs: Pair[] = [];
  for (let link = ends.at(-1); link !== undefined; link = link.before) pairs.push([link.leaf, link.event]);
  return pairs.reverse();
};

const about = ({ offset, id, type }: SeenEvent): Pick<AuditProblem, 'offset' | 'event_id' | 'type'> => ({
  offset,
  ...(id === undefined ? {} : { event_id: id }),
  ...(type === undefined ? {} : { type }),
});
const named = ({ id, type, offset }: SeenEvent): string => `${type ?? 'a record without type'} ${id ?? ''} at offset ${offset}`;

/** Events in order, but at other offsets than were signed: those that are shifted alike are one. */
interface Shift {
  readonly leaf: SignedLeaf;
  readonly event: SeenEvent;
  readonly count: number;
}

const addShift = (shifts: Shift[], leaf: SignedLeaf, event: SeenEvent): void => {
  const last = shifts.at(-1);
  const alike =
    last !== undefined && last.leaf.leaf + last.count === leaf.leaf && last.event.offset - last.leaf.offset === event.offset - leaf.offset;
  if (alike) shifts[shifts.length - 1] = { ...last, count: last.count + 1 };
  else shifts.push({ leaf, event, count: 1 });
};

const reordered = (leaf: SignedLeaf, event: SeenEvent, count = 1): AuditProblem => ({
  kind: 'reordered',
  message: `${named(event)} was signed at offset ${leaf.offset}, as leaf ${leaf.leaf}${count > 1 ? `; the ${count - 1} after it stand as far away` : ''}`,
  ...about(event),
  leaf: leaf.leaf,
  ...(count > 1 ? { count } : {}),
});

/** Where the leaves and the events end. */
interface Ends {
  readonly leaf: number;
  readonly leafOffset: number;
  readonly eventOffset: number;
  /** Of the last event that is a leaf. */
  readonly order: number;
}

const explain = (gaps: readonly Gap[], strays: readonly SeenEvent[], ends: Ends) => {
  const problems: AuditProblem[] = [];
  const left = new Set(gaps);
  const byHash = new Map(gaps.map((gap) => [gap.leaf.hash, gap]));
  const byOffset = new Map(gaps.map((gap) => [gap.leaf.offset, gap]));
  const unmoved = strays.filter((event) => {
    const gap = byHash.get(event.hash);
    if (gap === undefined || !left.delete(gap)) return true;
    problems.push(reordered(gap.leaf, event));
    return false;
  });
  let uncovered = 0;
  for (const event of unmoved) {
    const gap = byOffset.get(event.offset);
    if (gap !== undefined && left.delete(gap)) {
      const message = `${named(event)} is not what was signed as leaf ${gap.leaf.leaf}`;
      problems.push({ kind: 'changed', message, ...about(event), leaf: gap.leaf.leaf });
    } else if (event.offset > ends.leafOffset && event.order > ends.order) uncovered++;
    else problems.push({ kind: 'inserted', message: `${named(event)} was never signed`, ...about(event) });
  }
  return { problems: [...problems, ...lost([...left], ends)], uncovered };
};

const lost = (gaps: readonly Gap[], ends: Ends): AuditProblem[] => {
  let kept = gaps.length;
  while (kept > 0 && gaps[kept - 1]!.leaf.leaf === ends.leaf - (gaps.length - kept) && gaps[kept - 1]!.leaf.offset > ends.eventOffset)
    kept--;
  const problems = gaps.slice(0, kept).map(missing);
  const cut = gaps[kept];
  if (cut === undefined) return problems;
  const count = gaps.length - kept;
  const message = `the history ends before offset ${cut.leaf.offset}: the newest ${count} of ${ends.leaf + 1} signed events are not there`;
  const after = cut.after === undefined ? {} : { after: cut.after };
  return [...problems, { kind: 'truncated', message, offset: cut.leaf.offset, leaf: cut.leaf.leaf, ...after, count }];
};

const missing = ({ leaf, after, before }: Gap): AuditProblem => ({
  kind: 'missing',
  message: `the event of leaf ${leaf.leaf}, at offset ${leaf.offset}, is not there: between ${after ?? 'the beginning'} and ${before ?? 'the end'}`,
  offset: leaf.offset,
  leaf: leaf.leaf,
  ...(after === undefined ? {} : { after }),
  ...(before === undefined ? {} : { before }),
});
