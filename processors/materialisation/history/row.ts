// A record of the log as a row of `dats.events` (deploy/clickhouse/001_events.sql). Pure. What does not apply is left out: the table has its defaults.
//
// O1. Every record has a row: one that is no event of this build (unknown type, damaged) has what its headers say, its data as it lies there, and why in `error_code`.
// O2. A row never says of one attempt what is true of another: what comes late of an earlier one, or of what an earlier one made, has nothing of the one that is open.
import { type DatsEvent, derivedId, type Fault } from '../../../schemas/index.js';
import type { Recorded } from '../../../streams/index.js';
import { type AttemptContext, executionStatus, type OutputNote, outputOf, type TaskContext } from './context.js';
import { fitRow, fitTime, timeOfAppend } from './fit.js';

/** Column -> value. */
export type EventRow = Record<string, string | number | boolean | readonly (string | number)[]>;

const text = (value: Uint8Array | string): string =>
  typeof value === 'string' ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');

const TRACE_ID = /^[0-9a-f]{2}-([0-9a-f]{32})-/;

/** What headers alone tell. */
const ofHeaders = ({ topic, partition, offset, headers, type, timestamp, value }: Recorded): EventRow => {
  const row: EventRow = {
    topic,
    partition,
    offset,
    id: headers.id ?? '',
    type,
    schema_version: Number(headers.dataschema?.split(':').at(-1)) || 0,
    time: fitTime(headers.time) ?? timeOfAppend(timestamp),
    source: headers.source ?? '',
    actor: headers.actor ?? '',
    subject: headers.subject ?? '',
    project_id: headers.projectid ?? '',
    correlation_id: headers.correlationid ?? '',
    config_version: headers.configversion ?? '',
    data: text(value),
  };
  if (headers.causationid !== undefined) row.causation_id = headers.causationid;
  const trace = headers.traceparent === undefined ? null : TRACE_ID.exec(headers.traceparent);
  if (trace !== null) row.trace_id = trace[1]!;
  return row;
};

/** What was said of the task before. */
const copyTask = (row: EventRow, context: TaskContext): void => {
  if (context.created_at !== '') row.task_created_at = context.created_at;
  if (context.parent_id !== '') row.parent_id = context.parent_id;
  row.mode = context.mode;
  row.domain = context.domain;
  row.tier = context.tier;
  row.priority = context.priority;
};

/** What was said of the attempt before. */
const copyAttempt = (row: EventRow, attempt: AttemptContext): void => {
  row.attempt = attempt.attempt;
  row.ready_at = attempt.ready_at;
  row.prompt_version = attempt.prompt_version;
  if (attempt.started_at !== undefined) row.started_at = attempt.started_at;
  if (attempt.node !== undefined) row.node = attempt.node;
  if (attempt.worker !== undefined) row.worker = attempt.worker;
  if (attempt.fence !== undefined) row.fence = attempt.fence;
  if (attempt.output !== undefined) copyOutput(row, attempt.output);
};

const copyOutput = (row: EventRow, output: OutputNote): void => {
  row.output_at = output.at;
  row.model = output.model;
  row.provider = output.provider;
  row.model_digest = output.model_digest;
  row.scripted = output.scripted;
  row.prompt_sha256 = output.prompt_sha256;
  row.input_tokens = output.input_tokens;
  row.output_tokens = output.output_tokens;
  row.duration_ms = output.duration_ms;
  if (output.confidence !== undefined) row.confidence = output.confidence;
  row.artifact_ids = output.artifacts.map(({ id }) => id);
  row.artifact_paths = output.artifacts.map(({ path }) => path);
  row.artifact_types = output.artifacts.map(({ type }) => type);
  row.artifact_sha256 = output.artifacts.map(({ sha256 }) => sha256);
  row.artifact_bytes = output.artifacts.map(({ bytes }) => bytes);
  row.consumed_ids = output.consumed.map(({ id }) => id);
  row.consumed_tasks = output.consumed.map(({ task }) => task);
};

type Verdict = Extract<DatsEvent, { type: 'dats.task.validated' | 'dats.task.rejected' | 'dats.artifact.revalidated' }>['data'];

