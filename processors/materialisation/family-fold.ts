// Folds what the views do not have yet into some tasks, and into their subtasks: a task shows what those made, too. Pure.
//
// F1. The same as the projection makes of it, wherever the views stood, and wherever each of the tasks did when it was read.
import type { DatsEvent } from '../../schemas/index.js';
import { isMark } from './marks.js';
import { handUp, projectTask, type TaskDoc } from './task-view.js';

export interface FamilyFold {
  /** Is the task one of them? */
  has(taskId: string): boolean;
  /** The next event of the partition. */
  take(event: DatsEvent, offset: number): void;
}

/**
 * @param tasks by id, as far as the views have them, subtasks of all depths among them; gets what comes of them
 * @param wanted those that are asked for, also where the views have nothing of them
 */
export const openFamilyFold = (tasks: Map<string, TaskDoc>, wanted: ReadonlySet<string>): FamilyFold => {
  const parents = new Map<string, string>();
  const adopt = ({ task_id, children }: TaskDoc): void => {
    for (const child of children) parents.set(child, task_id);
  };
  for (const task of tasks.values()) adopt(task);
  const has = (id: string): boolean => wanted.has(id) || parents.has(id);

  const tellParent = (event: DatsEvent, child: TaskDoc, offset: number): void => {
    const parent = tasks.get(parents.get(child.task_id) ?? '');
    if (parent === undefined) return;
    if (isMark(event)) {
      if (parent.artifacts.some(({ artifact_id }) => artifact_id === event.data.artifact_id))
        tasks.set(parent.task_id, projectTask(parent, event, offset)!);
    } else if (event.type === 'dats.task.completed' && parent.completed_at === null && offset > parent.last_offset) {
      // The child may have been read later than the parent, and be over already.
      const next = { ...parent };
      handUp(next, child, offset);
      tasks.set(parent.task_id, next);
    }
  };

  return {
    has,
    take: (event, offset) => {
      const id = isMark(event) ? event.data.task_id : event.subject;
      if (!has(id)) return;
      const task = projectTask(tasks.get(id), event, offset);
      if (task === undefined) return;
      tasks.set(id, task);
      if (event.type === 'dats.task.decomposed') adopt(task);
      tellParent(event, task, offset);
    },
  };
};
