// What a task asks for, as effects need it: from its `dats.task.created`, or, for a subtask, from the plan that made it.
import { type ArtifactRef, type Content, type DatsEvent, Fault, type FileContent, type StoredTests } from '../schemas/index.js';

export interface TaskSpec {
  readonly description: Content;
  readonly files: readonly FileContent[];
  readonly inputs: readonly ArtifactRef[];
  readonly tests: StoredTests | undefined;
}

/**
 * The spec of `taskId` in `event`.
 * @throws Fault terminal `spec_missing` when the event says nothing about that task.
 */
export const taskSpecOf = (event: DatsEvent, taskId: string): TaskSpec => {
  if (event.type === 'dats.task.created' && event.data.task_id === taskId) {
    const { description, files, inputs, tests } = event.data;
    return { description, files, inputs, tests };
  }
  if (event.type === 'dats.task.decomposed') {
    const item = event.data.children.find((child) => child.task_id === taskId);
    if (item) return { description: item.description, files: item.files ?? [], inputs: [], tests: item.tests };
  }
  throw new Fault('terminal', 'spec_missing', `the ${event.type} at that offset says nothing about task ${taskId}`);
};
