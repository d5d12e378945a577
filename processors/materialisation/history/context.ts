// What the history remembers of an open task, to copy onto its later rows: no question about them needs a join. A fold of its events, nothing else.
//
// C1. A context lives from the task's creation to its end. C2. An execution is an attempt from `ready` to the first event that ends it; what comes later of the same
// attempt (the answer of a model that was too late) ends nothing.
import type { DatsEvent } from '../../../schemas/index.js';

/** Of an artifact, what a row says. */
export interface ArtifactNote {
  readonly id: string;
  readonly path: string;
  readonly type: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** The newest attempt. Times are RFC 3339. */
export interface AttemptContext {
  readonly attempt: number;
  readonly ended: boolean;
  readonly ready_at: string;
  readonly prompt_version: string;
  readonly started_at?: string;
  readonly node?: string;
  readonly worker?: string;
  readonly fence?: string;
  readonly output?: OutputNote;
}

export interface OutputNote {
  readonly at: string;
  readonly model: string;
  readonly provider: string;
  readonly model_digest: string;
  readonly scripted: boolean;
  readonly prompt_sha256: string;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly duration_ms: number;
  readonly confidence?: number;
  readonly artifacts: readonly ArtifactNote[];
  readonly consumed: readonly { readonly id: string; readonly task: string }[];
}

export interface TaskContext {
  readonly created_at: string;
  readonly parent_id: string;
  readonly priority: string;
  readonly mode: string;
  readonly domain: string;
  readonly tier: string;
  readonly attempt?: AttemptContext;
}

export type ExecutionStatus = 'accepted' | 'rejected' | 'failed' | 'timed_out' | 'cancelled';

const UNKNOWN: TaskContext = { created_at: '', parent_id: '', priority: '', mode: '', domain: '', tier: '' };

/** How the event ends the execution that is open in `context`; undefined: it does not. */
export const executionStatus = (context: TaskContext | undefined, event: DatsEvent): ExecutionStatus | undefined => {
  const open = context?.attempt;
  if (open === undefined || open.ended) return undefined;
  const ofThis = 'attempt' in event.data && event.data.attempt === open.attempt;
  switch (event.type) {
    case 'dats.task.validated':
      return ofThis ? 'accepted' : undefined;
    case 'dats.task.rejected':
      return ofThis ? 'rejected' : undefined;
    case 'dats.task.attempt.failed':
      return ofThis ? 'failed' : undefined;
    case 'dats.task.timedout':
      return ofThis ? 'timed_out' : undefined;
    case 'dats.task.failed':
      return 'failed';
    case 'dats.task.cancelled':
      return 'cancelled';
    default:
      return undefined;
  }
};

/** What a row says of an output. */
export const outputOf = (event: Extract<DatsEvent, { type: 'dats.task.output.created' }>): OutputNote => {
  const { data } = event;
  return {
    at: event.time,
    model: data.model,
    provider: data.provider,
    model_digest: data.model_digest ?? '',
    scripted: data.scripted,
    prompt_sha256: data.prompt_sha256,
    input_tokens: data.tokens_in,
    output_tokens: data.tokens_out,
    duration_ms: data.duration_ms,
    ...(data.confidence === undefined ? {} : { confidence: data.confidence }),
    artifacts: data.artifacts.map(({ artifact_id, path, type, sha256, bytes }) => ({ id: artifact_id, path, type, sha256, bytes })),
    consumed: data.consumed.map(({ artifact_id, task_id }) => ({ id: artifact_id, task: task_id })),
  };
};

/** The context after the event, which the event's own row shows already; undefined when the task is over, or was never created (C1). */
export const evolveContext = (before: TaskContext | undefined, event: DatsEvent): TaskContext | undefined => {
  if (event.type === 'dats.task.created')
    return { ...UNKNOWN, created_at: event.time, parent_id: event.data.parent_id ?? '', priority: event.data.priority };
  if (before === undefined) return undefined;
  const { attempt } = before;
  switch (event.type) {
    case 'dats.task.analyzed':
      return { ...before, mode: event.data.mode, domain: event.data.domain, tier: event.data.tier };
    case 'dats.task.ready': {
      const { attempt: number, tier, domain, prompt_version } = event.data;
      return { ...before, tier, domain, attempt: { attempt: number, ended: false, ready_at: event.time, prompt_version } };
    }
    case 'dats.task.started': {
      const { attempt: number, node, worker, fence } = event.data;
      if (attempt?.attempt !== number) return before;
      return { ...before, attempt: { ...attempt, started_at: event.time, node, worker, fence } };
    }
    case 'dats.task.output.created':
      if (attempt?.attempt !== event.data.attempt) return before;
      return { ...before, attempt: { ...attempt, output: outputOf(event) } };
    case 'dats.task.completed':
    case 'dats.task.failed':
    case 'dats.task.cancelled':
      return undefined;
    default:
      if (executionStatus(before, event) === undefined) return before;
      return { ...before, attempt: { ...attempt!, ended: true } };
  }
};
