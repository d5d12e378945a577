// One cascade as a fold: what it has reached, what is marked, what is being checked, and whether it is over. Pure; decide.ts says what follows.
//
// K1. An artifact is reached from a root over edges: over a `derived` edge from something tainted it is tainted too, over an `informed` edge suspect.
// Nothing is reached through a suspect until that one is tainted. K2. An artifact that is queued or marked is not queued again, but a suspect can become tainted,
// and what was cleared is suspect again when something else that it was made from turns out bad: its check was made with that in place.
// K3. What another cascade tainted before is not marked again, but is gone through: that cascade may have been stopped. K4. Limits hold for all that is queued.
import type { CascadeLimits, CascadeTrigger, EdgeKind, EventOf, RevalidationVerdict, Selector } from '../../schemas/index.js';
import type { Chain } from '../draft.js';
import { millisOf } from '../iso-time.js';
import type { Graph } from './graph/index.js';
import type { Marks } from './marks.js';

export type CascadeState = 'requested' | 'running' | 'cancelling' | 'completed' | 'cut' | 'cancelled';

/** An artifact that is to be marked. */
export interface Reached {
  readonly index: number;
  readonly as: 'tainted' | 'suspect';
  readonly depth: number;
  /** The artifact it was reached through, by index. */
  readonly via?: number;
  readonly edge?: EdgeKind;
  readonly cause: 'root' | 'edge' | 'revalidation';
  readonly reason: string;
}

export interface CascadeMark {
  state: 'tainted' | 'suspect' | 'cleared';
  readonly depth: number;
  readonly via?: number;
  readonly edge?: EdgeKind;
  verdict?: RevalidationVerdict;
  /** Tainted by another cascade before. */
  readonly already?: true;
  /** How often it was suspected. */
  rounds?: number;
  /** What it was checked without, by index, the last time. */
  without?: ReadonlySet<number>;
}

export interface Cascade {
  readonly id: string;
  readonly recallId?: string;
  readonly project: string;
  readonly trigger: CascadeTrigger;
  readonly selector: Selector;
  readonly reason: string;
  readonly by: string;
  readonly limits: CascadeLimits;
  readonly chain: Chain;
  /** Milliseconds since the epoch. */
  readonly requestedMs: number;
  readonly firstOffset: number;
  lastOffset: number;
  state: CascadeState;
  completedMs?: number;
  detail?: string;
  roots: number;
  reach: { readonly artifacts: number; readonly tasks: number; readonly depth: number };
  /** In the order in which they are to be marked; `next` is the first that is not. */
  readonly queue: Reached[];
  next: number;
  /** As what an artifact is queued. */
  readonly queued: Map<number, 'tainted' | 'suspect'>;
  /** Artifacts that were ever queued (K4). */
  distinct: number;
  readonly marks: Map<number, CascadeMark>;
  /** Suspects whose check is not asked for yet, in order. */
  readonly toAsk: Set<number>;
  /** Suspects that are being checked: until when. */
  readonly asked: Map<number, number>;
  /** Suspects for which nothing can tell, and that are to be cleared for that. */
  readonly toClear: Set<number>;
  tainted: number;
  cleared: number;
  alreadyTainted: number;
  depth: number;
  /** Which limit left something out. */
  cut?: string;
  /** When it marked last, milliseconds since the epoch, and how many at that moment. */
  markedMs?: number;
  markedThen: number;
}

type Begun = EventOf<'dats.cascade.requested' | 'dats.cascade.started'>;

export const openCascade = (event: Begun, offset: number): Cascade => {
  const { cascade_id, recall_id, trigger, selector, reason, by, limits } = event.data;
  const { projectid, correlationid, traceparent } = event;
  return {
    id: cascade_id,
    ...(recall_id === undefined ? {} : { recallId: recall_id }),
    project: projectid,
    trigger,
    selector,
    reason,
    by,
    limits,
    chain: traceparent === undefined ? { projectid, correlationid } : { projectid, correlationid, traceparent },
    requestedMs: millisOf(event.time),
    firstOffset: offset,
    lastOffset: offset,
    state: 'requested',
    roots: 0,
    reach: { artifacts: 0, tasks: 0, depth: 0 },
    queue: [],
    next: 0,
    queued: new Map(),
    distinct: 0,
    marks: new Map(),
    toAsk: new Set(),
    asked: new Map(),
    toClear: new Set(),
    tainted: 0,
    cleared: 0,
    alreadyTainted: 0,
    depth: 0,
    markedThen: 0,
  };
};

export const isActive = ({ state }: Cascade): boolean => state === 'requested' || state === 'running' || state === 'cancelling';
export const remainingOf = ({ queued }: Cascade): number => queued.size;
export const suspectsOf = ({ toAsk, asked, toClear }: Cascade): number => toAsk.size + asked.size + toClear.size;

/** What a cascade looks at, of its project. */
export interface Ground {
  readonly graph: Graph;
  readonly marks: Marks;
  readonly subtasks: ReadonlyMap<string, readonly string[]>;
}

