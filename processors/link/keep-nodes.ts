// At the core: listens for the beats of edge nodes, and says which of them are lost, and which are back.
//
// N1. What is said and that it was said are one commit: nothing is said twice or left out, whoever dies when. N2. Time is measured here, from what was heard while
// somebody listened: clocks of others, a core that was away, or a store that does not answer, make no node lost. N3. A node that never came is not lost.
// N4. The view follows the commit; a store that has lost it is shown all again.
import { type DataOf, type EventOf, type EventType, isFault, NODES, TELEMETRY, type Topic, toFault } from '../../schemas/index.js';
import { type Assignment, type Outgoing, outgoing, type Recorded, readableEventOf, type ViewStore } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';
import { sayOn } from '../draft.js';
import { stampAlone } from '../host/index.js';
import { isoOf } from '../iso-time.js';
import { openBeside } from './look-beside.js';
import { BEATS, PRESENCE, type PresenceView, type StoredBeat } from './presence.js';
import { openShown } from './shown.js';

export interface KeepNodesOptions {
  readonly views: ViewStore;
  /** The node that this is. */
  readonly self: string;
  readonly isEdge: (node: string) => boolean;
  /** Not heard of for so long, a node is lost; milliseconds. */
  readonly awayMs: number;
  /** Looks at the beats so often. */
  readonly lookMs: number;
  readonly configVersion: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds; never falls. */
  readonly monotonic?: () => number;
  readonly onProblem?: (error: unknown, record?: Recorded) => void;
}

interface Kept {
  readonly epoch: number;
  readonly lost: boolean;
  /** How often that changed. */
  readonly changes: number;
}

/** Not part of the state: what was heard in this process. */
interface Heard {
  /** Of the newest beat that was seen; undefined: it was not looked yet. */
  beatAt?: number;
  /** By the clock that never falls. */
  at: number;
}

const SOURCE = '/link';
const RUNBOOK = 'docs/runbook.md#node-lost';

/** Until the partition is revoked. @throws Fault fenced or fatal */
export const keepNodes = async (assignment: Assignment, options: KeepNodesOptions): Promise<void> => {
  const { views, self, isEdge, awayMs, lookMs, now, monotonic = () => performance.now(), configVersion, onProblem } = options;
  const beside = openBeside(assignment);
  const { until } = beside;
  const kept = new Map<string, Kept>();
  const heard = new Map<string, Heard>();
  let next = assignment.committed;
  let lookedAt = monotonic();
  const trouble = { revoked: until, onTrouble: (fault: unknown) => onProblem?.(fault) };

  for await (const [node, bytes] of assignment.states()) kept.set(node, JSON.parse(Buffer.from(bytes).toString('utf8')) as Kept);
  const hear = (node: string): Heard => {
    const known = heard.get(node) ?? { at: monotonic() };
    heard.set(node, known);
    return known;
  };
  for (const node of kept.keys()) hear(node);

  const shown = openShown({ views, name: `nodes/${assignment.partition}`, until, onTrouble: trouble.onTrouble });
  const show = (some: ReadonlyMap<string, Kept>): Promise<void> => {
    const documents = [...some].map(([node_id, { lost, changes }]) => {
      const doc: PresenceView = { node_id, lost };
      return { collection: PRESENCE, id: node_id, version: changes, doc };
    });
    return shown.show(
      documents,
      [...kept.values()].reduce((sum, { changes }) => sum + changes, 0),
    );
  };
  const commit = async (outputs: readonly Outgoing[], changed: ReadonlyMap<string, Kept>): Promise<void> => {
    const states = new Map([...changed].map(([node, one]) => [node, JSON.stringify(one)]));
    await untilDone(() => assignment.commit({ next, outputs, states }), trouble);
    if (until.aborted) return;
    for (const [node, one] of changed) kept.set(node, one);
    await show(changed);
  };
  const said = <T extends EventType>(topic: Topic, type: T, node: string, data: DataOf<T>): Outgoing => {
    const by = { source: SOURCE, actor: self, configversion: configVersion(), time: isoOf(now()) };
    return outgoing(topic, stampAlone(sayOn(topic, node, type, node, data), by), node);
  };

  const take = async (records: readonly Recorded[]): Promise<void> => {
    const changed = new Map<string, Kept>();
    for (const record of records) {
      const event = record.type === 'dats.node.registered' ? (readableEventOf(record) as EventOf<'dats.node.registered'>) : undefined;
      next = record.offset + 1;
      if (event === undefined || !isEdge(event.data.node_id)) continue;
      const { node_id, epoch } = event.data;
      const before = changed.get(node_id) ?? kept.get(node_id);
      changed.set(node_id, { epoch, lost: before?.lost ?? false, changes: before?.changes ?? 0 });
      hear(node_id).at = monotonic();
    }
    await commit([], changed);
  };

  /** N2: was it heard of since the last look? */
  const isHeard = (node: string, beat: StoredBeat | undefined): boolean => {
    const known = hear(node);
    const isNew = known.beatAt !== undefined && beat !== undefined && beat.at !== known.beatAt;
    known.beatAt = beat?.at ?? known.beatAt ?? 0;
    if (isNew) known.at = monotonic();
    return isNew;
  };

  const wordsOf = (node: string, one: Kept, beat: StoredBeat | undefined): readonly Outgoing[] => {
    const { epoch } = one;
    if (isHeard(node, beat)) return one.lost ? [said(NODES, 'dats.node.returned', node, { node_id: node, epoch })] : [];
    if (one.lost || monotonic() - hear(node).at <= awayMs) return [];
    const drained = beat?.vitals.admission === 'drained';
    const last_seen = beat === undefined ? {} : { last_seen: isoOf(beat.at) };
    const lost = said(NODES, 'dats.node.lost', node, { node_id: node, epoch, ...last_seen, drained });
    if (drained) return [lost];
    const detail = `nothing was heard of node "${node}" for ${awayMs / 1_000} s; cut off, it works on and sends what it did when it is back`;
    return [lost, said(TELEMETRY, 'dats.ops.alert', node, { severity: 'warning', what: 'node_lost', detail, runbook: RUNBOOK })];
  };

  const look = async (): Promise<void> => {
    if (await shown.isLost()) await show(kept);
    const blind = monotonic() - lookedAt > Math.max(awayMs / 2, 2 * lookMs);
    const nodes = [...kept].filter(([node]) => isEdge(node));
    const beats = await Promise.all(nodes.map(async ([node]) => views.get<StoredBeat>(BEATS, node))).catch((error: unknown) => {
      if (!isFault(toFault(error), 'retryable')) throw error;
      onProblem?.(error);
      return undefined;
    });
    if (blind || beats === undefined) for (const [node] of nodes) hear(node).at = monotonic();
    lookedAt = monotonic();
    if (beats === undefined) return;
    const outputs: Outgoing[] = [];
    const changed = new Map<string, Kept>();
    nodes.forEach(([node, one], i) => {
      const words = wordsOf(node, one, beats[i]);
      if (words.length === 0) return;
      outputs.push(...words);
      changed.set(node, { ...one, lost: !one.lost, changes: one.changes + 1 });
    });
    if (outputs.length > 0) await commit(outputs, changed);
  };

  await beside.run({ begin: () => show(kept), take, look, lookMs });
};
