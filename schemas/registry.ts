// Every event type and version, and the two doors: `encode` and `decode`. Decode is the only way bytes become an event.
//
// G1. A version, once listed, stays: `fixtures/<type>.v<N>.json` must decode for ever. G2. Decode never guesses: bytes that are not an
// event, unknown types and future versions are terminal Faults (they end as dead letters). G3. `decodeWritten` leaves `data` unchecked: only for
// records that somebody has decoded in full before, or that this product's own deciders made; who calls it says how it knows (host/rebuild.ts).
// G4. Data of an older version fits the schema of the newest: a version only adds what is optional. Anything else is a new type.
import type { z } from 'zod';
import { areAttributes } from './attributes-check.js';
import * as audit from './audit.js';
import * as cascade from './cascade.js';
import { configChanged } from './config.js';
import { attributesSchema, type Envelope } from './envelope.js';
import { Fault } from './fault.js';
import * as node from './node.js';
import * as qa from './qa.js';
import * as quota from './quota.js';
import * as replay from './replay.js';
import * as rollback from './rollback.js';
import * as task from './task.js';
import * as telemetry from './telemetry.js';
import { workRequested, workRequestedV1, workRequestedV2 } from './work.js';

/** type -> version -> schema of `data`. Versions count up from 1; the highest is the one that is written. */
export const EVENTS = {
  'dats.task.created': { 1: task.taskCreatedV1, 2: task.taskCreated },
  'dats.task.analyzed': { 1: task.taskAnalyzedV1, 2: task.taskAnalyzed },
  'dats.task.decomposed': { 1: task.taskDecomposedV1, 2: task.taskDecomposed },
  'dats.task.queued': { 1: task.taskQueuedV1, 2: task.taskQueued },
  'dats.task.ready': { 1: task.taskReadyV1, 2: task.taskReady },
  'dats.task.started': { 1: task.taskStarted },
  'dats.task.output.created': { 1: task.taskOutputCreatedV1, 2: task.taskOutputCreated },
  'dats.task.attempt.failed': { 1: task.taskAttemptFailedV1, 2: task.taskAttemptFailed },
  'dats.task.validated': { 1: qa.taskValidated },
  'dats.task.rejected': { 1: qa.taskRejected },
  'dats.task.retry.scheduled': { 1: task.taskRetryScheduled },
  'dats.task.timedout': { 1: task.taskTimedOut },
  'dats.task.cancel.requested': { 1: task.taskCancelRequested },
  'dats.task.cancelled': { 1: task.taskCancelled },
  'dats.task.completed': { 1: task.taskCompleted },
  'dats.task.failed': { 1: task.taskFailed },
  'dats.cascade.requested': { 1: cascade.cascadeRequested },
  'dats.cascade.started': { 1: cascade.cascadeStarted },
  'dats.cascade.progressed': { 1: cascade.cascadeProgressed },
  'dats.cascade.cancel.requested': { 1: cascade.cascadeCancelRequested },
  'dats.cascade.completed': { 1: cascade.cascadeCompleted },
  'dats.artifact.tainted': { 1: cascade.artifactTainted },
  'dats.artifact.suspect': { 1: cascade.artifactSuspect },
  'dats.artifact.revalidation.requested': { 1: cascade.revalidationRequested },
  'dats.artifact.revalidated': { 1: cascade.artifactRevalidated },
  'dats.artifact.reverted': { 1: rollback.artifactReverted },
  'dats.artifact.restored': { 1: rollback.artifactRestored },
  'dats.rollback.requested': { 1: rollback.rollbackRequested },
  'dats.rollback.started': { 1: rollback.rollbackStarted },
  'dats.rollback.completed': { 1: rollback.rollbackCompleted },
  'dats.security.alert': { 1: cascade.securityAlert },
  'dats.replay.requested': { 1: replay.replayRequested },
  'dats.replay.progressed': { 1: replay.replayProgressed },
  'dats.replay.completed': { 1: replay.replayCompleted },
  'dats.replay.failed': { 1: replay.replayFailed },
  'dats.audit.checkpoint': { 1: audit.auditCheckpoint },
  'dats.config.changed': { 1: configChanged },
  'dats.quota.requested': { 1: quota.quotaRequested },
  'dats.quota.reserved': { 1: quota.quotaReserved },
  'dats.quota.blocked': { 1: quota.quotaBlocked },
  'dats.quota.consumed': { 1: quota.quotaConsumed },
  'dats.quota.reset': { 1: quota.quotaReset },
  'dats.node.created': { 1: node.nodeCreated },
  'dats.node.joined': { 1: node.nodeJoined },
  'dats.node.registered': { 1: node.nodeRegistered },
  'dats.node.lost': { 1: node.nodeLost },
  'dats.node.returned': { 1: node.nodeReturned },
  'dats.node.cordoned': { 1: node.nodeCordoned },
  'dats.node.uncordoned': { 1: node.nodeUncordoned },
  'dats.node.drained': { 1: node.nodeDrained },
  'dats.project.move.requested': { 1: node.projectMoveRequested },
  'dats.project.move.started': { 1: node.projectMoveStarted },
  'dats.project.released': { 1: node.projectReleased },
  'dats.project.moved': { 1: node.projectMoved },
  'dats.project.arrived': { 1: node.projectArrived },
  'dats.link.batch': { 1: node.linkBatch },
  'dats.work.requested': { 1: workRequestedV1, 2: workRequestedV2, 3: workRequested },
  'dats.model.called': { 1: telemetry.modelCalledV1, 2: telemetry.modelCalledV2, 3: telemetry.modelCalled },
  'dats.node.sampled': { 1: telemetry.nodeSampled },
  'dats.ops.alert': { 1: telemetry.opsAlert },
} as const satisfies Record<string, Record<number, z.ZodType>>;