/** Indexes of what a selector names, in order. A task stands for its subtasks too: what a parent shows as its artifacts was made by them. */
export const selected = ({ graph, subtasks }: Pick<Ground, 'graph' | 'subtasks'>, selector: Selector): readonly number[] => {
  const below = selector.task_id === undefined ? undefined : subtasks.get(selector.task_id);
  if (below === undefined) return graph.select(selector);
  return [selector.task_id, ...below].flatMap((task_id) => graph.select({ ...selector, task_id })).sort((a, b) => a - b);
};

/** K1, K2, K4. */
export const reach = (cascade: Cascade, found: Reached, { graph }: Ground): void => {
  const { index, as, depth } = found;
  if (!graph.has(index)) return;
  const mark = cascade.marks.get(index);
  const before = cascade.queued.get(index);
  if (mark?.state === 'tainted' || before === 'tainted') return;
  if (as === 'suspect' && (before !== undefined || !isToSuspect(mark, found.via))) return;
  if (depth > cascade.limits.max_depth) {
    cascade.cut ??= `deeper than ${cascade.limits.max_depth} steps`;
    return;
  }
  if (mark === undefined && before === undefined) {
    if (cascade.distinct >= cascade.limits.max_artifacts) {
      cascade.cut ??= `more than ${cascade.limits.max_artifacts} artifacts`;
      return;
    }
    cascade.distinct++;
  }
  cascade.queued.set(index, as);
  cascade.queue.push(found);
};

/** Not marked yet; or cleared by a check that had `via` in place. */
const isToSuspect = (mark: CascadeMark | undefined, via: number | undefined): boolean =>
  mark === undefined || (mark.state === 'cleared' && via !== undefined && mark.without?.has(via) !== true);

const expand = (cascade: Cascade, index: number, depth: number, ground: Ground): void => {
  for (const child of ground.graph.children(index)) {
    const edge = ground.graph.edgeKind(index, child);
    reach(
      cascade,
      {
        index: child,
        as: edge === 'derived' ? 'tainted' : 'suspect',
        depth: depth + 1,
        via: index,
        edge,
        cause: 'edge',
        reason: cascade.reason,
      },
      ground,
    );
  }
};

/** A new artifact was made from one that the cascade has tainted. */
export const reachUse = (cascade: Cascade, used: number, made: number, ground: Ground): void => {
  const mark = cascade.marks.get(used);
  if (mark?.state !== 'tainted') return;
  const edge = ground.graph.edgeKind(used, made);
  const as = edge === 'derived' ? 'tainted' : 'suspect';
  reach(cascade, { index: made, as, depth: mark.depth + 1, via: used, edge, cause: 'edge', reason: cascade.reason }, ground);
};

const dequeue = (cascade: Cascade, index: number): void => {
  cascade.queued.delete(index);
  settleHead(cascade);
};

/** Passes over what is queued no longer, or not as that. */
const settleHead = (cascade: Cascade): void => {
  for (let head = cascade.queue[cascade.next]; head !== undefined; head = cascade.queue[cascade.next]) {
    if (cascade.queued.get(head.index) === head.as) return;
    cascade.next++;
  }
};

/** Goes through what others tainted (K3), wherever it stands in the queue's front. */
export const settle = (cascade: Cascade, ground: Ground): void => {
  settleHead(cascade);
  for (let head = cascade.queue[cascade.next]; head !== undefined; head = cascade.queue[cascade.next]) {
    if (ground.marks.of(head.index) !== 'tainted') return;
    pass(cascade, head, ground);
  }
};

const pass = (cascade: Cascade, { index, depth, via, edge }: Pick<Reached, 'index' | 'depth' | 'via' | 'edge'>, ground: Ground): void => {
  cascade.marks.set(index, {
    state: 'tainted',
    depth,
    already: true,
    ...(via === undefined ? {} : { via }),
    ...(edge === undefined ? {} : { edge }),
  });
  cascade.alreadyTainted++;
  dequeue(cascade, index);
  expand(cascade, index, depth, ground);
};

/** Another cascade marks it so, or worse: one output made from twenty tainted files is checked once. */
const isReachedBy = (others: Iterable<Cascade>, used: number, made: number, { graph }: Ground): boolean => {
  const enough = graph.edgeKind(used, made) === 'derived' ? ['tainted'] : ['tainted', 'suspect'];
  for (const { queued, marks } of others)
    if (enough.includes(queued.get(made) ?? '') || enough.includes(marks.get(made)?.state ?? '')) return true;
  return false;
};

/** `others`: those of the project that are not over. */
export const start = (cascade: Cascade, event: EventOf<'dats.cascade.started'>, ground: Ground, others: Iterable<Cascade>): void => {
  if (cascade.state !== 'requested') return;
  cascade.state = 'running';
  cascade.roots = event.data.roots;
  cascade.reach = event.data.reach;
  const roots = selected(ground, cascade.selector);
  if (cascade.trigger === 'late_use') {
    for (const used of roots) {
      cascade.marks.set(used, { state: 'tainted', depth: 0, already: true });
      for (const made of ground.graph.children(used))
        if (!ground.marks.known(made) && !isReachedBy(others, used, made, ground)) reachUse(cascade, used, made, ground);
    }
  } else for (const index of roots) reach(cascade, { index, as: 'tainted', depth: 0, cause: 'root', reason: cascade.reason }, ground);
};

