// Exports the traces of one owned partition: fold, send, and when the collector has the spans, commit offset and open tasks together.
//
// T1. At least once: a crash anywhere repeats what was not committed, with the same ids (ids.ts), so a collector can drop what it has. T2. What is
// open of a task lies in the group's keyed state, committed with the offset: a restart goes on in the middle of a task. T3. While the collector is away
// nothing is read and nothing is committed: the log keeps it, and the group's lag shows it. T4. A record that cannot be folded is told and passed over:
// the deciders make a dead letter of what is no event.
import { type Fault, isFault, toFault } from '../../schemas/index.js';
import { type Assignment, eventOf, isCopy, pause, type Recorded } from '../../streams/index.js';
import { untilDone } from '../../streams/runtime/index.js';
import type { Delivery } from './deliver.js';
import type { Span } from './span.js';
import { openSpanFold, type SpanFold, TRACED_TYPES } from './spans.js';

/** Records of one commit. */
const MAX_BATCH = 1_024;
/** Least time between two exports of a partition that keeps up, in milliseconds: traces are not looked at in the moment, and a commit has its price. */
const PACE_MS = 250;

export interface TraceExport {
  readonly delivery: Delivery;
  /** `messaging.system` of the log: `kafka`, or `dats` where it is the product's own. */
  readonly system: string;
  readonly onProblem?: (fault: Fault, record?: Recorded) => void;
  /** Default 250. */
  readonly paceMs?: number;
}

/** Runs until the partition is revoked. @throws Fault fatal when the store cannot go on. */
export const exportTraces = async (assignment: Assignment, options: TraceExport): Promise<void> => {
  const { revoked } = assignment;
  try {
    const fold = await load(assignment, options);
    for await (const records of assignment.records({ maxBatch: MAX_BATCH })) {
      const began = performance.now();
      if (!(await options.delivery.deliver(spansOf(fold, records, options), revoked))) return;
      await commit(assignment, fold, records.at(-1)!.offset + 1, options);
      if (records.length < MAX_BATCH) await pause((options.paceMs ?? PACE_MS) - (performance.now() - began), revoked);
    }
  } catch (error) {
    if (isFault(error, 'fenced') || (revoked.aborted && !isFault(error, 'fatal'))) return;
    throw error;
  }
};

const load = async (assignment: Assignment, { system }: TraceExport): Promise<SpanFold> => {
  const saved: [string, string][] = [];
  for await (const [key, bytes] of assignment.states()) saved.push([key, Buffer.from(bytes).toString('utf8')]);
  return openSpanFold({ system, partition: assignment.partition }, saved);
};

const spansOf = (fold: SpanFold, records: readonly Recorded[], { onProblem }: TraceExport): Span[] => {
  const spans: Span[] = [];
  for (const record of records) {
    // Its node tells the collector itself.
    if (!TRACED_TYPES.has(record.type) || isCopy(record)) continue;
    try {
      spans.push(...fold.take(eventOf(record), record.offset));
    } catch (error) {
      onProblem?.(toFault(error), record);
    }
  }
  return spans;
};

/** Until it is done: the spans are with the collector, and doing it over would only send them again. */
const commit = async (assignment: Assignment, fold: SpanFold, next: number, { onProblem }: TraceExport): Promise<void> => {
  const states = fold.changes();
  let told = false;
  await untilDone(() => assignment.commit({ next, outputs: [], states }), {
    revoked: assignment.revoked,
    onTrouble: (fault) => {
      if (!told) onProblem?.(fault);
      told = true;
    },
  });
};
