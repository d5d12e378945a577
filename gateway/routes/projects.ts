// Projects: how a project is doing.

import { z } from 'zod';
import { projectViewSchema, statusOf, type TaskView } from '../../schemas/index.js';
import type { ViewStore } from '../../streams/index.js';
import { openTasks, projectFigures } from '../backlog.js';
import { refuse, STATUS } from '../problem.js';
import { caughtUp } from '../reads.js';
import { json, route } from '../table.js';
import { EXAMPLES } from './examples.js';

/** Tasks looked at, oldest first, to find the oldest open one. */
const OLDEST_SCAN = 500;

/** Creation time of the oldest open task; null when none of the oldest OLDEST_SCAN tasks is open. */
const oldestOpen = async (views: ViewStore, projectId: string): Promise<string | null> => {
  for (const { id } of await views.list('task', `project/${projectId}/`, { limit: OLDEST_SCAN })) {
    const view = await views.get<TaskView>('task', id);
    if (view !== undefined && ['pending', 'running'].includes(statusOf(view.state))) return view.created_at;
  }
  return null;
};

const status = route({
  method: 'GET',
  path: '/api/v1/projects/{project_id}/status',
  operationId: 'getProjectStatus',
  tag: 'projects',
  summary: 'How a project is doing',
  description: 'Counts by state, rate over the last ten minutes, durations. `oldest_open` is looked for among the 500 oldest tasks.',
  params: z.strictObject({ project_id: z.string().min(1).max(128) }),
  success: [{ status: STATUS.ok, description: 'The project.', schema: projectViewSchema, example: EXAMPLES.project }],
  problems: ['invalid_parameter', 'project_not_found'],
  handle: async (call, { deps }) => {
    const { project_id } = call.params;
    await caughtUp(deps);
    const figures = await projectFigures(deps.views, deps.config, project_id, deps.now());
    if (figures === undefined) throw refuse('project_not_found', `project "${project_id}" has no task`);
    if (openTasks(figures) > 0) figures.oldest_open = await oldestOpen(deps.views, project_id);
    return json(STATUS.ok, figures);
  },
});

export const projectRoutes = [status];
