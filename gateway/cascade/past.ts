// A project as it was: its events up to a place in the log, folded anew.
//
// P1. What is shown is the fold of exactly the project's events below `until`, by the folds that make it otherwise: cascades' and the views'. So the past cannot differ
// from what was shown then.
import { isCascadeEvent, NONE, openProject, type Project, take } from '../../processors/cascade/index.js';
import { openProjection, shownTask, type TaskDoc } from '../../processors/index.js';
import { type DatsEvent, formatPosition, type ProjectState, type TaskView } from '../../schemas/index.js';
import { type Log, readableEventOf, type ViewStore } from '../../streams/index.js';
import { versionShown } from './shown.js';
import { turnsOf } from './turns.js';

export interface Until {
  readonly partition: number;
  readonly projectId: string;
  /** Of the project's first event. */
  readonly first: number;
  /** Exclusive. */
  readonly until: number;
}

async function* eventsOf(
  log: Pick<Log, 'read'>,
  { partition, projectId, first, until }: Until,
  signal: AbortSignal,
): AsyncGenerator<{ readonly event: DatsEvent; readonly offset: number }, void> {
  for await (const records of turnsOf(log, { partition, from: first, until }, signal))
    for (const record of records) {
      const event = record.key === projectId ? readableEventOf(record) : undefined;
      if (event !== undefined) yield { event, offset: record.offset };
    }
}

/** The project as cascades and rollbacks saw it. */
export const projectAt = async (log: Pick<Log, 'read'>, until: Until, signal: AbortSignal): Promise<Project> => {
  const project = openProject(until.projectId, until.first);
  for await (const { event, offset } of eventsOf(log, until, signal)) if (isCascadeEvent(event)) take(project, event, offset);
  return project;
};

/** A store of which nothing is read: what is folded stays with the fold. */
const NOTHING: Pick<ViewStore, 'get'> = { get: () => undefined };

export const stateAt = async (log: Pick<Log, 'read'>, until: Until, signal: AbortSignal): Promise<Omit<ProjectState, 'at'>> => {
  const { projectId, partition } = until;
  const project = openProject(projectId, until.first);
  const views = openProjection(NOTHING as ViewStore);
  let events = 0;
  let last: { readonly event: DatsEvent; readonly offset: number } | undefined;
  for await (const found of eventsOf(log, until, signal)) {
    last = found;
    events++;
    if (isCascadeEvent(found.event)) take(project, found.event, found.offset);
    await views.take(found.event, found.offset);
  }
  const tasks = views
    .flush()
    .filter(({ collection }) => collection === 'task')
    .map(({ doc }) => shownTask(doc as TaskDoc));
  return {
    project_id: projectId,
    position: last === undefined ? null : formatPosition({ partition, offset: last.offset }),
    time: last?.event.time ?? null,
    config_version: last?.event.configversion ?? null,
    events,
    files: filesOf(project),
    tasks: tasks.sort((a, b) => a.first_offset - b.first_offset).map(taskShown),
    counts: countsOf(tasks),
  };
};

const filesOf = (project: Project): ProjectState['files'] =>
  [...project.versions.paths()].sort().flatMap((path) => {
    const index = project.versions.head(path);
    const version = index === NONE ? null : versionShown(project, index);
    return version === null ? [] : [{ path, version, versions: project.versions.of(path).length }];
  });

const taskShown = ({ task_id, title, state, attempt, flags, created_at }: TaskView): ProjectState['tasks'][number] => ({
  task_id,
  title,
  state,
  attempt,
  flags: [...flags],
  created_at,
});

const countsOf = (tasks: readonly TaskView[]): ProjectState['counts'] => {
  const counts: ProjectState['counts'] = {};
  for (const { state } of tasks) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
};
