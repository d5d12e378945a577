// How much a project has before it: for the limit on open tasks, the position in the answer and the estimate.
//
// Read from the project view at most every REFRESH_MS, counted on in between: a submission costs no read of its own.
import { type ProjectDoc, projectStatus } from '../processors/index.js';
import { type ProjectStatus, type Servers, statusOf, type TaskState } from '../schemas/index.js';
import type { ViewStore } from '../streams/index.js';

/** How old a project's figures may be, milliseconds. */
const REFRESH_MS = 200;
/** Projects remembered at a time; the longest untouched goes first. */
const PROJECTS_LIMIT = 10_000;

export interface ProjectLoad {
  /** Tasks that are not final. */
  open: number;
  /** Median duration of the project's tasks, where it is known. */
  typicalMs: number | null;
  readAt: number;
}

const openOf = (counts: ProjectStatus['counts']): number => {
  let open = 0;
  for (const [state, count] of Object.entries(counts)) {
    const status = statusOf(state as TaskState);
    if (status === 'pending' || status === 'running') open += count ?? 0;
  }
  return open;
};

/** The project as the API shows it, without its oldest open task; undefined before its first task. */
export const projectFigures = async (
  views: ViewStore,
  config: Servers,
  projectId: string,
  nowMs: number,
): Promise<ProjectStatus | undefined> => {
  const stored = await views.get<{ readonly doc: ProjectDoc }>('project', projectId);
  if (stored === undefined) return undefined;
  const maxRunning = config.scheduling.projects[projectId]?.max_running ?? config.scheduling.max_running_per_project;
  return projectStatus(stored.doc, { nowMs, maxRunning, home: config.node.id, oldestOpen: null });
};

export const openTasks = (status: ProjectStatus): number => openOf(status.counts);

export interface Backlog {
  /** The project's load; whoever adds a task adds to `open`. */
  of(projectId: string): Promise<ProjectLoad> | ProjectLoad;
}

export const createBacklog = (views: ViewStore, config: Servers, now: () => number): Backlog => {
  const projects = new Map<string, ProjectLoad>();
  const refresh = async (projectId: string): Promise<ProjectLoad> => {
    const figures = await projectFigures(views, config, projectId, now());
    const load: ProjectLoad = {
      open: figures === undefined ? 0 : openTasks(figures),
      typicalMs: figures?.duration_p50_ms ?? null,
      readAt: now(),
    };
    projects.delete(projectId);
    projects.set(projectId, load);
    if (projects.size > PROJECTS_LIMIT) {
      const oldest = projects.keys().next();
      if (!oldest.done) projects.delete(oldest.value);
    }
    return load;
  };
  return {
    of: (projectId) => {
      const load = projects.get(projectId);
      return load !== undefined && now() - load.readAt < REFRESH_MS ? load : refresh(projectId);
    },
  };
};
