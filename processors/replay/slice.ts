// Which tasks a replay is about: those created in the slice, with all their subtasks and with what they depend on.
//
// S1. What a task depends on belongs to it, wherever it was created, as far as it was read. S2. What was not read is taken as it was: the artifacts that came of it are
// inputs, and nobody waits for it. S3. What is created after the slice, or after the last of the named tasks, is not kept while the history is read, unless it is a
// subtask of what is, or is waited for.
import type { DataOf, ReplaySlice } from '../../schemas/index.js';
import type { Breather } from './breather.js';
import type { TaskRecord } from './record.js';

export type Choice = ReplaySlice;

/** S3. Says of each task, in the order of their creation, whether it is kept. */
export const openSieve = ({ until = Number.POSITIVE_INFINITY, task_ids }: Choice) => {
  const kept = new Set<string>();
  const waitedFor = new Set<string>();
  const missing = task_ids === undefined ? undefined : new Set(task_ids);
  return ({ task_id, parent_id, depends_on }: DataOf<'dats.task.created'>, offset: number): boolean => {
    const isBefore = offset < until && missing?.size !== 0;
    const isSubtask = parent_id !== undefined && kept.has(parent_id);
    if (!isBefore && !isSubtask && !waitedFor.has(task_id)) return false;
    kept.add(task_id);
    missing?.delete(task_id);
    for (const id of depends_on) if (!kept.has(id)) waitedFor.add(id);
    return true;
  };
};

const isNamed = ({ id, creation }: TaskRecord, { from = 0, until = Number.POSITIVE_INFINITY, task_ids }: Choice): boolean =>
  creation.offset >= from && creation.offset < until && (task_ids === undefined || task_ids.includes(id));

/** The chosen ones, in the order of their creation. */
export const choose = async (
  tasks: ReadonlyMap<string, TaskRecord>,
  choice: Choice,
  breather: Breather,
): Promise<ReadonlyMap<string, TaskRecord>> => {
  const children = new Map<string, string[]>();
  const ids = new Set<string>();
  for (const task of tasks.values()) {
    if (breather.isDue()) await breather.give();
    const { parent_id } = task.created.data;
    const siblings = parent_id === undefined ? undefined : children.get(parent_id);
    if (siblings !== undefined) siblings.push(task.id);
    else if (parent_id !== undefined) children.set(parent_id, [task.id]);
    else if (isNamed(task, choice)) ids.add(task.id);
    if (parent_id !== undefined && choice.task_ids?.includes(task.id) && tasks.has(parent_id)) ids.add(parent_id);
  }
  // A set that grows while it is walked through is walked through to its end.
  for (const id of ids) {
    if (breather.isDue()) await breather.give();
    for (const child of children.get(id) ?? []) ids.add(child);
    const { parent_id, depends_on } = tasks.get(id)!.created.data;
    for (const other of parent_id === undefined ? depends_on : [...depends_on, parent_id]) if (tasks.has(other)) ids.add(other);
  }
  const chosen = new Map<string, TaskRecord>();
  for (const [id, task] of tasks) {
    if (breather.isDue()) await breather.give();
    if (ids.has(id)) chosen.set(id, alone(task, ids));
  }
  return chosen;
};

/** S2. */
const alone = (task: TaskRecord, ids: ReadonlySet<string>): TaskRecord => {
  const { created } = task;
  const outside = new Set(created.data.depends_on.filter((id) => !ids.has(id)));
  if (outside.size === 0) return task;
  const taken = task.inherited.filter(({ task_id }) => outside.has(task_id));
  const depends_on = created.data.depends_on.filter((id) => ids.has(id));
  const event = { ...created, data: { ...created.data, depends_on, inputs: [...created.data.inputs, ...taken] } };
  return { ...task, created: event, creation: { ...task.creation, event } };
};
