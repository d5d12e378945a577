// The replays of each partition: a fold of `dats.replay.*`, which goes on from where it was.
//
// F1. Of requests, and of outcomes, with one id the first counts: a run that was repeated says the same. F2. What was appended before the call is in the answer. F3. It
// keeps REPLAYS_LIMIT replays a partition, the newest. F4. A pass that takes longer than FOLD_MS keeps what it took in, and is told as `log_unavailable`.
import { type DatsEvent, type EventOf, LIFECYCLE, partitionOf, type ReplayRow, timeoutSignal } from '../../schemas/index.js';
import { type Log, type Recorded, readableEventOf } from '../../streams/index.js';
import { refuse } from '../problem.js';

export const REPLAYS_LIMIT = 10_000;
/** How long one pass may take, milliseconds. */
const FOLD_MS = 6_000;

export interface HeldReplay {
  readonly row: ReplayRow;
  /** Offset of `dats.replay.completed`. */
  readonly completed: number | undefined;
  /** Of the body that it was asked for with, where it had an Idempotency-Key. */
  readonly bodySha256: string | undefined;
}

export interface Replays {
  /** Of a project, newest first. */
  list(projectId: string, limit: number): Promise<readonly ReplayRow[]>;
  find(projectId: string, replayId: string): Promise<HeldReplay | undefined>;
}

interface Partition {
  readonly held: Map<string, HeldReplay>;
  next: number;
  folding: Promise<void>;
}

const isAbout = ({ type }: Recorded): boolean => type.startsWith('dats.replay.');
const keyOf = (projectId: string, replayId: string): string => `${projectId}\u001f${replayId}`;

const requested = ({ data, projectid, time }: EventOf<'dats.replay.requested'>): ReplayRow => ({
  replay_id: data.replay_id,
  project_id: projectid,
  state: 'requested',
  grade: data.grade,
  slice: data.slice,
  changes: data.changes,
  max_calls: data.max_calls,
  reason: data.reason,
  by: data.by,
  requested_at: time,
  ended_at: null,
  progress: null,
  verdict: null,
  summary: null,
  error: null,
});

/** F1. */
const after = (known: HeldReplay | undefined, event: DatsEvent, offset: number): HeldReplay | undefined => {
  if (event.type === 'dats.replay.requested')
    return known ?? { row: requested(event), completed: undefined, bodySha256: event.data.body_sha256 };
  if (known === undefined || known.row.ended_at !== null) return known;
  const { row } = known;
  switch (event.type) {
    case 'dats.replay.progressed': {
      const { lane, done, total } = event.data;
      return { ...known, row: { ...row, state: 'running', progress: { lane, done, total } } };
    }
    case 'dats.replay.completed': {
      const { verdict, summary } = event.data;
      return { ...known, row: { ...row, state: 'completed', ended_at: event.time, verdict, summary }, completed: offset };
    }
    case 'dats.replay.failed':
      return { ...known, row: { ...row, state: 'failed', ended_at: event.time, error: event.data.error } };
    default:
      return known;
  }
};

export const createReplays = (log: Log, foldMs = FOLD_MS): Replays => {
  const partitions = new Map<number, Partition>();

  const take = ({ held }: Partition, record: Recorded): void => {
    const event = readableEventOf(record);
    if (event === undefined || !('replay_id' in event.data) || event.data.replay_id === undefined) return;
    const key = keyOf(event.projectid, event.data.replay_id);
    const held1 = after(held.get(key), event, record.offset);
    if (held1 !== undefined) held.set(key, held1);
    if (held.size > REPLAYS_LIMIT) held.delete(held.keys().next().value!);
  };

  const fold = async (number: number, partition: Partition): Promise<void> => {
    const { first, end } = await log.range(LIFECYCLE, number);
    const offset = Math.max(first, partition.next);
    if (offset >= end) return;
    const late = timeoutSignal(foldMs);
    for await (const records of log.read({ topic: LIFECYCLE, partition: number, offset }, late, { until: end })) {
      for (const record of records) if (isAbout(record)) take(partition, record);
      partition.next = records.at(-1)!.offset + 1;
    }
    if (late.aborted) throw refuse('log_unavailable', `reading the replays took longer than ${foldMs} ms; try again`);
    partition.next = end;
  };

  /** One pass after the other (F2). */
  const current = async (projectId: string): Promise<ReadonlyMap<string, HeldReplay>> => {
    const number = partitionOf(projectId, log.partitions(LIFECYCLE));
    const partition = partitions.get(number) ?? { held: new Map(), next: 0, folding: Promise.resolve() };
    partitions.set(number, partition);
    const mine = partition.folding.catch(() => undefined).then(() => fold(number, partition));
    partition.folding = mine;
    await mine;
    return partition.held;
  };

  return {
    find: async (projectId, replayId) => (await current(projectId)).get(keyOf(projectId, replayId)),
    list: async (projectId, limit) => {
      const rows: ReplayRow[] = [];
      for (const { row } of [...(await current(projectId)).values()].reverse()) {
        if (rows.length === limit) break;
        if (row.project_id === projectId) rows.push(row);
      }
      return rows;
    },
  };
};

const ofLogs = new WeakMap<Log, Replays>();
/** The replays of a log: one fold a process. */
export const replaysOf = (log: Log): Replays => {
  const known = ofLogs.get(log) ?? createReplays(log);
  ofLogs.set(log, known);
  return known;
};