export type EventType = keyof typeof EVENTS;
type Newest<Versions, Before extends readonly unknown[] = [unknown]> = [...Before, unknown]['length'] extends keyof Versions
  ? Newest<Versions, [...Before, unknown]>
  : Versions[Before['length'] & keyof Versions];
/** An interface, because the compiler looks up `EventData[T]` in one also where T is not known yet; in the mapped type itself it would not. */
interface EventData extends DataByType {}
type DataByType = { [T in EventType]: z.infer<Newest<(typeof EVENTS)[T]>> };
/** The data of a type's newest version. Data of an older one fits it too (G4), so readers know one shape. */
export type DataOf<T extends EventType> = EventData[T];
/** One event of a type, or (without argument) the union of all: narrow it by `type`. */
export type EventOf<T extends EventType = EventType> = { [K in T]: Envelope<K, DataOf<K>> }[T];
export type DatsEvent = EventOf;

/** Everything that is said about a task. */
export const TASK_TYPES: readonly EventType[] = (Object.keys(EVENTS) as EventType[]).filter((type) => type.startsWith('dats.task.'));

/** What the ledger of budgets answers to the attempt of a task; its subject is the task. */
export const BUDGET_ANSWERS = ['dats.quota.reserved', 'dats.quota.blocked'] as const satisfies readonly EventType[];

/** The only types after which nothing more is decided for a task. */
export const TERMINAL_TYPES = ['dats.task.completed', 'dats.task.failed', 'dats.task.cancelled'] as const satisfies readonly EventType[];
export const isTerminal = (type: string): boolean => (TERMINAL_TYPES as readonly string[]).includes(type);

const newest = (type: EventType): number => Math.max(...Object.keys(EVENTS[type]).map(Number));
const dataschemas = new Map<string, string>(
  (Object.keys(EVENTS) as EventType[]).map((type) => [type, `urn:dats:${type.slice('dats.'.length)}:${newest(type)}`]),
);
export const dataschemaOf = (type: EventType): string => dataschemas.get(type)!;

/** How an event lies in the log: CloudEvents binary mode. Header names are the attribute names; the Kafka binding adds `ce_`. */
export interface Encoded {
  readonly headers: Readonly<Record<string, string>>;
  /** JSON of `data`. */
  readonly value: string;
}

export const encode = (event: DatsEvent): Encoded => ({ headers: attributesOf(event), value: JSON.stringify(event.data) });

/** All attributes of an event. Written out: a rest pattern costs four times as much. */
export const attributesOf = (event: DatsEvent): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {
    specversion: event.specversion,
    id: event.id,
    source: event.source,
    type: event.type,
    time: event.time,
    subject: event.subject,
    datacontenttype: event.datacontenttype,
    dataschema: event.dataschema,
    projectid: event.projectid,
    correlationid: event.correlationid,
    actor: event.actor,
    configversion: event.configversion,
  };
  if (event.causationid !== undefined) headers.causationid = event.causationid;
  if (event.traceparent !== undefined) headers.traceparent = event.traceparent;
  if (event.afteroffset !== undefined) headers.afteroffset = event.afteroffset;
  return headers;
};

