// What lies in this core's outbox for an edge node: the node comes for it, as nobody can reach it.
//
// H1. A batch says how far it goes, also where nothing in it is the node's: the node's cursor moves on. H2. Waiting holds nothing but the request.
import { packRecords } from '../../processors/link/index.js';
import { type LinkBatch, OUTBOX, partitionOf } from '../../schemas/index.js';
import type { Recorded } from '../../streams/index.js';
import type { Services } from '../services.js';

/** Of one answer. */
const MOST_RECORDS = 1_000;
const MOST_BYTES = 1024 * 1024;

/** The next stretch from `after` on; undefined when nothing came before the signal aborted. */
export const outboxOf = async ({ deps }: Services, node: string, after: number, signal: AbortSignal): Promise<LinkBatch | undefined> => {
  const { log, nodes } = deps;
  const partition = partitionOf(node, log.partitions(OUTBOX));
  const mine: Recorded[] = [];
  let next = after;
  let bytes = 0;
  for await (const records of log.read({ topic: OUTBOX, partition, offset: after }, signal, { maxBatch: MOST_RECORDS })) {
    for (const record of records) {
      if (record.key === node) {
        if (mine.length > 0 && bytes + record.value.length > MOST_BYTES) break;
        mine.push(record);
        bytes += record.value.length;
      }
      next = record.offset + 1;
    }
    break;
  }
  if (next === after) return undefined;
  const { self, store } = nodes!;
  return { node_id: self, epoch: store.epoch, topic: OUTBOX, partition, first: after, next, ...(await packRecords(mine)) };
};
