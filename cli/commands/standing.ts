// Which artifact a path means: the version that stands. Found without history too: a project's state comes from the log.
import { isFault } from '../../schemas/index.js';
import type { DatsClient } from '../client/index.js';
import { badUsage } from '../exit.js';
import { isPath } from './options.js';

const DEFAULT_PROJECT = 'default';
/** Executions looked at, newest first, for projects that have made such a path. */
const LOOKED_AT = 1_000;

/** Projects in which history knows the path; none where there is no history to ask. */
const projectsByHistory = async (client: DatsClient, path: string, signal: AbortSignal): Promise<readonly string[]> => {
  try {
    const { items } = await client.executions({ q: path, limit: LOOKED_AT }, { signal });
    return items.filter(({ artifacts }) => artifacts.some((artifact) => artifact.path === path)).map(({ project_id }) => project_id);
  } catch (error) {
    if (isFault(error) && error.code.startsWith('analytics_')) return [];
    throw error;
  }
};

/** The artifact that stands under a path in a project, undefined where none does. */
const standsIn = async (client: DatsClient, project: string, path: string, signal: AbortSignal): Promise<string | undefined> => {
  try {
    const { files } = await client.projectState(project, undefined, { signal });
    return files.find((file) => file.path === path)?.version.artifact_id;
  } catch (error) {
    if (isFault(error) && error.code === 'project_not_found') return undefined;
    throw error;
  }
};

/**
 * An id stays what it is; a path is the version that stands under it, in `project`, or in the one project that has it.
 * @throws Fault `bad_usage` where none or several have it
 */
export const artifactOf = async (client: DatsClient, text: string, project: string | undefined, signal: AbortSignal): Promise<string> => {
  if (!isPath(text)) return text;
  const projects = project === undefined ? [...new Set([DEFAULT_PROJECT, ...(await projectsByHistory(client, text, signal))])] : [project];
  const found: { readonly project: string; readonly id: string }[] = [];
  for (const one of projects) {
    const id = await standsIn(client, one, text, signal);
    if (id !== undefined) found.push({ project: one, id });
  }
  const [first, second] = found;
  if (first === undefined)
    throw badUsage(
      `no version of ${text} stands in project ${projects.join(', ')}; dats project show ${projects[0]} lists what does${project === undefined ? ', and --project names another project' : ''}`,
    );
  if (second !== undefined)
    throw badUsage(`${text} stands in the projects ${found.map((one) => one.project).join(', ')}: say which is meant with --project`);
  return first.id;
};
