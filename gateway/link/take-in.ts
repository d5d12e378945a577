// What an edge node sends: on disk first, then taken in by the receiver (processors/link), then answered with how far it is.
//
// K1. The answer is the truth of the receiver's commit, read from the view it leaves: a sender that believes it neither loses nor doubles anything.
// K2. What comes twice, or while another gateway takes in the same, is harmless: the receiver knows the offsets.

import { stamp } from '../../processors/host/index.js';
import { inChain, isoOf, sayOn } from '../../processors/index.js';
import { cursorOf, isSuperseded, PEERS, type PeerView } from '../../processors/link/index.js';
import {
  type DataOf,
  type DatsEvent,
  type JoinedLink,
  type JoinLink,
  LINK,
  type LinkBatch,
  NO_PROJECT,
  OUTBOX,
  partitionOf,
} from '../../schemas/index.js';
import { outgoing, pause } from '../../streams/index.js';
import { SOURCE } from '../commands.js';
import { refuse } from '../problem.js';
import type { Services } from '../services.js';

/** Looks at the view so often, in milliseconds: at first, and at most. */
const LOOK_MS = { first: 1, max: 50 } as const;
type Said = 'dats.node.joined' | 'dats.link.batch';

const said = <T extends Said>({ deps }: Services, type: T, node: string, correlationid: string, data: DataOf<T>): DatsEvent => {
  const by = { source: SOURCE, actor: node, configversion: deps.settings.current().version, time: isoOf(deps.now()) };
  return stamp(inChain({ projectid: NO_PROJECT, correlationid }, sayOn(LINK, node, type, node, data)), by);
};

export const peerOf = async ({ deps }: Services, node: string): Promise<PeerView | undefined> => deps.views.get<PeerView>(PEERS, node);

/** Waits until the receiver has seen to it. @throws Fault `link_busy` when that takes too long */
const seen = async (
  services: Services,
  node: string,
  isIt: (peer: PeerView | undefined) => boolean,
  signal: AbortSignal,
): Promise<PeerView> => {
  for (let wait: number = LOOK_MS.first; ; wait = Math.min(wait * 2, LOOK_MS.max)) {
    const peer = await peerOf(services, node);
    if (isIt(peer)) return peer!;
    if (signal.aborted) throw refuse('link_busy', `what node "${node}" sent is on disk here, but was not taken in yet; send it again`);
    await pause(wait, signal);
  }
};

/** @throws Fault `node_superseded`, `link_busy`, of log and views */
export const joinNode = async (services: Services, body: JoinLink, correlationId: string, signal: AbortSignal): Promise<JoinedLink> => {
  const { deps } = services;
  await deps.log.append([outgoing(LINK, said(services, 'dats.node.joined', body.node_id, correlationId, body), body.node_id)]);
  const settled = (peer: PeerView | undefined): boolean => peer?.store_id === body.store_id || isSuperseded(peer, body.store_id);
  const peer = await seen(services, body.node_id, settled, signal);
  if (peer.store_id !== body.store_id)
    throw refuse(
      'node_superseded',
      `store ${body.store_id} of node "${body.node_id}" was replaced by ${peer.store_id} (epoch ${peer.epoch}): another machine, or another data folder, came under this id`,
    );
  const { self } = deps.nodes!;
  const store = await deps.nodes!.store();
  const partition = partitionOf(body.node_id, deps.log.partitions(OUTBOX));
  return {
    core: self,
    core_store: store.id,
    core_epoch: store.epoch,
    outbox: { partition, end: (await deps.log.range(OUTBOX, partition)).end },
    epoch: peer.epoch,
    cursors: { ...peer.cursors },
    missing: [...(peer.missing ?? [])],
  };
};

/** @throws Fault `node_superseded`, `link_busy`, of log and views */
export const takeBatch = async (
  services: Services,
  batch: LinkBatch,
  correlationId: string,
  signal: AbortSignal,
): Promise<{ next: number }> => {
  const { deps } = services;
  const { node_id, topic, partition, first, next, epoch } = batch;
  const before = await peerOf(services, node_id);
  if (before === undefined) throw refuse('link_busy', `node "${node_id}" is not known here yet; let it join first`);
  if (before.epoch !== epoch)
    throw refuse('node_superseded', `the batch is of epoch ${epoch} of node "${node_id}"; epoch ${before.epoch} is what counts here`);
  const cursor = cursorOf(before, topic, partition);
  if (next <= cursor || first > cursor) return { next: cursor };
  await deps.log.append([outgoing(LINK, said(services, 'dats.link.batch', node_id, correlationId, batch), node_id)]);
  const taken = (peer: PeerView | undefined): boolean =>
    peer !== undefined && (peer.epoch !== epoch || cursorOf(peer, topic, partition) >= next);
  const peer = await seen(services, node_id, taken, signal);
  if (peer.epoch !== epoch) throw refuse('node_superseded', `another store came under the id of node "${node_id}" meanwhile`);
  return { next: cursorOf(peer, topic, partition) };
};
