// A project as it is, or as it was: files, tasks, configuration.
import { z } from 'zod';
import { LIFECYCLE, type ProjectState, partitionOf, projectStateQuerySchema, projectStateSchema } from '../../schemas/index.js';
import { cutAt, inHistory, KNOWLEDGE_PROBLEMS, PLACE_SAYS, placeOf, projectOf, stateAt } from '../cascade/index.js';
import { refuse, STATUS } from '../problem.js';
import type { Services } from '../services.js';
import { json, route } from '../table.js';
import { CASCADE_EXAMPLES } from './cascade-examples.js';

const stateOf = async (services: Services, projectId: string, at: string | undefined, signal: AbortSignal): Promise<ProjectState> => {
  const { log } = services.deps;
  const place = at === undefined ? undefined : placeOf(at);
  if (at !== undefined && place === undefined) throw refuse('invalid_parameter', `at: "${at}" ${PLACE_SAYS}`);
  const { firstOffset: first } = await projectOf(services, projectId);
  const partition = partitionOf(projectId, log.partitions(LIFECYCLE));
  const { end } = await log.range(LIFECYCLE, partition);
  const stretch = { partition, projectId, first, end };
  const until = place === undefined ? end : (await cutAt(log, stretch, place, signal)).through;
  const { project_id, ...state } = await stateAt(log, { partition, projectId, first, until }, signal);
  return { project_id, at: at ?? null, ...state };
};

const state = route({
  method: 'GET',
  path: '/api/v1/projects/{project_id}/state',
  operationId: 'getProjectState',
  patient: true,
  tag: 'projects',
  summary: 'A project as it is, or as it was',
  description:
    "Folded anew from the project's events up to and including the place; so it takes as long as there are events. Files are the versions that stood then, with their marks of then; tasks " +
    'are in the states that they had. Before the first event of the project it is empty.',
  params: z.strictObject({ project_id: z.string().min(1).max(128) }),
  query: projectStateQuerySchema,
  success: [{ status: STATUS.ok, description: 'The project.', schema: projectStateSchema, example: CASCADE_EXAMPLES.state }],
  problems: ['invalid_parameter', 'project_not_found', 'event_not_found', ...KNOWLEDGE_PROBLEMS],
  handle: async (call, services) => {
    const { params, query } = call;
    return json(STATUS.ok, await inHistory(services, (signal) => stateOf(services, params.project_id, query.at, signal)));
  },
});

export const projectStateRoutes = [state];
