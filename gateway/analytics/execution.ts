// From a row of dats.provenance to what the API says about an execution. Pure.
import { EXECUTION_STATUSES, type Execution, type ExecutionStatus, type Provenance, type Taint } from '../../schemas/index.js';
import type { Row } from '../../streams/index.js';
import { between, numberOf, numberOrNull, numbersOf, positiveOrNull, textOf, textOrNull, textsOf, timeOrNull } from './cells.js';
import type { Choice } from './choice.js';
import { worstOf } from './taint.js';

/** Columns of an execution in a list. */
export const EXECUTION_COLUMNS =
  'provenance_id, project_id, task_id, parent_id, attempt, status, model, provider, scripted, prompt_version, tier, domain, node, started_at, time, duration_ms, input_tokens, output_tokens, score, error_code, artifact_ids, artifact_paths';
/** Columns of a whole record. */
export const RECORD_COLUMNS = `${EXECUTION_COLUMNS}, mode, priority, model_digest, prompt_sha256, config_version, worker, fence, ready_at, output_at, confidence, profile, checks_passed, checks_failed, reasons, error_message, artifact_types, artifact_sha256, artifact_bytes, consumed_ids, consumed_tasks, trace_id, correlation_id, event_id, topic, partition, offset`;

export const statusOf = (text: string): ExecutionStatus | null => EXECUTION_STATUSES.find((status) => status === text) ?? null;

const shapeOf = (row: Row, taints: ReadonlyMap<string, Taint>): Omit<Execution, 'artifacts'> => ({
  provenance_id: textOf(row.provenance_id),
  project_id: textOf(row.project_id),
  task_id: textOf(row.task_id),
  parent_id: textOrNull(row.parent_id),
  attempt: numberOf(row.attempt),
  status: statusOf(textOf(row.status)) ?? 'failed',
  model: textOrNull(row.model),
  provider: textOrNull(row.provider),
  scripted: row.scripted === true,
  prompt_version: textOrNull(row.prompt_version),
  tier: textOrNull(row.tier),
  domain: textOrNull(row.domain),
  node: textOrNull(row.node),
  started_at: timeOrNull(row.started_at),
  finished_at: textOf(row.time),
  duration_ms: positiveOrNull(row.duration_ms),
  input_tokens: numberOf(row.input_tokens),
  output_tokens: numberOf(row.output_tokens),
  score: numberOrNull(row.score),
  error_code: textOrNull(row.error_code),
  taint: worstOf(textsOf(row.artifact_ids).map((id) => taints.get(id) ?? 'clean')),
});

export const executionOf = (row: Row, taints: ReadonlyMap<string, Taint>): Execution => {
  const paths = textsOf(row.artifact_paths);
  return { ...shapeOf(row, taints), artifacts: textsOf(row.artifact_ids).map((artifact_id, i) => ({ artifact_id, path: paths[i] ?? '' })) };
};

export interface RecordContext {
  readonly taints: ReadonlyMap<string, Taint>;
  /** Artifact id -> path, of what was consumed. */
  readonly paths: ReadonlyMap<string, string>;
  /** USD; null where it is not known. */
  readonly costUsd: number | null;
  readonly choice: Choice;
}

const verificationOf = (row: Row): Provenance['verification'] =>
  textOf(row.profile) === ''
    ? null
    : {
        profile: textOf(row.profile),
        score: numberOrNull(row.score),
        passed: textsOf(row.checks_passed),
        failed: textsOf(row.checks_failed),
        reasons: textsOf(row.reasons),
      };

const artifactsOf = (row: Row, taints: ReadonlyMap<string, Taint>): Provenance['artifacts'] => {
  const paths = textsOf(row.artifact_paths);
  const types = textsOf(row.artifact_types);
  const digests = textsOf(row.artifact_sha256);
  const bytes = numbersOf(row.artifact_bytes);
  return textsOf(row.artifact_ids).map((artifact_id, i) => ({
    artifact_id,
    path: paths[i] ?? '',
    type: types[i] ?? '',
    sha256: digests[i] ?? '',
    bytes: bytes[i] ?? 0,
    taint: taints.get(artifact_id) ?? 'clean',
  }));
};

/** The whole record. */
export const recordOf = (row: Row, { taints, paths, costUsd, choice }: RecordContext): Provenance => {
  const ready = timeOrNull(row.ready_at);
  const started = timeOrNull(row.started_at);
  const tasks = textsOf(row.consumed_tasks);
  const code = textOf(row.error_code);
  return {
    ...shapeOf(row, taints),
    mode: textOrNull(row.mode),
    priority: textOrNull(row.priority),
    model_digest: textOrNull(row.model_digest),
    prompt_sha256: textOrNull(row.prompt_sha256),
    config_version: textOf(row.config_version),
    worker: textOrNull(row.worker),
    fence: textOrNull(row.fence),
    ready_at: ready,
    output_at: timeOrNull(row.output_at),
    queue_ms: between(ready, started),
    total_ms: between(ready, textOf(row.time)),
    cost_usd: costUsd,
    decision: choice.decision,
    calls: [...choice.calls],
    confidence: numberOrNull(row.confidence),
    verification: verificationOf(row),
    error: code === '' ? null : { code, message: textOf(row.error_message) },
    artifacts: artifactsOf(row, taints),
    consumed: textsOf(row.consumed_ids).map((artifact_id, i) => ({
      artifact_id,
      task_id: tasks[i] || null,
      path: paths.get(artifact_id) ?? null,
    })),
    trace_id: textOrNull(row.trace_id),
    correlation_id: textOf(row.correlation_id),
    event: { id: textOf(row.event_id), topic: textOf(row.topic), partition: numberOf(row.partition), offset: numberOf(row.offset) },
  };
};
