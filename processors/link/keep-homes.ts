// Keeps where projects are: shows it, sends on what users asked at a node that is not the project's home (any more), and, at the core, sends the history of a project
// to the edge node that is to decide it.
//
// K1. What is sent on, how far, and the offset are one commit: nothing is sent twice or left out, whoever dies when. K2. A history is sent in pieces, from where that
// life of the node has it already, without what it said itself; its last word says that it is the newest. K3. The view follows the commit: late, never early; a store that has lost it is shown all again.
// K4. What is sent on says of how many moves its sender knew. Who knows of more sends it to where the project is now; who knows of fewer keeps it until it has
// heard of them. So nothing goes back and forth, however far behind one of two nodes is. K5. A move counts once, however often its last word comes (as when a core was
// restored from older, and its outbox is read again): who counted more than others would have them wait for moves that never come.
import {
  ARRIVES,
  type EventOf,
  formatLinkedFrom,
  isFault,
  LIFECYCLE,
  LINKED_FROM,
  linkedFromOf,
  MOVES_KNOWN,
  OUTBOX,
  toFault,
} from '../../schemas/index.js';
import { type Assignment, eventOf, isCopy, type Log, type Outgoing, type Recorded, type ViewStore } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';
import { race, type Steps } from '../host/index.js';
import { MOVED, type MovedProject } from './home-of.js';
import type { Homes } from './homes.js';
import { lifeOf } from './life-of.js';
import { openShown, SHOWN_LOOK_MS } from './shown.js';

export interface KeepHomesOptions {
  readonly log: Pick<Log, 'read' | 'range' | 'get' | 'partitions'>;
  readonly views: ViewStore;
  readonly homes: Homes;
  /** Which life of this node's store it is. */
  readonly epoch: () => Promise<number>;
  readonly onProblem?: (error: unknown, record?: Recorded) => void;
  /** Looks so often whether the store still has what was shown, in milliseconds; default 2,000. */
  readonly lookMs?: number;
}

/** The group that keeps them. */
export const HOMES_GROUP = 'homes';
/** What users ask for comes from there. */
const ASKED_BY = '/gateway';
/** Records of a history in one commit. */
const PIECE = 1_000;
/** Without anything to say the offset is committed so often, in milliseconds: reading some of it again changes nothing. */
const COMMIT_MS = 1_000;
/** K5: so many last words of a project are known again. */
const COUNTED_LIMIT = 64;

interface Kept extends MovedProject {
  /** `<node>/<epoch>` -> below which of this node's offsets it has the project. */
  readonly sent?: Readonly<Record<string, number>>;
  /** K4: offsets of what waits here for moves that its senders knew of. */
  readonly waiting?: readonly number[];
  /** K5: last words of moves that were counted, the newest. */
  readonly counted?: readonly string[];
}

/** Until the partition is revoked. @throws Fault fenced or fatal */
export const keepHomes = async (assignment: Assignment, options: KeepHomesOptions): Promise<void> => {
  const { revoked } = assignment;
  const over = new AbortController();
  const batches = assignment.records({ signal: over.signal })[Symbol.asyncIterator]();
  const steps = race(batches, Date.now);
  try {
    await follow(assignment, options, steps);
  } catch (error) {
    if (isFault(error, 'fenced') || (revoked.aborted && !isFault(error, 'fatal'))) return;
    throw error;
  } finally {
    steps.stop();
    over.abort();
    await batches.return?.();
  }
};

const follow = async (assignment: Assignment, options: KeepHomesOptions, steps: Steps): Promise<void> => {
  const { revoked } = assignment;
  const { onProblem, lookMs = SHOWN_LOOK_MS } = options;
  const keeper = await openKeeper(assignment, options);
  let committedMs = Date.now();
  let lookedMs = committedMs;
  let next = assignment.committed;
  let committed = next;
  await keeper.showAll();
  for (;;) {
    const lookAt = lookedMs + lookMs;
    const step = await steps.next(committed < next ? Math.min(committedMs + COMMIT_MS, lookAt) : lookAt);
    if (step.kind === 'end') return;
    if (Date.now() >= lookAt) {
      await keeper.look();
      lookedMs = Date.now();
    }
    if (step.kind === 'records') {
      for (const record of step.records) {
        await keeper.take(record).catch((error: unknown) => {
          if (!isFault(toFault(error), 'terminal')) throw error;
          onProblem?.(error, record);
        });
        if (revoked.aborted) return;
      }
      next = step.records.at(-1)!.offset + 1;
    }
    if (!keeper.isDirty() && (committed === next || Date.now() - committedMs < COMMIT_MS)) continue;
    committedMs = Date.now();
    await keeper.commit(next);
    committed = next;
  }
};

interface Keeper {
  showAll(): Promise<void>;
  /** Shows all again where the store has lost it. */
  look(): Promise<void>;
  /** @throws Fault terminal where it is a word of a move that cannot be read */
  take(record: Recorded): Promise<void>;
  /** Is there anything to commit beside the offset? */
  isDirty(): boolean;
  commit(next: number): Promise<void>;
}