const ofVerdict = (row: EventRow, data: Verdict): void => {
  row.profile = data.profile;
  if ('score' in data) row.score = data.score;
  row.checks_passed = data.checks.filter(({ status }) => status === 'passed').map(({ name }) => name);
  row.checks_failed = data.checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
  if ('reasons' in data) row.reasons = data.reasons;
};

const ofCall = (row: EventRow, data: Extract<DatsEvent, { type: 'dats.model.called' }>['data']): void => {
  row.operation = data.operation;
  row.purpose = data.purpose;
  row.outcome = data.outcome;
  row.model = data.model;
  row.provider = data.provider;
  row.node = data.node;
  row.input_tokens = data.input_tokens;
  row.output_tokens = data.output_tokens;
  row.duration_ms = data.duration_ms;
  if (data.time_to_first_chunk_ms !== undefined) row.first_chunk_ms = data.time_to_first_chunk_ms;
  if (data.cost_usd !== undefined) row.cost_usd = data.cost_usd.toFixed(9);
  if (data.price_version !== undefined) row.price_version = data.price_version;
  if (data.error_type !== undefined) row.error_code = data.error_type;
};

const ofError = (row: EventRow, { code, message }: { readonly code: string; readonly message: string }): void => {
  row.error_code = code;
  row.error_message = message;
};

const ofData = (row: EventRow, event: DatsEvent): void => {
  switch (event.type) {
    case 'dats.task.validated':
    case 'dats.task.rejected':
    case 'dats.artifact.revalidated':
      return ofVerdict(row, event.data);
    case 'dats.task.attempt.failed':
    case 'dats.task.failed':
    case 'dats.replay.failed':
      return ofError(row, event.data.error);
    case 'dats.task.timedout':
      return ofError(row, { code: 'timeout', message: `after ${event.data.after_ms} ms` });
    case 'dats.task.cancelled':
      return ofError(row, { code: 'cancelled', message: event.data.reason });
    case 'dats.task.retry.scheduled':
    case 'dats.cascade.requested':
    case 'dats.artifact.tainted':
    case 'dats.rollback.requested':
      row.reasons = [event.data.reason];
      return;
    case 'dats.task.completed':
      row.execution_time_ms = event.data.execution_time_ms;
      row.provenance_id = event.data.provenance_id;
      return;
    case 'dats.model.called':
      return ofCall(row, event.data);
    case 'dats.ops.alert':
      return ofError(row, { code: event.data.what, message: event.data.detail });
    case 'dats.security.alert':
      return ofError(row, { code: event.data.kind, message: event.data.detail });
    default:
      return;
  }
};

/**
 * @param before context of the task before the event, and `after` it: the row shows the newer one where the task goes on.
 */
export const rowOf = (record: Recorded, event: DatsEvent, before: TaskContext | undefined, after: TaskContext | undefined): EventRow => {
  const row = ofHeaders(record);
  const context = after ?? before;
  const status = executionStatus(before, event);
  const { data } = event;
  const said = 'attempt' in data ? data.attempt : undefined;
  if (context !== undefined) copyTask(row, context);
  const about = 'artifact_id' in data ? data.artifact_id : undefined;
  const newest = context?.attempt;
  const isOfIt = about === undefined || newest?.output?.artifacts.some(({ id }) => id === about) === true;
  const open = isOfIt ? newest : undefined;
  if (open !== undefined && (said === undefined || said === open.attempt || status !== undefined)) copyAttempt(row, open);
  else if (said !== undefined) row.attempt = said;
  if (event.type === 'dats.task.output.created' && said !== open?.attempt) copyOutput(row, outputOf(event));
  if ('task_id' in data && data.task_id !== undefined) row.task_id = data.task_id;
  if ('node' in data && typeof data.node === 'string') row.node = data.node;
  if ('worker' in data && typeof data.worker === 'string') row.worker = data.worker;
  if (row.task_id !== undefined && Number(row.attempt ?? 0) >= 1)
    row.provenance_id = derivedId(String(row.task_id), 'execution', Number(row.attempt));
  ofData(row, event);
  if (status !== undefined) row.execution_status = status;
  return fitRow(row);
};

/** O1. */
export const bareRowOf = (record: Recorded, fault: Fault): EventRow => {
  const row = ofHeaders(record);
  ofError(row, { code: fault.code, message: fault.message });
  return fitRow(row);
};
