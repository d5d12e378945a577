// Which artifacts are meant by an id: of an artifact, or of the task that made them.
import type { ArtifactView } from '../../schemas/index.js';
import { refuse } from '../problem.js';
import { findArtifact, findTask, type Sources } from '../reads.js';

const artifactNow = async (sources: Sources, id: string): Promise<ArtifactView> => {
  const artifact = await findArtifact(sources, id);
  if (artifact === undefined)
    throw refuse('artifact_not_found', `there is no artifact or task "${id}"; executions are known by their own ids to history only`);
  return artifact;
};

/** @throws Fault `artifact_not_found`, `views_behind` */
export const artifactsOf = async (sources: Sources, id: string): Promise<readonly ArtifactView[]> => {
  // Most ids are of artifacts, and there a look at the views is enough; that there is no such task would have to be looked for in every partition.
  const isArtifact = (await sources.views.get('artifact', id)) !== undefined;
  const task = isArtifact ? undefined : await findTask(sources, id);
  if (task === undefined) return [await artifactNow(sources, id)];
  if (task.artifacts.length === 0)
    throw refuse(
      'artifact_not_found',
      `task "${id}" is ${task.state} and has no artifacts${task.children.length > 0 ? `; its subtasks may have: ${task.children.slice(0, 20).join(', ')}` : ''}`,
    );
  return Promise.all(task.artifacts.map(({ artifact_id }) => artifactNow(sources, artifact_id)));
};
