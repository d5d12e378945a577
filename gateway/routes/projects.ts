// Projects: how a project is doing.

import { z } from 'zod';
import { projectViewSchema, statusOf, type TaskView } from '../../schemas/index.js';
import type { ViewStore } from '../../streams/index.js';
import { openTasks, projectFigures } from '../backlog.js';
import { READ_PROBLEMS, refuse, STATUS } from '../problem.js';
import { caughtUp } from '../reads.js';
import { BEHIND_HEADER, BEHIND_SAYS, json, route, sayBehind } from '../table.js';
import { EXAMPLES } from './examples.js';

/** Tasks looked at, oldest first, to find the oldest open one. */
const OLDEST_SCAN = 500;
/** Of them at a time. */
const READ_BATCH = 50;

/** Creation time of the oldest open task; null when none of the oldest OLDEST_SCAN tasks is open. */
const oldestOpen = async (views: ViewStore, projectId: string): Promise<string | null> => {
  const entries = await views.list('task', `project/${projectId}/`, { limit: OLDEST_SCAN });
  for (let start = 0; start < entries.length; start += READ_BATCH) {
    const found = await Promise.all(entries.slice(start, start + READ_BATCH).map(({ id }) => views.get<TaskView>('task', id)));
    for (const view of found) if (view !== undefined && ['pending', 'running'].includes(statusOf(view.state))) return view.created_at;
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
  success: [
    {
      status: STATUS.ok,
      description: 'The project.',
      schema: projectViewSchema,
      example: EXAMPLES.project,
      headers: { [BEHIND_HEADER]: BEHIND_SAYS },
    },
  ],
  problems: ['invalid_parameter', 'project_not_found', ...READ_PROBLEMS],
  handle: async (call, { deps }) => {
    const { project_id } = call.params;
    const behind = await caughtUp(deps, project_id);
    const figures = await projectFigures(deps, project_id, deps.now());
    if (figures === undefined) {
      if (behind > 0 || (await caughtUp(deps, project_id)) > 0)
        throw refuse(
          'views_behind',
          `whether project "${project_id}" has tasks cannot be told yet: the views are behind the log; try again in some seconds`,
        );
      throw refuse('project_not_found', `project "${project_id}" has no task`);
    }
    if (openTasks(figures) > 0) figures.oldest_open = await oldestOpen(deps.views, project_id);
    const answer = json(STATUS.ok, figures);
    sayBehind(answer, behind);
    return answer;
  },
});

export const projectRoutes = [status];
