import { describe, expect, it } from 'vitest';
import type { DatsEvent } from '../../schemas/index.js';
import { openMemoryViewStore } from '../../streams/memory/index.js';
import { eventOf } from '../testing/index.js';
import { creation, output, ready } from '../testing/pipeline-world.js';
import { openFamilyFold } from './family-fold.js';
import { openProjection } from './projection.js';
import type { TaskDoc } from './task-view.js';

const created = (id: string, parent?: string): DatsEvent =>
  eventOf('dats.task.created', { ...creation(id), ...(parent === undefined ? {} : { parent_id: parent }) });
const decomposed = (task_id: string, children: readonly string[]): DatsEvent =>
  eventOf('dats.task.decomposed', {
    task_id,
    planner: { name: 'test', version: '1' },
    children: children.map((id) => ({ task_id: id, title: id, description: creation(id).description, depends_on: [] })),
  });
const begun = (task_id: string): DatsEvent => eventOf('dats.task.ready', ready(task_id));
const made = (task_id: string): DatsEvent => eventOf('dats.task.output.created', output({ task_id, attempt: 1 }));
const completed = (task_id: string, attempt = 1): DatsEvent =>
  eventOf('dats.task.completed', { task_id, attempt, provenance_id: 'v', execution_time_ms: 5 });
const suspected = (task_id: string): DatsEvent => {
  const { artifact_id, path } = output({ task_id, attempt: 1 }).artifacts[0]!;
  return eventOf('dats.artifact.suspect', { cascade_id: 'c', artifact_id, task_id, path, depth: 1 }, { subject: artifact_id });
};

/** A task with two subtasks, one of which has one of its own; another task between. */
const EVENTS: readonly DatsEvent[] = [
  created('parent'),
  created('other'),
  decomposed('parent', ['left', 'right']),
  created('left', 'parent'),
  created('right', 'parent'),
  begun('right'),
  decomposed('left', ['leaf']),
  created('leaf', 'left'),
  begun('leaf'),
  made('right'),
  suspected('right'),
  begun('other'),
  completed('right'),
  made('leaf'),
  completed('leaf'),
  suspected('leaf'),
  completed('left', 0),
  made('other'),
  completed('parent', 0),
];
const TASKS = ['parent', 'left', 'right', 'leaf', 'other'];

/** What the views have of each task after so many events. */
const viewsAfter = async (count: number): Promise<ReadonlyMap<string, TaskDoc>> => {
  const views = openMemoryViewStore();
  const projection = openProjection(views);
  for (const [offset, event] of EVENTS.slice(0, count).entries()) await projection.take(event, offset);
  await views.put(projection.flush());
  return new Map(
    TASKS.flatMap((id) =>
      ((doc) => (doc === undefined ? [] : [[id, doc] as const]))(views.get<TaskDoc>('task', id) as TaskDoc | undefined),
    ),
  );
};

describe('a task with its subtasks', () => {
  it('is the same by what the views had and what came after it, wherever they stood, also where subtasks were read later', async () => {
    const at = await Promise.all(Array.from({ length: EVENTS.length + 1 }, (_, count) => viewsAfter(count)));
    expect(at.at(-1)!.get('parent')!.artifacts).toHaveLength(2);
    let cases = 0;
    for (let from = 0; from <= EVENTS.length; from++)
      for (let later = from; later <= EVENTS.length; later++)
        for (let to = later; to <= EVENTS.length; to++)
          for (const id of TASKS) {
            const known = new Map([...at[later]!].filter(([other]) => other !== id && at[from]!.has(id) && other !== 'other'));
            const own = at[from]!.get(id);
            if (own !== undefined) known.set(id, own);
            const fold = openFamilyFold(known, new Set([id]));
            for (let offset = from; offset < to; offset++) fold.take(EVENTS[offset]!, offset);
            expect([from, later, to, id, known.get(id)]).toEqual([from, later, to, id, at[to]!.get(id)]);
            cases += 1;
          }
    expect(cases).toBeGreaterThan(5_000);
  });

  it('takes nothing of other tasks', () => {
    const fold = openFamilyFold(new Map(), new Set(['parent']));
    for (const [offset, event] of EVENTS.slice(0, 3).entries()) fold.take(event, offset);
    expect(['parent', 'left', 'right', 'other', 'leaf'].map((id) => fold.has(id))).toEqual([true, true, true, false, false]);
  });
});
