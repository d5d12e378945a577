// Which project something belongs to, with all that is known of it.
//
// H1. Views say where artifacts and tasks are; that they are there is said by the project itself.
import type { Cascade, Project, Rollback } from '../../processors/cascade/index.js';
import { refuse } from '../problem.js';
import { findArtifact, taskNow } from '../reads.js';
import type { Services } from '../services.js';

type Known = Pick<Services, 'deps' | 'knowledge'>;

const noArtifact = (id: string) => refuse('artifact_not_found', `there is no artifact "${id}"`);
const noTask = (id: string, projectId: string) => refuse('task_not_found', `there is no task "${id}" in project "${projectId}"`);

/** @throws Fault `project_not_found` */
export const projectOf = async ({ knowledge }: Pick<Services, 'knowledge'>, id: string): Promise<Project> => {
  const project = await knowledge.project(id);
  if (project === undefined) throw refuse('project_not_found', `project "${id}" has no task`);
  return project;
};

export interface Subject {
  readonly artifact_id?: string | undefined;
  readonly task_id?: string | undefined;
}

/** @throws Fault `artifact_not_found`, `task_not_found` */
export const checkSubject = ({ id, graph, tasks }: Project, { artifact_id, task_id }: Subject): void => {
  if (artifact_id !== undefined && graph.factAt(graph.indexOf(artifact_id)) === undefined) throw noArtifact(artifact_id);
  if (task_id !== undefined && !tasks.has(task_id)) throw noTask(task_id, id);
};

/** The project of an artifact or a task; undefined where neither is named. @throws Fault as `checkSubject`, and of the views */
export const homeOf = async (services: Known, subject: Subject): Promise<Project | undefined> => {
  const { artifact_id, task_id } = subject;
  if (artifact_id === undefined && task_id === undefined) return undefined;
  const view = artifact_id === undefined ? await taskNow(services.deps, task_id!) : await findArtifact(services.deps, artifact_id);
  const project = view === undefined ? undefined : await services.knowledge.project(view.project_id);
  if (project === undefined)
    throw artifact_id === undefined ? refuse('task_not_found', `there is no task "${task_id}"`) : noArtifact(artifact_id);
  checkSubject(project, subject);
  return project;
};

/** @throws Fault `cascade_not_found` */
export const cascadeOf = async (
  { knowledge }: Pick<Services, 'knowledge'>,
  id: string,
): Promise<{ readonly project: Project; readonly cascade: Cascade }> => {
  const project = await knowledge.projectOf('cascades', id);
  const cascade = project?.cascades.get(id);
  if (project === undefined || cascade === undefined) throw refuse('cascade_not_found', `there is no cascade "${id}"`);
  return { project, cascade };
};

/** @throws Fault `rollback_not_found` */
export const rollbackOf = async (
  { knowledge }: Pick<Services, 'knowledge'>,
  id: string,
): Promise<{ readonly project: Project; readonly rollback: Rollback }> => {
  const project = await knowledge.projectOf('rollbacks', id);
  const rollback = project?.rollbacks.get(id);
  if (project === undefined || rollback === undefined) throw refuse('rollback_not_found', `there is no rollback "${id}"`);
  return { project, rollback };
};
