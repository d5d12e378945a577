// Reading what a replay needs, and only reading: the request and what was said of it, and the history of its project.
import { type DatsEvent, decodeWritten, type EventOf, LIFECYCLE, partitionOf, TASK_TYPES } from '../../schemas/index.js';
import { type Log, type Recorded, readableEventOf } from '../../streams/index.js';
import type { Breather } from './breather.js';
import { type HistoryFold, type HistoryOptions, openHistory } from './history.js';

/** A log that nothing can be appended to. */
export type ReadableLog = Pick<Log, 'read' | 'range' | 'get' | 'partitions'>;

/** Records a step takes: some milliseconds of work. */
const MAX_BATCH = 256;
const TOLD: ReadonlySet<string> = new Set([
  'dats.replay.requested',
  'dats.replay.progressed',
  'dats.replay.completed',
  'dats.replay.failed',
]);
const REMEMBERED: ReadonlySet<string> = new Set(TASK_TYPES.filter((type) => type !== 'dats.task.started' && type !== 'dats.task.timedout'));

const place = (log: ReadableLog, project: string) =>
  ({ topic: LIFECYCLE, partition: partitionOf(project, log.partitions(LIFECYCLE)) }) as const;

async function* recordsOf(
  log: ReadableLog,
  project: string,
  range: { readonly from: number; readonly until?: number },
  types: ReadonlySet<string>,
  signal: AbortSignal,
): AsyncGenerator<readonly Recorded[]> {
  const at = place(log, project);
  const { first, end } = await log.range(at.topic, at.partition);
  const until = Math.min(range.until ?? end, end);
  const offset = Math.max(range.from, first);
  if (offset >= until) return;
  for await (const records of log.read({ ...at, offset }, signal, { until, maxBatch: MAX_BATCH }))
    yield records.filter(({ headers, type }) => types.has(type) && headers['projectid'] === project);
  signal.throwIfAborted();
}

export interface FoundReplay {
  readonly request: EventOf<'dats.replay.requested'>;
  /** Where it stands. */
  readonly offset: number;
  /** Ids of what was said of it since. */
  readonly said: ReadonlySet<string>;
  readonly hasEnded: boolean;
  /** Calls of models that earlier runs may have made. */
  readonly calls: number;
}

/** What the log says of a replay, from `from` on; undefined where it was never asked for. */
export const findReplay = async (
  log: ReadableLog,
  project: string,
  replayId: string,
  from: number,
  signal: AbortSignal,
): Promise<FoundReplay | undefined> => {
  let found: { readonly request: EventOf<'dats.replay.requested'>; readonly offset: number } | undefined;
  const said = new Set<string>();
  let hasEnded = false;
  let calls = 0;
  for await (const records of recordsOf(log, project, { from }, TOLD, signal))
    for (const record of records) {
      const event = readableEventOf(record);
      if (event === undefined || !('replay_id' in event.data) || event.data.replay_id !== replayId) continue;
      said.add(event.id);
      if (event.type === 'dats.replay.requested') found ??= { request: event, offset: record.offset };
      if (event.type === 'dats.replay.progressed') calls = Math.max(calls, event.data.calls ?? 0);
      hasEnded ||= event.type === 'dats.replay.completed' || event.type === 'dats.replay.failed';
    }
  return found && { ...found, said, hasEnded, calls };
};

/** As the deciders took it: their own events never were checked. */
const foldable = (record: Recorded): DatsEvent | undefined =>
  record.event === undefined && record.headers['afteroffset'] !== undefined
    ? decodeWritten(record.headers, record.value)
    : readableEventOf(record);

/** Folds what is said of a project's tasks from `from` up to (excluding) `until`. */
export const readHistory = async (
  log: ReadableLog,
  project: string,
  range: { readonly from: number; readonly until: number },
  options: HistoryOptions,
  breather: Breather,
  signal: AbortSignal,
): Promise<HistoryFold> => {
  const history = openHistory(options);
  for await (const records of recordsOf(log, project, range, REMEMBERED, signal))
    for (const record of records) {
      const event = foldable(record);
      if (event !== undefined) history.take(event, record.offset);
      if (breather.isDue()) await breather.give();
    }
  return history;
};
