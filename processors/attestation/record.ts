// All that the log says about how one artifact came to be, picked out of the events of its task. Pure.
//
// R1. Only what belongs to the attempt that made it counts. R2. Of several workers that began an attempt, the one that made the output is meant.
import { type Artifact, type EventOf, type EventType, Fault, type FileContent } from '../../schemas/index.js';

/** An event and its offset in the project's partition of the lifecycle topic. */
export interface At<T extends EventType = EventType> {
  readonly offset: number;
  readonly event: EventOf<T>;
}

export interface GenerationRecord {
  readonly partition: number;
  readonly artifact: Artifact;
  readonly created: At<'dats.task.created'>;
  readonly ready: At<'dats.task.ready'>;
  readonly started: At<'dats.task.started'> | undefined;
  readonly output: At<'dats.task.output.created'>;
  readonly validated: At<'dats.task.validated'> | undefined;
  /** Absent where the attempt was not accepted. */
  readonly completed: At<'dats.task.completed'> | undefined;
}

/** What is found where the record points: for a subtask its plan, and the task that it is part of. */
export interface Surroundings {
  readonly plan?: At<'dats.task.decomposed'>;
  readonly parent?: At<'dats.task.created'>;
}

export const isA = <T extends EventType>(at: At, type: T): at is At & At<T> => at.event.type === type;

/** @throws Fault terminal `event_missing` where the events do not tell how the artifact was made. */
export const recordOf = (partition: number, events: readonly At[], artifactId: string): GenerationRecord => {
  const first = <T extends EventType>(type: T, fits: (event: EventOf<T>) => boolean = () => true): At<T> | undefined =>
    events.find((at): at is At & At<T> => isA(at, type) && fits(at.event));
  const needed = <T extends EventType>(type: T, found: At<T> | undefined): At<T> => {
    if (found === undefined) throw new Fault('terminal', 'event_missing', `the log does not hold the ${type} of artifact ${artifactId}`);
    return found;
  };
  const holds = (event: EventOf<'dats.task.output.created'>) => event.data.artifacts.some(({ artifact_id }) => artifact_id === artifactId);
  const output = needed('dats.task.output.created', first('dats.task.output.created', holds));
  const { attempt, fence, artifacts } = output.event.data;
  const ofAttempt = ({ data }: { readonly data: { readonly attempt: number } }) => data.attempt === attempt;
  return {
    partition,
    artifact: artifacts.find(({ artifact_id }) => artifact_id === artifactId)!,
    created: needed('dats.task.created', first('dats.task.created')),
    ready: needed('dats.task.ready', first('dats.task.ready', ofAttempt)),
    started: first('dats.task.started', (event) => ofAttempt(event) && event.data.fence === fence),
    output,
    validated: first('dats.task.validated', ofAttempt),
    completed: first('dats.task.completed', ofAttempt),
  };
};

/** The files that a task brought, and those of the task that it is part of; its own win. */
export const filesOf = (
  created: EventOf<'dats.task.created'>,
  parent: EventOf<'dats.task.created'> | undefined,
): readonly FileContent[] => {
  const own = new Set(created.data.files.map(({ path }) => path));
  return [...created.data.files, ...(parent?.data.files ?? []).filter(({ path }) => !own.has(path))];
};
