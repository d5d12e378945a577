// What lies in this core's outbox for an edge node: the node comes for it, as nobody can reach it.
//
// H1. A batch says how far it goes, also where nothing in it is the node's: the node's cursor moves on. H2. Waiting holds nothing but the request.
// H3. A store that was made anew reads from the beginning: a task whose end the core knows is not asked for again. All else is harmless twice. History is handed out
// whole: a project that goes to the node is folded from it.
import { packRecords } from '../../processors/link/index.js';
import { type LinkBatch, OUTBOX, partitionOf, type TaskView } from '../../schemas/index.js';
import { isCopy, type Recorded } from '../../streams/index.js';
import { isFinal } from '../reads.js';
import type { Services } from '../services.js';

/** Of one answer. */
const MOST_RECORDS = 1_000;
const MOST_BYTES = 1024 * 1024;

/** H3. */
const isDone = async ({ deps }: Services, record: Recorded): Promise<boolean> => {
  const { subject } = record.headers;
  if (record.type !== 'dats.task.created' || subject === undefined || isCopy(record)) return false;
  const task = await deps.views.get<TaskView>('task', subject);
  return task !== undefined && isFinal(task);
};

/** The next stretch from `after` on; undefined when nothing came before the signal aborted. */
export const outboxOf = async (services: Services, node: string, after: number, signal: AbortSignal): Promise<LinkBatch | undefined> => {
  const { log, nodes } = services.deps;
  const partition = partitionOf(node, log.partitions(OUTBOX));
  const mine: Recorded[] = [];
  let next = after;
  let bytes = 0;
  for await (const records of log.read({ topic: OUTBOX, partition, offset: after }, signal, { maxBatch: MOST_RECORDS })) {
    for (const record of records) {
      if (record.key === node && !(await isDone(services, record))) {
        if (mine.length > 0 && bytes + record.value.length > MOST_BYTES) break;
        mine.push(record);
        bytes += record.value.length;
      }
      next = record.offset + 1;
    }
    break;
  }
  if (next === after) return undefined;
  const { epoch } = await nodes!.store();
  return { node_id: nodes!.self, epoch, topic: OUTBOX, partition, first: after, next, ...(await packRecords(mine)) };
};
