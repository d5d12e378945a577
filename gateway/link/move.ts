// Moving a project: a request to its home, which lets it go when nothing of it runs any more.
import { isoOf } from '../../processors/index.js';
import { homeNow } from '../../processors/link/index.js';
import { dataschemaOf, type EventOf, type MoveProject, newId, type ProjectHome } from '../../schemas/index.js';
import { ANONYMOUS, type Requester, SOURCE } from '../commands.js';
import { traceparentOf } from '../middleware/correlation.js';
import { invalid, refuse } from '../problem.js';
import type { Services } from '../services.js';
import { toHome } from './to-home.js';

export const projectHome = async ({ deps }: Services, project_id: string): Promise<ProjectHome> => {
  if (deps.nodes === undefined) return { project_id, home: deps.config.node.id, moving_to: null };
  const { home, moving_to = null } = await homeNow(deps.views, deps.nodes, project_id);
  return { project_id, home, moving_to };
};

/** How it stood before. @throws Fault `no_nodes`, `validation_failed`, `project_moving`, of log and views */
export const moveProject = async (
  services: Services,
  project_id: string,
  { to, reason, by = ANONYMOUS }: MoveProject,
  { correlationId, traceparent }: Requester,
): Promise<ProjectHome> => {
  const { deps } = services;
  if (deps.nodes === undefined) throw refuse('no_nodes', 'this is the only node: there is nowhere to move a project to');
  if (!deps.config.nodes.some(({ id }) => id === to))
    throw invalid([
      { path: ['to'], message: `no node "${to}" in servers.yaml; there are ${deps.config.nodes.map(({ id }) => id).join(', ')}` },
    ]);
  const before = await projectHome(services, project_id);
  if (before.home === to && before.moving_to === null) return before;
  if (before.moving_to !== null && before.moving_to !== to)
    throw refuse(
      'project_moving',
      `project "${project_id}" is on its way from ${before.home} to ${before.moving_to}; wait until it is there`,
    );
  if (before.moving_to === to) return before;
  const id = newId();
  const event: EventOf<'dats.project.move.requested'> = {
    specversion: '1.0',
    id,
    source: SOURCE,
    type: 'dats.project.move.requested',
    time: isoOf(deps.now()),
    subject: project_id,
    datacontenttype: 'application/json',
    dataschema: dataschemaOf('dats.project.move.requested'),
    projectid: project_id,
    correlationid: correlationId,
    traceparent: traceparentOf(traceparent, id),
    actor: by,
    configversion: deps.settings.current().version,
    data: { project_id, to, by, ...(reason === undefined ? {} : { reason }) },
  };
  await deps.log.append([await toHome(deps, event)]);
  return { ...before, moving_to: to };
};
