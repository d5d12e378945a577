// Folds lifecycle events into the documents of the read models: tasks, artifacts and projects, held in memory between their writes.
//
// J1. Nothing waits unless the view store does: what is held, or read at once, is folded at once. J2. A document is given out once a flush,
// however often it changed. J3. Documents are folded in place: what `flush` gave must be written (or turned into text) before the next `take`.
import { type DatsEvent, isTerminal, type TaskView } from '../../schemas/index.js';
import type { Document, Recorded, ViewStore } from '../../streams/index.js';
import { emptyProject, foldProject, type MutableProjectDoc } from './project-view.js';
import { artifactViews, foldTask, type MutableTaskView, projectTask, taskDocument } from './task-view.js';

/** Tasks and projects held in memory, most recently flushed; ended tasks are not held. */
const CACHED = 20_000;

interface Project {
  readonly doc: MutableProjectDoc;
  version: number;
}

export interface Projection {
  /** Asks the store, where it is one that waits, for what these tasks and projects have: all at once, not one after another. */
  prepare(records: readonly Pick<Recorded, 'headers'>[]): void | Promise<void>;
  /** Takes an event in; a promise only when the store answers with one. Without it settled, nothing else may be taken. */
  take(event: DatsEvent, offset: number): void | Promise<void>;
  /** What changed since the last flush. */
  flush(): Document[];
}

type Waiting = Promise<void> | undefined;

export const openProjection = (views: ViewStore): Projection => {
  const tasks = new Map<string, MutableTaskView>();
  const projects = new Map<string, Project>();
  /** Tasks that the store does not have, as `prepare` found; until the next flush. */
  const absent = new Set<string>();
  let storeWaits = false;
  let artifacts: Document[] = [];
  const touchedTasks = new Set<MutableTaskView>();
  const newTasks = new Set<MutableTaskView>();
  const touchedProjects = new Set<Project>();

  const load = <T>(collection: string, id: string, use: (found: T | undefined) => void): Waiting => {
    const found = views.get<T>(collection, id);
    if (found instanceof Promise) {
      storeWaits = true;
      return found.then(use);
    }
    use(found);
    return undefined;
  };
  const loadTask = (id: string): Waiting =>
    tasks.has(id) || absent.has(id)
      ? undefined
      : load<MutableTaskView>('task', id, (found) => {
          if (found !== undefined) tasks.set(id, found);
          else if (storeWaits) absent.add(id);
        });
  const loadProject = (id: string): Waiting =>
    projects.has(id)
      ? undefined
      : load<Project>('project', id, (found) => {
          projects.set(id, found ?? { doc: emptyProject(id), version: 0 });
        });
  /** A parent shows the artifacts of its completed subtasks. */
  const loadParent = (event: DatsEvent, id: string): Waiting => {
    const parent = event.type === 'dats.task.completed' ? tasks.get(id)?.parent_id : undefined;
    return typeof parent === 'string' ? loadTask(parent) : undefined;
  };

  const handUp = (child: TaskView, offset: number): void => {
    const parent = tasks.get(child.parent_id!);
    if (!parent || isFinal(parent)) return;
    parent.artifacts = [...parent.artifacts, ...child.artifacts];
    parent.last_offset = offset;
    touchedTasks.add(parent);
  };

  const fold = (event: DatsEvent, id: string, offset: number): void => {
    const counted = projects.get(event.projectid)!;
    if (offset < counted.version) return;
    let task = tasks.get(id);
    // Two processes may have taken the same idempotent submission: the first one counts.
    if (event.type === 'dats.task.created' && task) return;
    const before = task?.state;
    if (task) foldTask(task, event, offset);
    else {
      task = projectTask(undefined, event, offset);
      if (!task) return;
      tasks.set(id, task);
      newTasks.add(task);
    }
    touchedTasks.add(task);
    foldProject(counted.doc, before, task);
    counted.version = offset + 1;
    touchedProjects.add(counted);
    if (event.type === 'dats.task.output.created') for (const view of artifactViews(event, offset)) artifacts.push(artifactDocument(view));
    if (event.type === 'dats.task.completed' && task.parent_id !== null) handUp(task, offset);
  };

  return {
    prepare(records) {
      if (!storeWaits) return;
      const named = (name: string) => new Set(records.flatMap(({ headers }) => headers[name] ?? []));
      return Promise.all([...[...named('subject')].map(loadTask), ...[...named('projectid')].map(loadProject)]).then(() => undefined);
    },
    take(event, offset) {
      const { data } = event;
      if (!('task_id' in data) || data.task_id === undefined) return;
      const id = data.task_id;
      const project = loadProject(event.projectid);
      const task = loadTask(id);
      const parent = project || task ? Promise.all([project, task]).then(() => loadParent(event, id)) : loadParent(event, id);
      return parent ? parent.then(() => fold(event, id, offset)) : fold(event, id, offset);
    },
    flush() {
      const documents = artifacts;
      artifacts = [];
      for (const task of touchedTasks) {
        documents.push(taskDocument(task, newTasks.has(task)));
        tasks.delete(task.task_id);
        if (!isFinal(task)) tasks.set(task.task_id, task);
      }
      for (const project of touchedProjects) {
        const { doc, version } = project;
        documents.push({ collection: 'project', id: doc.project_id, version, doc: project });
        projects.delete(doc.project_id);
        projects.set(doc.project_id, project);
      }
      touchedTasks.clear();
      newTasks.clear();
      absent.clear();
      touchedProjects.clear();
      for (const cache of [tasks, projects]) forgetOldest(cache);
      return documents;
    },
  };
};

const artifactDocument = (artifact: ReturnType<typeof artifactViews>[number]): Document => ({
  collection: 'artifact',
  id: artifact.artifact_id,
  version: artifact.at + 1,
  doc: artifact,
  indexes: [`task/${artifact.task_id}/${artifact.artifact_id}`],
});

const isFinal = (view: TaskView): boolean => isTerminal(`dats.task.${view.state}`);

const forgetOldest = (cache: Map<string, unknown>): void => {
  for (const id of cache.keys())
    if (cache.size > CACHED) cache.delete(id);
    else break;
};
