// A project's history as it lies in the log: its events, and its checkpoints.
//
// L1. What is read ends where the log ended when reading began, checkpoints first: so every checkpoint's events are there. L2. A checkpoint that is no event
// of ours is passed over like a record of another project; what it covered is missing then, and verifying says so.
import { setImmediate as breath } from 'node:timers/promises';
import { AUDIT, type AuditCheckpoint, auditCheckpoint, partitionOf, type Topic } from '../../schemas/index.js';
import type { Log, Recorded } from '../../streams/index.js';
import { AUDITED, type AuditEvent, auditEventOf } from './leaf.js';

/** A checkpoint as it stands in the log. */
export interface LoggedCheckpoint {
  readonly offset: number;
  /** When it was signed, RFC 3339. */
  readonly time: string;
  readonly data: AuditCheckpoint;
}

export interface LoggedHistory {
  events(): AsyncIterable<AuditEvent>;
  checkpoints(): AsyncIterable<LoggedCheckpoint>;
}

/** Records between two breaths: a reader must not hold the process up. */
const BREATH_RECORDS = 256;

/** @throws Fault of the log */
export const openHistory = async (log: Log, project: string, signal: AbortSignal): Promise<LoggedHistory> => {
  const audit = await endOf(log, AUDIT, project);
  const lifecycle = await endOf(log, AUDITED, project);
  return {
    async *events() {
      for await (const record of recordsOf(log, lifecycle, signal)) if (record.headers.projectid === project) yield auditEventOf(record);
    },
    async *checkpoints() {
      for await (const record of recordsOf(log, audit, signal)) {
        const data = record.headers.projectid === project ? checkpointIn(record) : undefined;
        if (data !== undefined) yield { offset: record.offset, time: record.headers.time ?? '', data };
      }
    },
  };
};

interface Range {
  readonly topic: Topic;
  readonly partition: number;
  readonly first: number;
  readonly end: number;
}

const endOf = async (log: Log, topic: Topic, project: string): Promise<Range> => {
  const partition = partitionOf(project, log.partitions(topic));
  return { topic, partition, ...(await log.range(topic, partition)) };
};

/** All records of a partition, up to where it ends now. */
export async function* readRecords(log: Log, topic: Topic, partition: number, signal: AbortSignal): AsyncGenerator<Recorded> {
  yield* recordsOf(log, { topic, partition, ...(await log.range(topic, partition)) }, signal);
}

/** Records of a partition, up to where it ended. @throws the signal's reason when it aborts: half a history must not be taken for a whole one */
async function* recordsOf(log: Log, { topic, partition, first, end }: Range, signal: AbortSignal): AsyncGenerator<Recorded> {
  if (first >= end) return;
  let read = 0;
  for await (const batch of log.read({ topic, partition, offset: first }, signal, { until: end }))
    for (const record of batch) {
      yield record;
      if (++read % BREATH_RECORDS === 0) await breath();
    }
  signal.throwIfAborted();
}

const checkpointIn = ({ headers, value }: Recorded): AuditCheckpoint | undefined => {
  if (headers.type !== 'dats.audit.checkpoint') return undefined;
  try {
    return auditCheckpoint.safeParse(JSON.parse(typeof value === 'string' ? value : Buffer.from(value).toString())).data;
  } catch {
    return undefined;
  }
};

export async function* checkpointsOf(history: LoggedHistory): AsyncGenerator<AuditCheckpoint> {
  for await (const { data } of history.checkpoints()) yield data;
}
