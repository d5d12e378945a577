// Task events as figures: counts, verdicts, and how long tasks were in each stage. Told by the host of the deciders, which has every event of a partition once.
//
// L1. What is told is committed: nothing counts twice, whatever crashes. L2. It remembers one entry for each open task of the partition, OPEN_LIMIT at most, and
// nothing when the partition has gone. L3. Of a task whose beginning it has not seen (it was begun under another owner) only what events say themselves counts.
// L4. Durations are differences of the events' times: the clocks of the machines that say them are taken for one, and less than nothing counts as nothing.
import { millisOf } from '../../processors/index.js';
import {
  type DatsEvent,
  DLQ,
  type EventOf,
  type EventType,
  LETTER,
  LIFECYCLE,
  QA_PROFILES,
  type QaProfile,
  TASK_TYPES,
} from '../../schemas/index.js';
import type { Outgoing } from '../../streams/index.js';
import { type Family, type HistogramSeries, type NumberSeries, once } from './instruments.js';

/** Open tasks of a partition that are followed; beyond, the oldest are no longer. */
export const OPEN_LIMIT = 100_000;

export type Stage = 'analysis' | 'decomposition' | 'subtasks' | 'queue' | 'generation' | 'qa' | 'retry' | 'total';
export type Outcome = 'ok' | 'rejected' | 'failed' | 'timed_out' | 'cancelled';

export interface LifecycleMetrics {
  readonly taskEvents: Family<NumberSeries>;
  readonly stages: Family<HistogramSeries>;
  readonly taskFailures: Family<NumberSeries>;
  readonly verdicts: Family<NumberSeries>;
  readonly deadLetters: Family<NumberSeries>;
}

/** What a partition's deciders took in and what they appended, after it was committed. */
export type LifecycleObserver = (taken: readonly DatsEvent[], outputs: readonly Outgoing[]) => void;

/** `settled`: its verdict is said, and nothing is waited for. */
type Place = Exclude<Stage, 'total'> | 'settled';

interface Open {
  /** Milliseconds since the epoch, as `since`. */
  readonly created: number;
  /** It is to be split first. */
  readonly planned: boolean;
  place: Place;
  since: number;
}

/** The places that an event may end, and how; then where the task is. An event that meets a task elsewhere is late, and changes nothing. */
interface Step {
  readonly from: readonly Place[];
  readonly outcome: Outcome;
  readonly to: Place;
}
const STEPS: Readonly<Partial<Record<EventType, Step>>> = {
  'dats.task.analyzed': { from: ['analysis'], outcome: 'ok', to: 'queue' },
  'dats.task.decomposed': { from: ['decomposition'], outcome: 'ok', to: 'subtasks' },
  'dats.task.ready': { from: ['queue', 'retry'], outcome: 'ok', to: 'generation' },
  'dats.task.output.created': { from: ['generation'], outcome: 'ok', to: 'qa' },
  'dats.task.validated': { from: ['qa'], outcome: 'ok', to: 'settled' },
  'dats.task.rejected': { from: ['qa'], outcome: 'rejected', to: 'retry' },
  'dats.task.attempt.failed': { from: ['generation', 'qa'], outcome: 'failed', to: 'retry' },
  'dats.task.timedout': { from: ['generation', 'qa'], outcome: 'timed_out', to: 'retry' },
};
const ENDS: Readonly<Partial<Record<EventType, Outcome>>> = {
  'dats.task.completed': 'ok',
  'dats.task.failed': 'failed',
  'dats.task.cancelled': 'cancelled',
};

const secondsBetween = (from: number, to: number): number => Math.max(0, to - from) / 1_000;

const PREFIX = 'dats.task.';

/** For one partition, as long as it is owned. */
export const observeLifecycle = (metrics: LifecycleMetrics): LifecycleObserver => {
  const open = new Map<string, Open>();
  const durationsIn = once((stage: Stage) => once((outcome: Outcome) => metrics.stages.of(stage, outcome)));
  const durations = (stage: Stage, outcome: Outcome): HistogramSeries => durationsIn(stage)(outcome);
  const counts = once((type: EventType) => metrics.taskEvents.of(type.slice(PREFIX.length)));
  const validated = once((profile: QaProfile) => metrics.verdicts.of(profile, 'validated'));
  const rejected = once((profile: QaProfile) => metrics.verdicts.of(profile, 'rejected'));
  // There from the start, at 0: a rate sees the first one too, and a ratio has both of its sides.
  for (const type of TASK_TYPES) counts(type);
  for (const profile of QA_PROFILES) for (const verdict of [validated, rejected]) verdict(profile);

  const begin = ({ time, data }: EventOf<'dats.task.created'>): void => {
    if (open.has(data.task_id)) return;
    if (open.size >= OPEN_LIMIT) open.delete(open.keys().next().value!);
    const created = millisOf(time);
    const planned = data.options.decompose === true && data.parent_id === undefined;
    open.set(data.task_id, { created, planned, place: 'analysis', since: created });
  };

  const move = (task: Open, event: DatsEvent, step: Step): void => {
    if (!step.from.includes(task.place) || task.place === 'settled') return;
    const at = millisOf(event.time);
    durations(task.place, step.outcome).observe(secondsBetween(task.since, at));
    task.place = step.to === 'queue' && task.planned ? 'decomposition' : step.to;
    task.since = at;
  };

  const end = (task: Open | undefined, event: DatsEvent, outcome: Outcome): void => {
    const at = millisOf(event.time);
    if (event.type === 'dats.task.completed') durations('total', outcome).observe(event.data.execution_time_ms / 1_000);
    else if (task !== undefined) durations('total', outcome).observe(secondsBetween(task.created, at));
    if (event.type === 'dats.task.failed') metrics.taskFailures.of(event.data.error.code).add();
    // What waits for its next attempt is in no stage that could be said to have failed.
    if (task === undefined || task.place === 'settled' || task.place === 'retry') return;
    durations(task.place, outcome).observe(secondsBetween(task.since, at));
  };

  const take = (event: DatsEvent): void => {
    if (!event.type.startsWith(PREFIX) || !('task_id' in event.data)) return;
    counts(event.type).add();
    if (event.type === 'dats.task.created') return begin(event);
    if (event.type === 'dats.task.validated') validated(event.data.profile).add();
    if (event.type === 'dats.task.rejected') rejected(event.data.profile).add();
    const id = event.data.task_id!;
    const task = open.get(id);
    const outcome = ENDS[event.type];
    if (outcome !== undefined) {
      end(task, event, outcome);
      open.delete(id);
      return;
    }
    const step = STEPS[event.type];
    if (task !== undefined && step !== undefined) move(task, event, step);
  };

  return (taken, outputs) => {
    for (const event of taken) take(event);
    for (const { topic, event, headers } of outputs) {
      if (topic === LIFECYCLE && event !== undefined) take(event);
      else if (topic === DLQ) metrics.deadLetters.of(headers[LETTER.topic]!, headers[LETTER.code]!).add();
    }
  };
};
