// Tasks that were taken here for a project whose home is another node: nothing is known of them here until the home has said something.
import type { ViewStore } from '../../streams/index.js';

/** Collection of the view store, by task. Nothing else has it: where it is lost, such a task is not found until its home has said something. */
const FORWARDED = 'forwarded';

export interface Forwarded {
  readonly project_id: string;
  readonly home: string;
}

type Views = Pick<ViewStore, 'get' | 'put'>;

export const keepForwarded = async (views: Views, tasks: readonly (Forwarded & { readonly task_id: string })[]): Promise<void> => {
  const documents = tasks.map(({ task_id, ...doc }) => ({ collection: FORWARDED, id: task_id, version: 1, doc }));
  if (documents.length > 0) await views.put(documents);
};

export const forwardedTask = async (views: Views, taskId: string): Promise<Forwarded | undefined> =>
  views.get<Forwarded>(FORWARDED, taskId);
