// At the core: puts every change of a setting into the outbox for every edge node, so that all nodes fold the same registry.
//
// G1. Each life of a node's store gets all changes, in their order, each once: what was handed on and how far are one commit. G2. Also those that are void: whether
// a change counts is for the fold to say, and it says the same everywhere. G3. A node that never came, or came anew, has them waiting in the outbox.
import { CONFIG, CONFIG_LOG_KEY, isFault, LINKED_TOPIC, OUTBOX, partitionOf, toFault } from '../../schemas/index.js';
import type { Assignment, Log, Outgoing, ViewStore } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';
import { openBeside } from './look-beside.js';
import { PEERS, type PeerView } from './receive.js';

export interface HandSettingsOptions {
  readonly log: Pick<Log, 'read' | 'partitions'>;
  readonly views: Pick<ViewStore, 'get'>;
  readonly edges: readonly string[];
  /** Looks so often whether a node came with a new store, in milliseconds. */
  readonly lookMs: number;
  readonly onProblem?: (error: unknown) => void;
}

interface Handed {
  readonly epoch: number;
  /** It has everything below. */
  readonly upTo: number;
}

/** Records in one commit. */
const PIECE = 500;

/** Until the partition is revoked. @throws Fault fenced or fatal */
export const handSettings = async (assignment: Assignment, options: HandSettingsOptions): Promise<void> => {
  const { log, views, edges, lookMs, onProblem } = options;
  const { partition } = assignment;
  const isTheirs = partition === partitionOf(CONFIG_LOG_KEY, log.partitions(CONFIG));
  const beside = openBeside(assignment);
  const { until } = beside;
  const handed = new Map<string, Handed>();
  for await (const [node, bytes] of assignment.states()) handed.set(node, JSON.parse(Buffer.from(bytes).toString('utf8')) as Handed);
  let next = assignment.committed;
  let committed = next;

  const commit = async (outputs: readonly Outgoing[], node?: string, now?: Handed): Promise<void> => {
    const states = new Map(node === undefined ? [] : [[node, JSON.stringify(now)] as const]);
    await untilDone(() => assignment.commit({ next, outputs, states }), { revoked: until, onTrouble: (fault) => onProblem?.(fault) });
    if (until.aborted) return;
    committed = next;
    if (node !== undefined) handed.set(node, now!);
  };

  const handTo = async (node: string, epoch: number): Promise<void> => {
    const known = handed.get(node);
    const begin = known?.epoch === epoch ? known.upTo : 0;
    if (begin >= next) return;
    let piece: Outgoing[] = [];
    for await (const records of log.read({ topic: CONFIG, partition, offset: begin }, until, { until: next })) {
      for (const { key, headers, value } of records)
        if (key === CONFIG_LOG_KEY) piece.push({ topic: OUTBOX, key: node, headers: { ...headers, [LINKED_TOPIC]: CONFIG }, value });
      if (piece.length < PIECE) continue;
      await commit(piece, node, { epoch, upTo: records.at(-1)!.offset + 1 });
      piece = [];
    }
    if (!until.aborted) await commit(piece, node, { epoch, upTo: next });
  };

  /** Where its view is not there (it never came, or the view was emptied), the one that was handed to last: asked every look, so the log is not read for it. */
  const lifeOf = async (node: string): Promise<number> => (await views.get<PeerView>(PEERS, node))?.epoch ?? handed.get(node)?.epoch ?? 1;

  const handOn = async (): Promise<void> => {
    try {
      if (isTheirs) for (const node of edges) await handTo(node, await lifeOf(node));
    } catch (error) {
      // Views that are away: it is looked again.
      if (!isFault(toFault(error), 'retryable')) throw error;
      onProblem?.(error);
      return;
    }
    if (next > committed) await commit([]);
  };

  await beside.run({
    take: async (records) => {
      next = records.at(-1)!.offset + 1;
      await handOn();
    },
    look: handOn,
    lookMs,
  });
};
