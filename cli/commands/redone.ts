// In a folder that only this process works in, what a rollback submits anew is made before the folder is closed.
import type { RollbackView, TaskView } from '../../schemas/index.js';
import { type DatsClient, sleep } from '../client/index.js';
import { plural } from '../render/index.js';
import type { Session } from '../session.js';

/** Between two looks, and as long as the tasks may take to be there; milliseconds. */
const LOOK_MS = 500;
const APPEAR_MS = 30_000;

const since = async (client: DatsClient, { project_id, requested_at }: RollbackView, signal: AbortSignal): Promise<readonly TaskView[]> => {
  const tasks: TaskView[] = [];
  for await (const task of client.listAll({ project_id, since: requested_at }, { signal })) tasks.push(task);
  return tasks;
};

/** Waits until every task of the project that was submitted since the rollback is over. Ctrl-C leaves them to the next start. */
export const awaitRedone = async (session: Session, client: DatsClient, view: RollbackView): Promise<void> => {
  const { signal } = session.io;
  const pause = session.deps.sleep ?? sleep;
  session.note(`${plural(view.tasks_requeued, 'task')} submitted anew: made here now (Ctrl-C leaves them to the next start)`);
  let told = '';
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const tasks = await since(client, view, signal);
    const open = tasks.filter(({ completed_at }) => completed_at === null);
    const line = `${tasks.length - open.length} of ${Math.max(tasks.length, view.tasks_requeued)} over`;
    if (line !== told) session.note(line);
    told = line;
    const allThere = tasks.length >= view.tasks_requeued || waitedMs >= APPEAR_MS;
    if (open.length === 0 && allThere) {
      for (const { task_id, state } of tasks) session.note(`${task_id} ${state}`);
      return;
    }
    await pause(LOOK_MS, signal);
  }
};
