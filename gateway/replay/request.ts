// From a body to the two records of a replay: the request in the project's history, and the work item. Pure, but for finding offsets by time.
import canonicalize from 'canonicalize';
import type { z } from 'zod';
import { isoOf, sha256Of } from '../../processors/index.js';
import {
  type DataOf,
  dataschemaOf,
  derivedId,
  type EventOf,
  type EventType,
  LIFECYCLE,
  newId,
  partitionOf,
  type replayBodySchema,
  workTopic,
} from '../../schemas/index.js';
import { type Log, type Outgoing, outgoing } from '../../streams/index.js';
import { ANONYMOUS, type Requester, SOURCE } from '../commands.js';
import { traceparentOf } from '../middleware/correlation.js';

export type ReplayBody = z.infer<typeof replayBodySchema>;
export type ReplayRequest = DataOf<'dats.replay.requested'>;

/** How long a replay is worth beginning, milliseconds. */
const DUE_MS = 24 * 60 * 60 * 1000;
const PROMPT_VERSION = 'replay@1';

export const replayIdOf = (body: ReplayBody, key: string | undefined): string =>
  key === undefined ? newId() : derivedId('replay', body.project_id, body.by ?? ANONYMOUS, key);

/** Of a body as it was sent, whoever sent it: the same for ever, whatever its instants become. */
export const digestOf = ({ by: _, ...body }: ReplayBody): string => sha256Of(canonicalize(body) ?? '');

/** The first offset whose record was appended at `ms` or later; the end where none was. Records of a partition are appended in time. */
export const offsetAt = async (log: Pick<Log, 'read' | 'range'>, partition: number, ms: number): Promise<number> => {
  const { first, end } = await log.range(LIFECYCLE, partition);
  let [low, high] = [first, end];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await recordFrom(log, partition, middle, end);
    if (found === undefined || found.offset >= high) high = middle;
    else if (found.timestamp >= ms) high = middle;
    else low = found.offset + 1;
  }
  return low;
};

const recordFrom = async (log: Pick<Log, 'read'>, partition: number, offset: number, until: number) => {
  const stop = new AbortController();
  try {
    for await (const [record] of log.read({ topic: LIFECYCLE, partition, offset }, stop.signal, { until, maxBatch: 1 })) return record;
    return undefined;
  } finally {
    stop.abort();
  }
};

/** The request as it is recorded: instants of the slice as offsets. An `until` that has not come is none. */
export const requestOf = async (
  log: Log,
  body: ReplayBody,
  replayId: string,
  now: number,
  key: string | undefined,
): Promise<ReplayRequest> => {
  const partition = partitionOf(body.project_id, log.partitions(LIFECYCLE));
  const { from, until, task_ids } = body.slice;
  const offsetOf = (where: number | string): number | Promise<number> =>
    typeof where === 'number' ? where : offsetAt(log, partition, Date.parse(where));
  const isAhead = typeof until === 'string' && Date.parse(until) >= now;
  return {
    replay_id: replayId,
    grade: body.grade,
    slice: {
      ...(from === undefined ? {} : { from: await offsetOf(from) }),
      ...(until === undefined || isAhead ? {} : { until: await offsetOf(until) }),
      ...(task_ids === undefined ? {} : { task_ids }),
    },
    changes: body.changes,
    max_calls: body.max_calls,
    ...(key === undefined ? {} : { body_sha256: digestOf(body) }),
    reason: body.reason,
    by: body.by ?? ANONYMOUS,
  };
};

export interface Recording {
  readonly projectId: string;
  readonly request: ReplayRequest;
  readonly requester: Requester;
  /** Nothing of the replay stands in the project's partition below. */
  readonly end: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly configVersion: string;
}

/** Both records: appended together, so that whoever is answered 202 is replayed. */
export const recordsOf = ({ projectId, request, requester, end, now, configVersion }: Recording): readonly Outgoing[] => {
  const { replay_id, by } = request;
  const eventOf = <T extends EventType>(type: T, id: string, data: DataOf<T>, causationid?: string): EventOf<T> =>
    ({
      specversion: '1.0',
      id,
      source: SOURCE,
      type,
      time: isoOf(now),
      subject: replay_id,
      datacontenttype: 'application/json',
      dataschema: dataschemaOf(type),
      projectid: projectId,
      correlationid: requester.correlationId,
      traceparent: traceparentOf(requester.traceparent, id),
      actor: by,
      configversion: configVersion,
      data,
      ...(causationid === undefined ? {} : { causationid }),
    }) as unknown as EventOf<T>;
  const asked = eventOf('dats.replay.requested', newId(), request);
  const work: DataOf<'dats.work.requested'> = {
    task_id: replay_id,
    kind: 'replay',
    attempt: 0,
    tier: 'small',
    domain: 'general',
    prompt_version: PROMPT_VERSION,
    context: { created: end, inputs: [] },
    due: isoOf(now + DUE_MS),
    replay_id,
  };
  return [
    outgoing(LIFECYCLE, asked),
    outgoing(workTopic('replay'), eventOf('dats.work.requested', derivedId(replay_id, 'work'), work, asked.id), replay_id),
  ];
};
