// The events that a proof is wanted for, found in the log: by id, by place, or by the artifact that they made.
import { AUDITED, type AuditEvent, auditEventOf, isOfAttempt, MAKING_TYPES, makes, readRecords } from '../../processors/audit/index.js';
import { partitionOf } from '../../schemas/index.js';
import type { Log, Recorded } from '../../streams/index.js';
import { refuse } from '../problem.js';

export interface Wanted {
  readonly project?: string | undefined;
  readonly eventId?: string | undefined;
  readonly offset?: number | undefined;
  readonly artifactId?: string | undefined;
}

export interface Found {
  readonly project: string;
  readonly events: readonly AuditEvent[];
}

/** @throws Fault terminal `event_not_found`; Faults of the log */
export const findEvents = async (log: Log, wanted: Wanted, signal: AbortSignal): Promise<Found> => {
  const { project } = wanted;
  const count = log.partitions(AUDITED);
  const partitions = project === undefined ? Array.from({ length: count }, (_, i) => i) : [partitionOf(project, count)];
  for (const partition of partitions) {
    const events = await findIn(log, partition, wanted, signal);
    const of = events[0]?.headers.projectid;
    if (of !== undefined) return { project: of, events };
  }
  throw refuse('event_not_found', `${nameOf(wanted)} is in no lifecycle event${project === undefined ? '' : ` of project ${project}`}`);
};

const nameOf = ({ eventId, offset, artifactId }: Wanted): string =>
  eventId === undefined ? (offset === undefined ? `artifact ${artifactId}` : `offset ${offset}`) : `event ${eventId}`;

const findIn = async (log: Log, partition: number, wanted: Wanted, signal: AbortSignal): Promise<readonly AuditEvent[]> => {
  const { project, eventId, offset, artifactId } = wanted;
  const isOfProject = ({ headers }: Recorded): boolean =>
    headers.projectid !== undefined && (project === undefined || headers.projectid === project);
  if (offset !== undefined) {
    const { first, end } = await log.range(AUDITED, partition);
    const record = offset >= first && offset < end ? await log.get({ topic: AUDITED, partition, offset }) : undefined;
    return record !== undefined && isOfProject(record) ? [auditEventOf(record)] : [];
  }
  const records = readRecords(log, AUDITED, partition, signal);
  if (artifactId !== undefined) return makersOf(records, artifactId, isOfProject);
  for await (const record of records) if (record.headers.id === eventId && isOfProject(record)) return [auditEventOf(record)];
  return [];
};

/** What made an artifact: its output, and the verdict and the completion of that attempt, as far as they are there. */
const makersOf = async (
  records: AsyncIterable<Recorded>,
  artifactId: string,
  isOfProject: (record: Recorded) => boolean,
): Promise<readonly AuditEvent[]> => {
  const events: AuditEvent[] = [];
  for await (const record of records) {
    if (!MAKING_TYPES.has(record.type) || !isOfProject(record)) continue;
    const output = events[0];
    if (output === undefined) {
      if (!holds(record.value, artifactId)) continue;
      const event = auditEventOf(record);
      if (makes(event, artifactId)) events.push(event);
      continue;
    }
    const event = auditEventOf(record);
    if (event.headers.projectid !== output.headers.projectid || !isOfAttempt(event, output)) continue;
    // The same outcome may be there twice; once is enough.
    if (events.every(({ headers }) => headers.type !== event.headers.type)) events.push(event);
    if (record.type === 'dats.task.completed') break;
  }
  return events;
};

/** A look at the bytes before they are parsed. */
const holds = (value: Recorded['value'], text: string): boolean =>
  typeof value === 'string' ? value.includes(text) : Buffer.from(value.buffer, value.byteOffset, value.byteLength).includes(text);
