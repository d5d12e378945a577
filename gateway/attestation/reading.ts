// What attestations are made from, read from the project's partition of the log.
//
// L1. Views only say where to look; what is attested stands in the log. L2. Every read has an end and a time limit. L3. That nothing is said against an artifact
// is taken from views only when they have all of the log; else, and where something is, it is read from the log, with reasons.
import {
  type At,
  type GenerationRecord,
  recordOf,
  STANDING_TYPES,
  type Standing,
  type Surroundings,
  standingsOf,
} from '../../processors/attestation/index.js';
import {
  type ArtifactView,
  type EventType,
  Fault,
  isFault,
  LIFECYCLE,
  partitionOf,
  type TaskView,
  timeoutSignal,
} from '../../schemas/index.js';
import { eventOf, type Recorded } from '../../streams/index.js';
import { refuse } from '../problem.js';
import { caughtUp, findArtifact, type Sources } from '../reads.js';

/** For one walk through a stretch of the log, milliseconds; below what clients wait. */
const WALK_MS = 10_000;

export const partitionFor = ({ log }: Sources, projectId: string): number => partitionOf(projectId, log.partitions(LIFECYCLE));

/** The event at an offset. @throws Fault terminal `event_missing` when another, or none, is there. */
export const eventAt = async <T extends EventType>(sources: Sources, partition: number, offset: number, type: T): Promise<At<T>> => {
  const record = await sources.log.get({ topic: LIFECYCLE, partition, offset });
  const event = record === undefined ? undefined : eventOf(record);
  if (event?.type !== type) throw new Fault('terminal', 'event_missing', `the log does not hold the ${type} at ${partition}/${offset}`);
  return { offset, event } as At<T>;
};

interface Stretch {
  readonly partition: number;
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
}

const walk = async (sources: Sources, { partition, from, until }: Stretch, wanted: (record: Recorded) => boolean): Promise<At[]> => {
  const found: At[] = [];
  if (from >= until) return found;
  const late = timeoutSignal(WALK_MS);
  for await (const records of sources.log.read({ topic: LIFECYCLE, partition, offset: from }, late, { until }))
    for (const record of records) {
      if (!wanted(record)) continue;
      try {
        found.push({ offset: record.offset, event: eventOf(record) } as At);
      } catch (error) {
        // What is no event says nothing; it lies in the dead letters.
        if (!isFault(error, 'terminal')) throw error;
      }
    }
  if (late.aborted)
    throw refuse('log_unavailable', `reading ${until - from} records of the log took longer than ${WALK_MS / 1_000} s; try again`);
  return found;
};

/** How an artifact came to be. @param task its task, which has ended. @throws Fault `event_missing`, `log_unavailable` */
export const readRecord = async (
  sources: Sources,
  { artifact_id }: Pick<ArtifactView, 'artifact_id'>,
  task: TaskView,
): Promise<GenerationRecord> => {
  const partition = partitionFor(sources, task.project_id);
  const stretch = { partition, from: task.first_offset, until: task.last_offset + 1 };
  const events = await walk(sources, stretch, ({ headers }) => headers['subject'] === task.task_id);
  return recordOf(partition, events, artifact_id);
};

/** The plan and the parent of a subtask. @throws Fault `event_missing` */
export const readSurroundings = async (sources: Sources, { partition, ready }: GenerationRecord): Promise<Surroundings> => {
  const { created, parent } = ready.event.data.context;
  if (parent === undefined) return {};
  return {
    plan: await eventAt(sources, partition, created, 'dats.task.decomposed'),
    parent: await eventAt(sources, partition, parent, 'dats.task.created'),
  };
};

/**
 * How artifacts of a project stand at the end of the log (L3).
 * @param since no event about them is below this offset.
 */
export const readStandings = async (
  sources: Sources,
  projectId: string,
  ids: readonly string[],
  since: number,
): Promise<ReadonlyMap<string, Standing>> => {
  if (await areClean(sources, projectId, ids)) return standingsOf([], ids);
  const partition = partitionFor(sources, projectId);
  const { end } = await sources.log.range(LIFECYCLE, partition);
  const events = await walk(
    sources,
    { partition, from: since, until: end },
    ({ type, key }) => STANDING_TYPES.has(type) && key === projectId,
  );
  return standingsOf(events, ids);
};

/** Do views that have all say so? */
const areClean = async (sources: Sources, projectId: string, ids: readonly string[]): Promise<boolean> => {
  if ((await caughtUp(sources, projectId)) > 0) return false;
  const views = await Promise.all(ids.map((id) => findArtifact(sources, id)));
  return views.every((view) => view?.taint === 'clean');
};
