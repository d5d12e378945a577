// The identity of this node's store: the id of the event with which it began, in its own log. A store that is made anew has another one; one that was copied
// or restored has that of the original.
//
// I1. All processes of a node name the same one, also those that begin a store at the same time: such an event says how far its process had read (`afteroffset`), and
// counts only where no other one stands in between. I2. Nothing is begun by half a log.
import { stampAlone } from '../../processors/host/index.js';
import { type Draft, sayOn } from '../../processors/index.js';
import { type DatsEvent, NODES, type NodeAbilities, partitionOf } from '../../schemas/index.js';
import { type Log, type Outgoing, outgoing, readableEventOf } from '../../streams/index.js';

export interface StoreIdOptions {
  readonly log: Pick<Log, 'partitions' | 'range' | 'read' | 'append'>;
  readonly node: string;
  readonly configVersion: () => string;
  /** RFC 3339. */
  readonly time: () => string;
}

const created = (event: DatsEvent | undefined, node: string): boolean => event?.type === 'dats.node.created' && event.data.node_id === node;

export interface StoreId {
  readonly id: string;
  /** The how manyth life of this node's store it is, as far as the store knows. */
  readonly epoch: number;
}

interface Found {
  /** The newest one; undefined where there is none. */
  readonly store: StoreId | undefined;
  /** The last offset that was read. */
  readonly read: number;
}

/** @throws when the signal aborts, of the log */
const findStoreId = async ({ log, node }: StoreIdOptions, signal: AbortSignal): Promise<Found> => {
  const partition = partitionOf(node, log.partitions(NODES));
  const { first, end } = await log.range(NODES, partition);
  let store: StoreId | undefined;
  let at = -1;
  for await (const records of log.read({ topic: NODES, partition, offset: first }, signal, { until: end }))
    for (const record of records) {
      if (record.key !== node || record.type !== 'dats.node.created') continue;
      const event = readableEventOf(record);
      if (!created(event, node)) continue;
      const { id, afteroffset } = event!;
      // I1.
      if (afteroffset !== undefined && at > Number(afteroffset)) continue;
      store = { id, epoch: (store?.epoch ?? 0) + 1 };
      at = record.offset;
    }
  // A read that was ended has not seen all: it must not count as a store without an id.
  signal.throwIfAborted();
  return { store, read: end - 1 };
};

const said = (draft: Draft, { node, configVersion, time }: StoreIdOptions, afteroffset?: number): DatsEvent =>
  stampAlone(draft, { source: '/link', actor: node, configversion: configVersion(), time: time(), afteroffset });

/**
 * A new life of the store: its id, and the record with which it begins.
 * @param after the last offset that was read; what another process began behind it comes first (I1). Default: it counts in any case
 */
export const newStore = (options: StoreIdOptions, after?: number): { readonly storeId: string; readonly record: Outgoing } => {
  const { node } = options;
  const event = said(sayOn(NODES, node, 'dats.node.created', node, { node_id: node }), options, after);
  return { storeId: event.id, record: outgoing(NODES, event, node) };
};

/** The core has taken the node in. */
export const agreedRecord = (options: StoreIdOptions, abilities: NodeAbilities, store_id: string, epoch: number): Outgoing => {
  const { node } = options;
  const draft = sayOn(NODES, node, 'dats.node.registered', node, { ...abilities, node_id: node, store_id, epoch });
  return outgoing(NODES, said(draft, options), node);
};

/** Begins one where there is none yet. @throws when the signal aborts, of the log */
export const storeIdOf = async (options: StoreIdOptions, signal: AbortSignal): Promise<StoreId> => {
  const { store, read } = await findStoreId(options, signal);
  if (store !== undefined) return store;
  await options.log.append([newStore(options, read).record]);
  return (await findStoreId(options, signal)).store!;
};
