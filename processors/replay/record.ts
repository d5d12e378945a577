// What is kept of a project's history for replaying it: by task, what was asked, decided and answered, and when. Types only.
import type { Analysis, ArtifactRef, DatsEvent, EventOf, Tier } from '../../schemas/index.js';

/** When the deciders took something in: `at` in milliseconds since the epoch, and its place in the order of the partition. */
export interface Moment {
  at: number;
  readonly order: number;
}

/** An event that somebody other than the deciders said. */
export interface Said {
  /** Of the shadow project, contents of artifacts left out. */
  readonly event: DatsEvent;
  /** Offset in the real partition. */
  readonly offset: number;
  /** Its own time, milliseconds since the epoch. */
  readonly time: number;
  readonly moment: Moment;
}

export interface AttemptRecord {
  readonly attempt: number;
  readonly tier: Tier;
  /** The model that was named; absent where one was chosen. */
  readonly model: string | undefined;
  readonly promptVersion: string;
  readonly readyMs: number;
  /** Contents it was given, and why the attempt before was refused. */
  readonly inputs: string;
  readonly previous: string | undefined;
  /** `output.created` or `attempt.failed`. */
  outcome?: Said;
  /** `validated`, `rejected` or `attempt.failed`. */
  verdict?: Said;
  /** When it was over, in milliseconds since the epoch: a retry was scheduled, or the task ended. */
  endedMs?: number;
}

export interface TaskRecord {
  readonly id: string;
  readonly created: EventOf<'dats.task.created'>;
  readonly creation: Said;
  /** Made by the deciders, of a plan. */
  readonly planned: boolean;
  /** The first one. */
  analysis?: Analysis;
  /** By the cheap signals, without asking a model. */
  analysedAtOnce?: boolean;
  /** The analysis, or its failure, where an effect said it. */
  analysed?: Said;
  /** Plans and failures to make one, by effects; and when each was asked for. */
  readonly plans: { readonly said: Said; readonly ask: number }[];
  readonly planAsks: (() => number)[];
  readonly attempts: AttemptRecord[];
  /** What its first attempt was given. */
  inherited: readonly ArtifactRef[];
  readonly cancels: Said[];
  status?: 'completed' | 'failed' | 'cancelled';
}

/** A stretch in which the deciders fired no timer: something that was due at `from` was not fired before `until`. */
export interface Stretch {
  readonly from: number;
  readonly until: Moment;
}

export interface History {
  /** In the order of their creation. */
  readonly tasks: ReadonlyMap<string, TaskRecord>;
  readonly submitted: number;
  readonly events: number;
  readonly stretches: readonly Stretch[];
}

/** A task that had ended when the replay was asked for. Others hold their places and are not judged. */
export const isJudged = (task: TaskRecord | undefined): boolean => task?.status !== undefined;
