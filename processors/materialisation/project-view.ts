// Counts and durations of a project: the fold of its tasks' changes of state, in place.
import type { ProjectStatus, TaskState, TaskView } from '../../schemas/index.js';
import { statusOf } from '../../schemas/index.js';

/** Durations are counted in buckets that grow by this factor: the percentiles are right within 5 %. */
const GROWTH = 1.1;
/** Minutes over which the rate is told. */
const RATE_MINUTES = 10;

export interface ProjectDoc {
  readonly project_id: string;
  readonly counts: Partial<Record<TaskState, number>>;
  readonly total: number;
  /** Completed tasks by duration from creation to completion: bucket -> how many, bucket = log of the milliseconds to the base GROWTH. */
  readonly durations: Readonly<Record<string, number>>;
  /** [minute since the epoch, completed in it], newest last. */
  readonly minutes: readonly (readonly [number, number])[];
}

/** A project that is being folded. */
export interface MutableProjectDoc extends ProjectDoc {
  total: number;
  readonly durations: Record<string, number>;
  readonly minutes: [number, number][];
}

export const emptyProject = (project_id: string): MutableProjectDoc => ({ project_id, counts: {}, total: 0, durations: {}, minutes: [] });

/** Takes into a project that one of its tasks went from the state `before` to `after`. */
export const foldProject = (doc: MutableProjectDoc, before: TaskState | undefined, after: TaskView): void => {
  const { counts, durations, minutes } = doc;
  if (before === after.state) return;
  if (before) counts[before] = (counts[before] ?? 0) - 1;
  else doc.total += 1;
  counts[after.state] = (counts[after.state] ?? 0) + 1;
  if (after.state !== 'completed' || after.completed_at === null) return;
  const minute = Math.floor(Date.parse(after.completed_at) / 60_000);
  const last = minutes.at(-1);
  if (last?.[0] === minute) last[1] += 1;
  else if (minutes.push([minute, 1]) > RATE_MINUTES) minutes.shift();
  const bucket = Math.round(Math.log(Math.max(1, after.execution_time_ms ?? 0)) / Math.log(GROWTH));
  durations[bucket] = (durations[bucket] ?? 0) + 1;
};

export interface ProjectContext {
  readonly nowMs: number;
  readonly maxRunning: number;
  readonly home: string;
  /** Creation time of the oldest open task, where it is known. */
  readonly oldestOpen: string | null;
}

/** In milliseconds; null when nothing was counted. */
const percentile = (durations: ProjectDoc['durations'], p: number): number | null => {
  const buckets = Object.entries(durations)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort((a, b) => a[0] - b[0]);
  let rest = p * buckets.reduce((sum, [, count]) => sum + count, 0);
  for (const [bucket, count] of buckets) {
    rest -= count;
    if (rest <= 0) return Math.round(GROWTH ** bucket);
  }
  return null;
};

/** As the API shows it. */
export const projectStatus = (doc: ProjectDoc, context: ProjectContext): ProjectStatus => {
  const entries = (Object.entries(doc.counts) as [TaskState, number][]).filter(([, n]) => n > 0);
  const sum = (states: readonly TaskState[]) => entries.reduce((n, [state, count]) => n + (states.includes(state) ? count : 0), 0);
  const since = Math.floor(context.nowMs / 60_000) - RATE_MINUTES;
  const recent = doc.minutes.reduce((n, [minute, count]) => n + (minute > since ? count : 0), 0);
  return {
    project_id: doc.project_id,
    counts: Object.fromEntries(entries),
    total: doc.total,
    running: entries.reduce((n, [state, count]) => n + (statusOf(state) === 'running' ? count : 0), 0),
    queued: sum(['queued', 'waiting', 'retrying']),
    oldest_open: context.oldestOpen,
    completed_per_minute: recent / RATE_MINUTES,
    duration_p50_ms: percentile(doc.durations, 0.5),
    duration_p95_ms: percentile(doc.durations, 0.95),
    max_running: context.maxRunning,
    home: context.home,
  };
};