interface Version {
  readonly type: EventType;
  readonly dataschema: string;
  readonly data: z.ZodType;
}
const versions = new Map<string, Version>();
for (const [type, schemas] of Object.entries(EVENTS)) {
  for (const [version, data] of Object.entries(schemas)) {
    const dataschema = `urn:dats:${type.slice('dats.'.length)}:${version}`;
    versions.set(dataschema, { type: type as EventType, dataschema, data });
  }
}

/** Does this build know that version of an event? */
export const isKnownSchema = (dataschema: string): boolean => versions.has(dataschema);

/**
 * The event in `headers` and `value`.
 * @throws Fault terminal: `not_an_event`, `unknown_type`, `unknown_version` (the type is known, this version is not), `not_json`, `bad_event`.
 */
export const decode = (headers: Readonly<Record<string, string>>, value: Uint8Array | string): DatsEvent => {
  const version = versionOf(headers);
  const json = parse(version, value);
  if (!areAttributes(headers)) throw badEvent(version, attributesSchema.safeParse(headers).error);
  const { success, data, error } = version.data.safeParse(json);
  if (!success) throw badEvent(version, error);
  return eventWith(version, headers, data);
};

/**
 * Like `decode`, but `data` is taken as it lies in the log, once it is an object (G3).
 * @throws Fault as `decode`, but for what is in `data`.
 */
export const decodeWritten = (headers: Readonly<Record<string, string>>, value: Uint8Array | string): DatsEvent => {
  const version = versionOf(headers);
  const data = parse(version, value);
  if (!areAttributes(headers) || typeof data !== 'object' || data === null) return decode(headers, value);
  return eventWith(version, headers, data);
};

const versionOf = ({ type, dataschema }: Readonly<Record<string, string>>): Version => {
  if (type === undefined || dataschema === undefined)
    throw new Fault('terminal', 'not_an_event', 'the record has no CloudEvents attributes "type" and "dataschema"');
  const version = versions.get(dataschema);
  if (version?.type === type) return version;
  if (Object.hasOwn(EVENTS, type))
    throw new Fault(
      'terminal',
      'unknown_version',
      `"${dataschema}" is not a version of ${type} that this build knows; newest: ${dataschemaOf(type as EventType)}`,
    );
  throw new Fault('terminal', 'unknown_type', `no event type "${type}" is known`);
};

const parse = ({ type }: Version, value: Uint8Array | string): unknown => {
  try {
    return JSON.parse(typeof value === 'string' ? value : textOf(value));
  } catch (cause) {
    throw new Fault('terminal', 'not_json', `the data of a ${type} is not JSON`, { cause });
  }
};

const textOf = (value: Uint8Array): string =>
  (Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)).toString('utf8');

const badEvent = ({ type }: Version, cause: z.ZodError | undefined): Fault => {
  const issue = cause?.issues[0];
  const why = issue === undefined ? 'its attributes are not valid' : `/${issue.path.join('/')}: ${issue.message}`;
  return new Fault('terminal', 'bad_event', `a ${type} does not fit its schema: ${why}`, { cause });
};

/** Written out like `attributesOf`, and for the same reason. What all events share is the constant, not a copy out of each record. */
const eventWith = ({ type, dataschema }: Version, headers: Readonly<Record<string, string>>, data: unknown): DatsEvent => {
  const event: Record<string, unknown> = {
    specversion: '1.0',
    id: headers.id,
    source: headers.source,
    type,
    time: headers.time,
    subject: headers.subject,
    datacontenttype: 'application/json',
    dataschema,
    projectid: headers.projectid,
    correlationid: headers.correlationid,
    actor: headers.actor,
    configversion: headers.configversion,
    data,
  };
  const { causationid, traceparent, afteroffset } = headers;
  if (causationid !== undefined) event.causationid = causationid;
  if (traceparent !== undefined) event.traceparent = traceparent;
  if (afteroffset !== undefined) event.afteroffset = afteroffset;
  return event as unknown as DatsEvent;
};