const clock = (cascade: Cascade, ms: number): void => {
  cascade.markedThen = cascade.markedMs === ms ? cascade.markedThen + 1 : 1;
  cascade.markedMs = ms;
};

export const tainted = (cascade: Cascade, index: number, event: EventOf<'dats.artifact.tainted'>, ground: Ground): void => {
  const { depth, edge, via } = event.data;
  const before = cascade.marks.get(index);
  if (before?.state === 'tainted') return;
  cascade.marks.set(index, {
    state: 'tainted',
    depth,
    ...(edge === undefined ? {} : { edge }),
    ...(via === undefined ? {} : { via: ground.graph.indexOf(via) }),
    ...(before?.verdict === undefined ? {} : { verdict: before.verdict }),
  });
  cascade.tainted++;
  cascade.depth = Math.max(cascade.depth, depth);
  clock(cascade, millisOf(event.time));
  forget(cascade, index);
  dequeue(cascade, index);
  expand(cascade, index, depth, ground);
};

/** It is waited for no longer. */
const forget = ({ toAsk, asked, toClear }: Cascade, index: number): void => {
  toAsk.delete(index);
  asked.delete(index);
  toClear.delete(index);
};

/** Another cascade tainted what this one holds suspect: there is nothing left to check. */
export const taintedElsewhere = (cascade: Cascade, index: number, ground: Ground): void => {
  const mark = cascade.marks.get(index);
  if (mark?.state !== 'suspect') return;
  forget(cascade, index);
  ground.marks.clear(index, cascade.id);
  pass(
    cascade,
    {
      index,
      depth: mark.depth,
      ...(mark.via === undefined ? {} : { via: mark.via }),
      ...(mark.edge === undefined ? {} : { edge: mark.edge }),
    },
    ground,
  );
};

export const suspect = (cascade: Cascade, index: number, event: EventOf<'dats.artifact.suspect'>, ground: Ground): void => {
  const before = cascade.marks.get(index);
  if (before !== undefined && before.state !== 'cleared') return;
  const { depth, edge, via } = event.data;
  if (before !== undefined) cascade.cleared--;
  cascade.marks.set(index, {
    state: 'suspect',
    depth,
    rounds: (before?.rounds ?? 0) + 1,
    ...(edge === undefined ? {} : { edge }),
    ...(via === undefined ? {} : { via: ground.graph.indexOf(via) }),
  });
  cascade.depth = Math.max(cascade.depth, depth);
  clock(cascade, millisOf(event.time));
  if (isActive(cascade)) cascade.toAsk.add(index);
  if (cascade.queued.get(index) === 'suspect') dequeue(cascade, index);
};

/** `without`: what it is checked without, by index. */
export const asked = (cascade: Cascade, index: number, dueMs: number, without: ReadonlySet<number>): void => {
  if (!cascade.toAsk.delete(index)) return;
  cascade.marks.get(index)!.without = without;
  cascade.asked.set(index, dueMs);
};

/** A verdict that clears counts whenever it comes, others only while they are waited for. @returns whether it is cleared */
export const revalidated = (cascade: Cascade, index: number, event: EventOf<'dats.artifact.revalidated'>, ground: Ground): boolean => {
  const mark = cascade.marks.get(index);
  if (mark?.state !== 'suspect' || cascade.queued.get(index) === 'tainted') return false;
  const { verdict, reasons } = event.data;
  const isAwaited = cascade.asked.delete(index);
  if (verdict === 'cleared') {
    forget(cascade, index);
    mark.state = 'cleared';
    mark.verdict ??= verdict;
    cascade.cleared++;
    return true;
  }
  if (!isAwaited) return false;
  mark.verdict = verdict;
  if (verdict === 'unproven' && cascade.limits.unproven === 'clear') {
    cascade.toClear.add(index);
    return false;
  }
  const { depth, via, edge } = mark;
  const reason =
    reasons[0] ?? (verdict === 'failed' ? 'it did not pass its checks without what is bad' : 'nothing could tell whether it is right');
  const where = { ...(via === undefined ? {} : { via }), ...(edge === undefined ? {} : { edge }) };
  reach(cascade, { index, as: 'tainted', depth, cause: 'revalidation', reason, ...where }, ground);
  return false;
};

export const end = (cascade: Cascade, event: EventOf<'dats.cascade.completed'>): void => {
  cascade.state = event.data.outcome;
  cascade.completedMs = millisOf(event.time);
  if (event.data.detail !== undefined) cascade.detail = event.data.detail;
  cascade.queue.length = 0;
  cascade.next = 0;
  cascade.queued.clear();
  cascade.toAsk.clear();
  cascade.asked.clear();
  cascade.toClear.clear();
};
