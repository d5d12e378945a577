// The subtasks of a plan, as tasks.
import type { DataOf, EventOf } from '../../schemas/index.js';
import { type Draft, say } from '../draft.js';
import type { OpenTask } from './state.js';

type PlanItem = DataOf<'dats.task.decomposed'>['children'][number];

/** Each after those it depends on, so that no one depends on a task that does not exist yet. Plans have no cycles (routing/plan.ts). */
const inOrder = (items: readonly PlanItem[]): readonly PlanItem[] => {
  const byId = new Map(items.map((item) => [item.task_id, item]));
  const ordered = new Set<PlanItem>();
  const visit = (item: PlanItem, path: ReadonlySet<PlanItem>): void => {
    if (ordered.has(item) || path.has(item)) return;
    for (const id of item.depends_on) {
      const dependency = byId.get(id);
      if (dependency) visit(dependency, new Set([...path, item]));
    }
    ordered.add(item);
  };
  for (const item of items) visit(item, new Set());
  return [...ordered];
};

/** `dats.task.created` of every subtask. They inherit who submitted them, priority and options, except what belongs to the parent alone. */
export const plannedTasks = (parent: OpenTask, event: EventOf<'dats.task.decomposed'>): readonly Draft[] => {
  const { decompose: _decompose, qa_profile, ...options } = parent.options;
  return inOrder(event.data.children).map((item) => {
    // A parent's `tests` profile holds for the subtasks that have tests; the others are judged by what they bring.
    const profile = qa_profile === 'tests' && item.tests === undefined ? {} : qa_profile === undefined ? {} : { qa_profile };
    return say('dats.task.created', item.task_id, {
      task_id: item.task_id,
      description: item.description,
      priority: parent.priority,
      options: { ...options, ...profile },
      parent_id: parent.id,
      depends_on: item.depends_on,
      inputs: parent.inputs,
      files: item.files ?? [],
      ...(item.tests === undefined ? {} : { tests: item.tests }),
      submitted_by: parent.user,
    });
  });
};
