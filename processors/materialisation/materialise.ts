// Keeps the read models: folds the lifecycle topic into tasks, artifacts and projects in the view store.
//
// M1. Documents and the checkpoint they cover are one write, so a crash repeats at most what was not written. M2. Everything here can be dropped:
// without a checkpoint it begins at the first event. M3. A write that fails for want of room is tried again; nothing more is read meanwhile.
import { type DatsEvent, type Fault, isFault, isTerminal, type TaskView, toFault } from '../../schemas/index.js';
import { type Assignment, type Document, eventOf, type Log, type Recorded, type ViewStore } from '../../streams/index.js';
import { backoffMs } from '../../streams/runtime/index.js';
import { pause } from '../pause.js';
import { emptyProject, type ProjectDoc, projectAfter } from './project-view.js';
import { artifactViews, foldTask, type MutableTaskView, projectTask, taskDocument } from './task-view.js';

export const VIEW = 'lifecycle';
/** Tasks and projects held in memory, most recently used. */
const CACHED = 20_000;
/** A batch of so many records is load: then writes are at least FLUSH_MS apart. */
const BUSY_RECORDS = 16;
const FLUSH_MS = 100;

/** Waits between the tries of a failing write, in milliseconds. */
const WRITE_BACKOFF = { baseMs: 50, maxMs: 2_000 };

export interface MaterialiseOptions {
  readonly log: Log;
  readonly views: ViewStore;
  readonly onProblem?: (fault: Fault, record?: Recorded) => void;
}

const TYPES: ReadonlySet<string> = new Set([
  'dats.task.created',
  'dats.task.analyzed',
  'dats.task.decomposed',
  'dats.task.queued',
  'dats.task.ready',
  'dats.task.started',
  'dats.task.output.created',
  'dats.task.attempt.failed',
  'dats.task.validated',
  'dats.task.rejected',
  'dats.task.retry.scheduled',
  'dats.task.timedout',
  'dats.task.cancel.requested',
  'dats.task.cancelled',
  'dats.task.completed',
  'dats.task.failed',
]);

interface Project {
  doc: ProjectDoc;
  version: number;
}

/** Folds records into documents; `flush` gives what changed. */
export const openProjection = (views: ViewStore) => {
  const tasks = new Map<string, MutableTaskView>();
  const projects = new Map<string, Project>();
  const changed = new Map<string, Document>();
  const touchedTasks = new Set<string>();
  const newTasks = new Set<string>();
  const touchedProjects = new Set<string>();

  const task = async (id: string): Promise<MutableTaskView | undefined> => tasks.get(id) ?? (await views.get<MutableTaskView>('task', id));
  const project = async (id: string): Promise<Project> => {
    const held = projects.get(id);
    if (held) return held;
    const stored = await views.get<{ doc: ProjectDoc; version: number }>('project', id);
    const fresh = stored ? { ...stored } : { doc: emptyProject(id), version: 0 };
    projects.set(id, fresh);
    return fresh;
  };

  const put = (view: MutableTaskView): void => {
    tasks.delete(view.task_id);
    tasks.set(view.task_id, view);
    touchedTasks.add(view.task_id);
  };

  const take = async (event: DatsEvent, offset: number): Promise<void> => {
    if (!('task_id' in event.data) || event.data.task_id === undefined) return;
    const counted = await project(event.projectid);
    if (offset < counted.version) return;
    const stored = await task(event.data.task_id);
    const fresh = event.type === 'dats.task.created';
    // Two processes may have taken the same idempotent submission: the first one counts.
    if (fresh && stored) return;
    const before = fresh ? undefined : stored?.state;
    if (stored && !fresh) foldTask(stored, event, offset);
    const after = fresh ? projectTask(undefined, event, offset) : stored;
    if (!after) return;
    put(after);
    if (fresh) newTasks.add(after.task_id);
    counted.doc = projectAfter(counted.doc, before, after);
    counted.version = offset + 1;
    touchedProjects.add(event.projectid);
    if (event.type === 'dats.task.output.created')
      for (const artifact of artifactViews(event, offset))
        changed.set(`artifact/${artifact.artifact_id}`, {
          collection: 'artifact',
          id: artifact.artifact_id,
          version: offset + 1,
          doc: artifact,
          indexes: [`task/${artifact.task_id}/${artifact.artifact_id}`],
        });
    if (event.type === 'dats.task.completed' && after.parent_id !== null) await handUp(after, offset);
  };

  /** A parent shows the artifacts of its completed subtasks. */
  const handUp = async (child: TaskView, offset: number): Promise<void> => {
    const parent = await task(child.parent_id!);
    if (parent && !isFinal(parent)) put({ ...parent, artifacts: [...parent.artifacts, ...child.artifacts], last_offset: offset });
  };

  const flush = (): Document[] => {
    const documents = [...changed.values()];
    for (const id of touchedTasks) documents.push(taskDocument(tasks.get(id)!, newTasks.has(id)));
    for (const id of touchedProjects) {
      const { doc, version } = projects.get(id)!;
      documents.push({ collection: 'project', id, version, doc: { doc, version } });
    }
    changed.clear();
    touchedTasks.clear();
    newTasks.clear();
    touchedProjects.clear();
    for (const cache of [tasks, projects])
      for (const id of cache.keys())
        if (cache.size > CACHED) cache.delete(id);
        else break;
    return documents;
  };

  return { take, flush };
};

const isFinal = (view: TaskView): boolean => isTerminal(`dats.task.${view.state}`);

/**
 * Runs until the partition is revoked. Begins where the views are, which is not where the group is once they were dropped;
 * the group's offset is only kept so that the lag can be seen.
 */
export const materialise = async (assignment: Assignment, options: MaterialiseOptions): Promise<void> => {
  const { views, log } = options;
  const projection = openProjection(views);
  const { topic, partition } = assignment;
  const from = { topic, partition, offset: await views.checkpoint(VIEW, partition) };
  let { committed } = assignment;
  for await (const records of log.read(from, assignment.revoked)) {
    for (const record of records) {
      if (!TYPES.has(record.type)) continue;
      try {
        await projection.take(eventOf(record), record.offset);
      } catch (error) {
        // The deciders make a dead letter of it; a view has nothing to show for it.
        options.onProblem?.(toFault(error), record);
      }
    }
    const next = records.at(-1)!.offset + 1;
    const began = performance.now();
    const documents = projection.flush();
    const commits = next > committed;
    committed = Math.max(committed, next);
    await persist(assignment.revoked, options, async () => {
      const written = views.put(documents, { view: VIEW, partition, next });
      await (commits ? Promise.all([written, assignment.commit({ next, outputs: [], states: new Map() })]) : written);
    });
    // Under load the events of some milliseconds share a write; a single event shows at once.
    if (records.length >= BUSY_RECORDS) await pause(FLUSH_MS - (performance.now() - began), assignment.revoked);
  }
};

/** Until it is written, or the partition is revoked: a full disk must not end the views (M3). Writing the same twice changes nothing. */
const persist = async (revoked: AbortSignal, options: MaterialiseOptions, write: () => Promise<void>): Promise<void> => {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return;
    } catch (error) {
      if (!isFault(error, 'retryable') || revoked.aborted) throw error;
      options.onProblem?.(error);
      await pause(backoffMs(attempt, WRITE_BACKOFF, Math.random), revoked);
    }
  }
};
