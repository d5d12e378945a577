// Records of one partition to rows, in order, with what is remembered of open tasks.
import { type DatsEvent, isFault, LIFECYCLE, toFault } from '../../../schemas/index.js';
import type { Recorded } from '../../../streams/index.js';
import { eventIn } from '../event-in.js';
import { evolveContext, type TaskContext } from './context.js';
import { bareRowOf, type EventRow, rowOf } from './row.js';

export interface HistoryFold {
  take(record: Recorded): EventRow;
  /** Contexts that have changed since the last call, by task; null: the task is over. */
  changed(): ReadonlyMap<string, TaskContext | null>;
}

/** @param contexts of open tasks: the fold keeps them up to date. */
export const openFold = (contexts: Map<string, TaskContext>): HistoryFold => {
  let changes = new Map<string, TaskContext | null>();

  const rowWith = (record: Recorded, event: DatsEvent): EventRow => {
    if (record.topic !== LIFECYCLE || !('task_id' in event.data) || event.data.task_id === undefined)
      return rowOf(record, event, undefined, undefined);
    const { task_id } = event.data;
    const before = contexts.get(task_id);
    const after = evolveContext(before, event);
    const row = rowOf(record, event, before, after);
    if (after === undefined) {
      if (contexts.delete(task_id)) changes.set(task_id, null);
    } else if (after !== before) {
      contexts.set(task_id, after);
      changes.set(task_id, after);
    }
    return row;
  };

  return {
    take(record) {
      try {
        return rowWith(record, eventIn(record));
      } catch (error) {
        if (isFault(error) && error.kind !== 'terminal') throw error;
        // Also where data that nobody checked (deciders') is not what its type says.
        return bareRowOf(record, toFault(error));
      }
    },
    changed() {
      const taken = changes;
      changes = new Map();
      return taken;
    },
  };
};
