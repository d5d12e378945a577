// How much a project has before it: for the limit on open tasks, the position in the answer and the estimate.
//
// B1. Read from the project view at most every REFRESH_MS, once for all who ask meanwhile, and counted on in between: a submission costs no read of its own.
// B2. A submission needs the log only: while the views do not answer, what was known last counts on, and a project of which nothing is known has no limit.
import { type ProjectDoc, projectStatus } from '../processors/index.js';
import { maxRunning } from '../processors/scheduling/index.js';
import { isFault, type ProjectStatus, statusOf, type TaskState } from '../schemas/index.js';
import type { GatewayDeps } from './deps.js';
import { openOutage } from './outage.js';

/** How old a project's figures may be, milliseconds. */
const REFRESH_MS = 200;
/** How long views that did not answer are not asked again, milliseconds: each question may take as long as their time limit. */
const AWAY_MS = 1_000;
/** Projects remembered at a time; the longest untouched goes first. */
const PROJECTS_LIMIT = 10_000;

export interface ProjectLoad {
  /** Tasks that are not final. */
  open: number;
  /** Median duration of the project's tasks, where it is known. */
  typicalMs: number | null;
  /** Was it ever read? Otherwise `open` says nothing. */
  readonly known: boolean;
  /** On the clock of `now`. */
  readonly staleAt: number;
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
  { views, config, settings }: Pick<GatewayDeps, 'config' | 'settings' | 'views'>,
  projectId: string,
  nowMs: number,
): Promise<ProjectStatus | undefined> => {
  const stored = await views.get<{ readonly doc: ProjectDoc }>('project', projectId);
  if (stored === undefined) return undefined;
  const most = maxRunning(settings.current().scheduling, projectId);
  return projectStatus(stored.doc, { nowMs, maxRunning: most, home: config.node.id, oldestOpen: null });
};

export const openTasks = (status: ProjectStatus): number => openOf(status.counts);

export interface Backlog {
  /** The project's load; whoever adds a task adds to `open`. */
  of(projectId: string): Promise<ProjectLoad> | ProjectLoad;
}

export const createBacklog = (deps: Pick<GatewayDeps, 'config' | 'logger' | 'now' | 'settings' | 'views'>): Backlog => {
  const { now, logger } = deps;
  const projects = new Map<string, ProjectLoad>();
  const reading = new Map<string, Promise<ProjectLoad>>();
  const outage = openOutage(logger, 'view store', 'submissions go on, with the open tasks of a project as they were known last');

  const keep = (projectId: string, load: ProjectLoad): ProjectLoad => {
    projects.delete(projectId);
    projects.set(projectId, load);
    if (projects.size > PROJECTS_LIMIT) {
      const oldest = projects.keys().next();
      if (!oldest.done) projects.delete(oldest.value);
    }
    return load;
  };
  const read = async (projectId: string): Promise<ProjectLoad> => {
    try {
      const figures = await projectFigures(deps, projectId, now());
      outage.worked();
      const open = figures === undefined ? 0 : openTasks(figures);
      return keep(projectId, { open, typicalMs: figures?.duration_p50_ms ?? null, known: true, staleAt: now() + REFRESH_MS });
    } catch (error) {
      if (!isFault(error, 'retryable')) throw error;
      outage.failed(error);
      const { open, typicalMs, known } = projects.get(projectId) ?? { open: 0, typicalMs: null, known: false };
      return keep(projectId, { open, typicalMs, known, staleAt: now() + AWAY_MS });
    }
  };
  return {
    of: (projectId) => {
      const load = projects.get(projectId);
      if (load !== undefined && now() < load.staleAt) return load;
      const asked = reading.get(projectId) ?? read(projectId).finally(() => reading.delete(projectId));
      reading.set(projectId, asked);
      return asked;
    },
  };
};
