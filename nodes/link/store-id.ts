// The identity of this node's store: the id of the event with which it began, in its own log. A store that is made anew has another one; one that was copied
// or restored has that of the original.
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

/** The newest one; undefined where there is none yet. @throws when the signal aborts */
const findStoreId = async ({ log, node }: StoreIdOptions, signal: AbortSignal): Promise<StoreId | undefined> => {
  const partition = partitionOf(node, log.partitions(NODES));
  const { first, end } = await log.range(NODES, partition);
  let found: StoreId | undefined;
  for await (const records of log.read({ topic: NODES, partition, offset: first }, signal, { until: end }))
    for (const record of records) {
      if (record.key !== node || record.type !== 'dats.node.created') continue;
      const event = readableEventOf(record);
      if (created(event, node)) found = { id: event!.id, epoch: (found?.epoch ?? 0) + 1 };
    }
  // A read that was ended has not seen all: it must not count as a store without an id.
  signal.throwIfAborted();
  return found;
};

const said = (draft: Draft, { node, configVersion, time }: StoreIdOptions): DatsEvent =>
  stampAlone(draft, { source: '/link', actor: node, configversion: configVersion(), time: time() });

/** A new life of the store: its id, and the record with which it begins. */
export const newStore = (options: StoreIdOptions): { readonly storeId: string; readonly record: Outgoing } => {
  const { node } = options;
  const event = said(sayOn(NODES, node, 'dats.node.created', node, { node_id: node }), options);
  return { storeId: event.id, record: outgoing(NODES, event, node) };
};

/** The core has taken the node in. */
export const agreedRecord = (options: StoreIdOptions, abilities: NodeAbilities, store_id: string, epoch: number): Outgoing => {
  const { node } = options;
  const draft = sayOn(NODES, node, 'dats.node.registered', node, { ...abilities, node_id: node, store_id, epoch });
  return outgoing(NODES, said(draft, options), node);
};

/** Begins one where there is none yet. */
export const storeIdOf = async (options: StoreIdOptions, signal: AbortSignal): Promise<StoreId> => {
  const found = await findStoreId(options, signal);
  if (found !== undefined) return found;
  const { storeId, record } = newStore(options);
  await options.log.append([record]);
  return { id: storeId, epoch: 1 };
};
