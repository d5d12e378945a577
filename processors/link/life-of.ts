// Which life of a node's store counts: as its view says, or, where that is not there (it was emptied, and is not shown again yet), as the log says.
import { NODES, partitionOf } from '../../schemas/index.js';
import { type Log, readableEventOf, type ViewStore } from '../../streams/index.js';
import { PEERS, type PeerView } from './receive.js';

/** 1 of a node that never came: it will be its first. Ends early, and then says nothing of worth, when the signal aborts. @throws Fault of log and views */
export const lifeOf = async (
  { log, views }: { readonly log: Pick<Log, 'read' | 'range' | 'partitions'>; readonly views: Pick<ViewStore, 'get'> },
  node: string,
  signal: AbortSignal,
): Promise<number> => {
  const shown = await views.get<PeerView>(PEERS, node);
  if (shown !== undefined) return shown.epoch;
  const partition = partitionOf(node, log.partitions(NODES));
  const { first, end } = await log.range(NODES, partition);
  let life = 1;
  if (end === first) return life;
  for await (const records of log.read({ topic: NODES, partition, offset: first }, signal, { until: end }))
    for (const record of records) {
      if (record.key !== node || record.type !== 'dats.node.registered') continue;
      const event = readableEventOf(record);
      if (event?.type === 'dats.node.registered') life = Math.max(life, event.data.epoch);
    }
  return life;
};
