// Which execution is meant by an id: of an execution, an artifact, or a task.
//
// R1. An execution is recorded when it ends. What the views know and history does not is told apart from what nobody knows: history is behind the log by the
// time that events wait to share an insert, or the execution has not ended. R2. Of a task the accepted execution is meant, else its newest.
import { isFault } from '../../schemas/index.js';
import type { Analytics } from '../../streams/index.js';
import { refuse } from '../problem.js';
import { findArtifact, findTask, isFinal, type Sources } from '../reads.js';

export type Found = {
  readonly kind: 'provenance' | 'task' | 'artifact';
  readonly project_id: string;
  /** Of an execution: when it ended. Of an artifact: when it was made, which is before that. */
  readonly time: string;
  readonly provenance_id: string;
  readonly task_id: string;
  readonly attempt: number;
  readonly status: string;
};

const KEYS = 'project_id, time, provenance_id, task_id, attempt';
const LOOK = `
SELECT 'provenance' AS kind, ${KEYS}, status FROM dats.provenance WHERE provenance_id = {id:String}
UNION ALL SELECT 'task' AS kind, ${KEYS}, status FROM dats.provenance WHERE task_id = {id:String}
UNION ALL SELECT 'artifact' AS kind, ${KEYS}, '' AS status FROM dats.artifacts WHERE artifact_id = {id:String}`;

/** The best of what an id names: accepted before others, then the newest. */
export const bestOf = (found: readonly Found[]): Found | undefined =>
  found.reduce<Found | undefined>((best, one) => {
    if (best === undefined) return one;
    const [accepted, wasAccepted] = [one.status === 'accepted', best.status === 'accepted'];
    if (accepted !== wasAccepted) return accepted ? one : best;
    return one.time > best.time ? one : best;
  }, undefined);

/** What history has under this id; undefined when it has nothing. */
export const look = async (analytics: Analytics, id: string): Promise<Found | undefined> =>
  bestOf(await analytics.query<Found>(LOOK, { id }));

const pending = (message: string) => refuse('provenance_pending', message);

/** Says why history has nothing under this id. @throws Fault `provenance_not_found`, `provenance_pending`, `views_behind` */
export const refuseUnknown = async (sources: Sources, id: string): Promise<never> => {
  const task = await findTask(sources, id);
  if (task !== undefined) {
    if (!isFinal(task))
      throw pending(`task "${id}" is ${task.state}: none of its attempts has ended and been recorded yet; try again when it has gone on`);
    if (task.attempt === 0)
      throw refuse(
        'provenance_not_found',
        `task "${id}" is ${task.state} and was never executed itself, so nothing is recorded of how${task.children.length > 0 ? `; its subtasks were: ${task.children.slice(0, 20).join(', ')}` : ''}`,
      );
    throw pending(`task "${id}" is ${task.state}, but history does not have it yet: it is up to some seconds behind the log; try again`);
  }
  const artifact = await findArtifact(sources, id);
  if (artifact !== undefined)
    throw pending(
      `artifact "${id}" is of attempt ${artifact.attempt} of task "${artifact.task_id}", which is not recorded yet; try again in a moment`,
    );
  throw refuse(
    'provenance_not_found',
    `there is no execution, artifact or task "${id}" in history (what ended within the last second may not be there yet)`,
  );
};

/** @throws Fault as `refuseUnknown` and `Analytics.query` */
export const resolve = async (analytics: Analytics, sources: Sources, id: string): Promise<Found> =>
  (await look(analytics, id)) ?? (await refuseUnknown(sources, id));

/** Is it that the id is not there (or not yet)? */
export const isUnknown = (error: unknown): boolean =>
  isFault(error) && (error.code === 'provenance_not_found' || error.code === 'provenance_pending');
