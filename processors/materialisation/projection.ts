// Folds lifecycle events into the documents of the read models: tasks, artifacts and projects, held in memory between their writes.
//
// J1. Nothing waits unless the view store does: what is held, or read at once, is folded at once. J2. A document is given out once a flush,
// however often it changed. J3. Documents are folded in place: what `flush` gave must be written (or turned into text) before the next `take`.
import { type DatsEvent, isTerminal, type TaskView } from '../../schemas/index.js';
import type { Document, Recorded, ViewStore } from '../../streams/index.js';
import { isMark, MARK_TYPES } from './marks.js';
import { emptyProject, foldProject, type MutableProjectDoc } from './project-view.js';
import { type ArtifactDoc, artifactDocs, foldTask, handUp, type MutableTaskDoc, projectTask, taskDocument } from './task-view.js';

/** Tasks and projects held in memory, most recently flushed; ended tasks are not held. */
const CACHED = 20_000;

interface Project {
  readonly doc: MutableProjectDoc;
  version: number;
}

export interface Projection {
  /** Asks the store, where it is one that waits, for what these tasks and projects have: all at once, not one after another. */
  prepare(records: readonly Pick<Recorded, 'type' | 'headers' | 'value'>[]): void | Promise<void>;
  /** Takes an event in; a promise only when the store answers with one. Without it settled, nothing else may be taken. */
  take(event: DatsEvent, offset: number): void | Promise<void>;
  /** What changed since the last flush. */
  flush(): Document[];
}

type Waiting = Promise<void> | undefined;

export const openProjection = (views: ViewStore): Projection => {
  const tasks = new Map<string, MutableTaskDoc>();
  const projects = new Map<string, Project>();
  /** Tasks that the store does not have, as `prepare` found; until the next flush. */
  const absent = new Set<string>();
  let storeWaits = false;
  let artifacts: Document[] = [];
  const touchedTasks = new Set<MutableTaskDoc>();
  const newTasks = new Set<MutableTaskDoc>();
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
      : load<MutableTaskDoc>('task', id, (found) => {
          if (found !== undefined) tasks.set(id, found);
          else if (storeWaits) absent.add(id);
        });
  const loadProject = (id: string): Waiting =>
    projects.has(id)
      ? undefined
      : load<Project>('project', id, (found) => {
          projects.set(id, found ?? { doc: emptyProject(id), version: 0 });
        });
  /** A parent shows the artifacts of its completed subtasks, as they stand. */
  const loadParent = (event: DatsEvent, id: string): Waiting => {
    const parent = event.type === 'dats.task.completed' || isMark(event) ? tasks.get(id)?.parent_id : undefined;
    return typeof parent === 'string' ? loadTask(parent) : undefined;
  };

  const tellParent = (event: DatsEvent, child: MutableTaskDoc, offset: number): void => {
    if (child.parent_id === null || (event.type !== 'dats.task.completed' && !isMark(event))) return;
    const parent = tasks.get(child.parent_id);
    if (parent === undefined) return;
    if (!isMark(event)) {
      if (isFinal(parent)) return;
      handUp(parent, child, offset);
    } else if (parent.artifacts.some(({ artifact_id }) => artifact_id === event.data.artifact_id)) foldTask(parent, event, offset);
    else return;
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
    if (event.type === 'dats.task.output.created')
      for (const artifact of artifactDocs(event, offset)) artifacts.push(artifactDocument(artifact));
    tellParent(event, task, offset);
  };

  return {
    prepare(records) {
      if (!storeWaits) return;
      const ids = new Set(records.flatMap((record) => taskIn(record) ?? []));
      const named = new Set(records.flatMap(({ headers }) => headers['projectid'] ?? []));
      return Promise.all([...[...ids].map(loadTask), ...[...named].map(loadProject)]).then(() => undefined);
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

const MARKS: ReadonlySet<string> = new Set(MARK_TYPES);

/** The task that a record is about; what cannot be read is about none. The subject of a mark is the artifact. */
const taskIn = ({ type, headers, value }: Pick<Recorded, 'type' | 'headers' | 'value'>): string | undefined => {
  if (!MARKS.has(type)) return headers['subject'];
  try {
    const { task_id } = JSON.parse(String(value)) as { readonly task_id?: unknown };
    return typeof task_id === 'string' ? task_id : undefined;
  } catch {
    return undefined;
  }
};

const artifactDocument = (artifact: ArtifactDoc): Document => ({
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
