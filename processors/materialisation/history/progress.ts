// How far the history of one partition of the log is, in the group's own keyed state: committed with the offset, so neither can be older than the other.
//
// P1. What is between `from` and `to` may be in the tables: it is written down before it is inserted, so that whoever comes after a crash inserts exactly the same batch.
// Everything below `from` is in. P2. Contexts of open tasks are those at `from`.
import type { Assignment } from '../../../streams/index.js';
import type { TaskContext } from './context.js';

export interface Progress {
  /** Of the tables; another one means that they were made anew. */
  readonly generation: string;
  readonly from: number;
  readonly to: number;
}

const PROGRESS = 'progress';
const TASK = 'task/';

export interface Loaded {
  readonly progress: Progress | undefined;
  readonly contexts: Map<string, TaskContext>;
}

const parsed = <T>(bytes: Uint8Array): T => JSON.parse(Buffer.from(bytes).toString('utf8')) as T;

export const loadProgress = async (assignment: Assignment): Promise<Loaded> => {
  const stored = await assignment.state(PROGRESS);
  const contexts = new Map<string, TaskContext>();
  for await (const [key, bytes] of assignment.states(TASK)) contexts.set(key.slice(TASK.length), parsed<TaskContext>(bytes));
  return { progress: stored === undefined ? undefined : parsed<Progress>(stored), contexts };
};

/**
 * @param changes of contexts below `progress.from` that were not saved yet; null deletes.
 * @param committed the group's offset so far: it never falls, also where the history begins anew.
 */
export const saveProgress = async (
  assignment: Assignment,
  progress: Progress,
  changes: ReadonlyMap<string, TaskContext | null>,
  committed: number,
): Promise<number> => {
  const states = new Map<string, string | null>([[PROGRESS, JSON.stringify(progress)]]);
  for (const [task, context] of changes) states.set(TASK + task, context === null ? null : JSON.stringify(context));
  const next = Math.max(committed, progress.from);
  await assignment.commit({ next, outputs: [], states });
  return next;
};