const openKeeper = async (assignment: Assignment, { log, views, homes, epoch, onProblem }: KeepHomesOptions): Promise<Keeper> => {
  const { revoked, partition } = assignment;
  const { self, core, homeOf } = homes;
  const ownEpoch = await epoch();
  const kept = new Map<string, Kept>();
  const changed = new Set<string>();
  let outputs: Outgoing[] = [];
  for await (const [project, bytes] of assignment.states()) kept.set(project, JSON.parse(Buffer.from(bytes).toString('utf8')) as Kept);

  const trouble = { revoked, onTrouble: (fault: unknown) => onProblem?.(fault) };
  const knownOf = (project: string): Kept => kept.get(project) ?? { project_id: project, home: homeOf(project), moves: 0 };
  const put = (one: Kept): void => {
    kept.set(one.project_id, one);
    changed.add(one.project_id);
  };
  const shown = openShown({ views, name: `${HOMES_GROUP}/${partition}`, until: revoked, onTrouble: trouble.onTrouble });
  /** What is shown is as of there. */
  let upTo = assignment.committed;
  const show = (projects: Iterable<Kept>): Promise<void> => {
    const documents = [...projects].map(({ sent: _sent, waiting: _waiting, counted: _counted, ...doc }) => ({
      collection: MOVED,
      id: doc.project_id,
      version: upTo,
      doc,
    }));
    return shown.show(documents, upTo);
  };
  const commit = async (next: number): Promise<void> => {
    const projects = [...changed].map((project) => kept.get(project)!);
    const states = new Map(projects.map((one) => [one.project_id, JSON.stringify(one)]));
    await untilDone(() => assignment.commit({ next, outputs, states }), trouble);
    if (revoked.aborted) return;
    outputs = [];
    changed.clear();
    upTo = next;
    await show(projects);
  };

  /** K2. All of it is committed but the offset of the last word. */
  const sendHistory = async (last: Recorded, project: string, to: string): Promise<void> => {
    // What stands before it is on its way first.
    await commit(last.offset);
    const life = { node: to, epoch: await lifeOf({ log, views }, to, revoked) };
    if (revoked.aborted) return;
    const name = `${to}/${life.epoch}`;
    const begin = knownOf(project).sent?.[name] ?? 0;
    const flush = async (upTo: number): Promise<void> => {
      const known = knownOf(project);
      put({ ...known, sent: { ...known.sent, [name]: upTo } });
      await commit(last.offset);
    };
    const from = { topic: LIFECYCLE, partition, offset: begin } as const;
    for await (const records of log.read(from, revoked, { until: last.offset + 1 })) {
      for (const record of records) if (record.key === project) outputs.push(...asHistory(record, last, life));
      if (outputs.length >= PIECE) await flush(records.at(-1)!.offset + 1);
      if (revoked.aborted) return;
    }
    if (!revoked.aborted) await flush(last.offset + 1);
  };
  const asHistory = (record: Recorded, last: Recorded, to: Life): readonly Outgoing[] => {
    const origin = isCopy(record) ? linkedFromOf(record.headers) : undefined;
    if (origin?.node === to.node && origin.epoch === to.epoch) return [];
    const { [ARRIVES]: _earlier, ...said } = record.headers;
    const from = formatLinkedFrom(origin ?? { epoch: ownEpoch, partition, offset: record.offset, node: self });
    const headers = { ...said, [LINKED_FROM]: from, ...(record.offset === last.offset ? { [ARRIVES]: `${to.epoch}` } : {}) };
    return [{ topic: OUTBOX, key: to.node, headers, value: record.value }];
  };

  /** K4. */
  const sendOn = (record: Recorded): void => {
    const known = knownOf(record.key);
    if (Number(record.headers[MOVES_KNOWN] ?? 0) > known.moves)
      return put({ ...known, waiting: [...(known.waiting ?? []), record.offset] });
    if (known.home === self) outputs.push({ topic: LIFECYCLE, key: record.key, headers: record.headers, value: record.value });
    else outputs.push(onward(record, known));
  };
  const sendWaiting = async (project: string): Promise<void> => {
    const { waiting = [], ...known } = knownOf(project);
    if (waiting.length === 0) return;
    put(known);
    for (const offset of waiting) {
      const record = await log.get({ topic: LIFECYCLE, partition, offset });
      if (record !== undefined) sendOn(record);
    }
  };

  const moved = async (record: Recorded, { id, projectid, data }: EventOf<'dats.project.moved'>): Promise<void> => {
    if (knownOf(projectid).counted?.includes(id)) return;
    if (core?.id === self && data.to !== self) await sendHistory(record, projectid, data.to);
    if (revoked.aborted) return;
    const { moving_to: _over, counted = [], ...known } = knownOf(projectid);
    put({ ...known, home: data.to, moves: known.moves + 1, counted: [...counted, id].slice(-COUNTED_LIMIT) });
    await sendWaiting(projectid);
    await commit(record.offset + 1);
  };

  return {
    showAll: () => show(kept.values()),
    look: async () => {
      if (changed.size === 0 && (await shown.isLost())) await show(kept.values());
    },
    take: async (record) => {
      if (record.type === 'dats.project.moved') return moved(record, eventOf(record) as EventOf<'dats.project.moved'>);
      if (record.type === 'dats.project.move.started') {
        const { data } = eventOf(record) as EventOf<'dats.project.move.started'>;
        return put({ ...knownOf(record.key), moving_to: data.to });
      }
      if (record.headers.source !== ASKED_BY || isCopy(record) || knownOf(record.key).home === self) return;
      sendOn(record);
    },
    isDirty: () => outputs.length + changed.size > 0,
    commit,
  };
};

/** A life of a node's store. */
interface Life {
  readonly node: string;
  readonly epoch: number;
}

/** On its way to the project's home, as far as it is known. */
const onward = ({ headers, value }: Pick<Recorded, 'headers' | 'value'>, { home, moves }: Pick<Kept, 'home' | 'moves'>): Outgoing => ({
  topic: OUTBOX,
  key: home,
  headers: { ...headers, [MOVES_KNOWN]: `${moves}` },
  value,
});
