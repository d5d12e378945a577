import { describe, expect, it } from 'vitest';
import type { DatsEvent, TaskView } from '../../schemas/index.js';
import type { Document, ViewStore } from '../../streams/index.js';
import { openMemoryViewStore } from '../../streams/memory/index.js';
import { eventOf } from '../testing/index.js';
import { openProjection } from './projection.js';

const sha256 = '0'.repeat(64);
const created = (id: string, parent?: string): DatsEvent =>
  eventOf('dats.task.created', {
    task_id: id,
    description: { sha256, bytes: 3, content: `do ${id}` },
    priority: 'normal',
    options: {},
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: 'u',
    ...(parent === undefined ? {} : { parent_id: parent }),
  });
const ready = (id: string): DatsEvent =>
  eventOf('dats.task.ready', {
    task_id: id,
    attempt: 1,
    tier: 'small',
    domain: 'code',
    prompt_version: 'p@1',
    context: { created: 0, inputs: [] },
    due: '2026-11-21T00:00:00.000Z',
  });
const output = (id: string): DatsEvent =>
  eventOf('dats.task.output.created', {
    task_id: id,
    attempt: 1,
    artifacts: [{ artifact_id: `${id}-out`, type: 'python', path: 'a.py', sha256, bytes: 1, content: 'x' }],
    model: 'm',
    provider: 'p',
    scripted: true,
    tokens_in: 1,
    tokens_out: 1,
    duration_ms: 1,
    prompt_version: 'p@1',
    prompt_sha256: sha256,
    sampling: {},
    consumed: [],
    omitted: [],
    fence: 'f',
  });
const completed = (id: string): DatsEvent =>
  eventOf('dats.task.completed', { task_id: id, attempt: 1, provenance_id: 'v', execution_time_ms: 5 });

const marked = (artifact_id: string, task_id: string, cascade_id: string): DatsEvent =>
  eventOf(
    'dats.artifact.tainted',
    {
      cascade_id,
      artifact_id,
      task_id,
      path: 'a.py',
      depth: 0,
      cause: 'root',
      reason: 'bad',
    },
    { subject: artifact_id },
  );
const suspected = (artifact_id: string, task_id: string, cascade_id: string): DatsEvent =>
  eventOf('dats.artifact.suspect', { cascade_id, artifact_id, task_id, path: 'a.py', depth: 1 }, { subject: artifact_id });

/** A parent and its subtask, a task submitted twice, and an event of a task that nobody created. */
const EVENTS: readonly DatsEvent[] = [
  created('parent'),
  created('child', 'parent'),
  created('twice'),
  ready('parent'),
  ready('child'),
  created('twice'),
  output('child'),
  suspected('child-out', 'child', 'c0'),
  ready('nobody'),
  marked('nobody-out', 'nobody', 'c1'),
  completed('child'),
  output('parent'),
  completed('parent'),
  completed('parent'),
  marked('parent-out', 'parent', 'c1'),
  marked('child-out', 'child', 'c2'),
];

const slow = (views: ViewStore): ViewStore => ({
  ...views,
  get: async <T>(collection: string, id: string) => views.get<T>(collection, id),
});

/** Folds all events, with a write after every `every`, each batch by a projection of its own when `restarts`. */
const materialised = async (every: number, restarts: boolean, wrap: (views: ViewStore) => ViewStore = (views) => views) => {
  const views = openMemoryViewStore();
  let projection = openProjection(wrap(views));
  const writes: Document[][] = [];
  for (const [offset, event] of EVENTS.entries()) {
    await projection.take(event, offset);
    if ((offset + 1) % every !== 0 && offset + 1 < EVENTS.length) continue;
    writes.push(projection.flush());
    await views.put(writes.at(-1)!);
    if (restarts) projection = openProjection(wrap(views));
  }
  const read = (collection: string, ids: readonly string[]) => ids.map((id) => views.get(collection, id));
  const all = { tasks: read('task', ['parent', 'child', 'twice', 'nobody']), artifacts: read('artifact', ['parent-out', 'child-out']) };
  return { ...all, project: read('project', [EVENTS[0]!.projectid]), writes };
};

describe('the projection', () => {
  it('gives the same documents however often it is written, started anew, or has to wait for the store', async () => {
    const { writes, ...expected } = await materialised(EVENTS.length, false);
    expect(writes[0]!.map(({ collection, id }) => `${collection}/${id}`).sort()).toEqual([
      'artifact/child-out',
      'artifact/parent-out',
      `project/${EVENTS[0]!.projectid}`,
      'task/child',
      'task/parent',
      'task/twice',
    ]);
    for (const every of [1, 2, 3, 5])
      for (const restarts of [false, true])
        for (const wrap of [undefined, slow]) {
          const { writes: _, ...got } = await materialised(every, restarts, wrap);
          expect(got).toEqual(expected);
        }
  });

  it('shows a task as far as its events say, and counts it once', async () => {
    const { tasks, project } = await materialised(EVENTS.length, false);
    const [parent, child, twice, nobody] = tasks as (TaskView | undefined)[];
    expect(parent).toMatchObject({ state: 'completed', first_offset: 0, flags: ['tainted'] });
    expect(child).toMatchObject({ state: 'completed', parent_id: 'parent', artifacts: [{ artifact_id: 'child-out' }], flags: ['tainted'] });
    expect(twice).toMatchObject({ state: 'pending', first_offset: 2 });
    expect(nobody).toBeUndefined();
    expect(project).toMatchObject([{ doc: { total: 3, counts: { completed: 2, pending: 1 } } }]);
  });

  it('flags a parent for what its subtasks made, from when it shows that, and after its end', async () => {
    const flags: string[][] = [];
    const views = openMemoryViewStore();
    const projection = openProjection(views);
    for (const [offset, event] of EVENTS.entries()) {
      await projection.take(event, offset);
      await views.put(projection.flush());
      flags.push((views.get<TaskView>('task', 'parent') as TaskView).flags);
    }
    const at = (type: string) => EVENTS.findIndex((event) => event.type === type && event.subject !== 'parent');
    expect(flags[at('dats.artifact.suspect')]).toEqual([]);
    expect(flags[at('dats.task.completed')]).toEqual(['suspect']);
    expect(flags.at(-2)).toEqual(['tainted']);
    expect(flags.at(-1)).toEqual(['tainted']);
  });

  it('says nothing new when it is fed again what it has', async () => {
    const views = openMemoryViewStore();
    const projection = openProjection(views);
    for (const [offset, event] of EVENTS.entries()) await projection.take(event, offset);
    await views.put(projection.flush());
    const again = openProjection(views);
    for (const [offset, event] of EVENTS.entries()) await again.take(event, offset);
    expect(again.flush()).toEqual([]);
  });
});
