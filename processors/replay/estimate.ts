// Outcomes that nobody recorded, as events. Their contents are unknown: a digest that is nobody's, so that no call that is given them counts as the same.
import { type Artifact, derivedId, INLINE_LIMIT_BYTES, languageOf } from '../../schemas/index.js';
import { sha256Of } from '../content.js';
import { type Draft, say } from '../draft.js';
import type { WorkEvent } from './oracle.js';
import type { TaskRecord } from './record.js';
import type { Expectation } from './statistics.js';

const REASON = 'estimated: nothing is recorded for this call';

/** The paths that the task's recorded attempts wrote, or one. */
const pathsOf = (task: TaskRecord | undefined): readonly string[] => {
  for (const attempt of [...(task?.attempts ?? [])].reverse())
    if (attempt?.outcome?.event.type === 'dats.task.output.created') return attempt.outcome.event.data.artifacts.map(({ path }) => path);
  return ['estimated.txt'];
};

export const outputDraft = (work: WorkEvent, expected: Expectation, task: TaskRecord | undefined): Draft => {
  const { task_id, attempt, prompt_version, context } = work.data;
  const artifacts = pathsOf(task).map((path): Artifact => {
    const sha256 = sha256Of(`estimate\u001f${task_id}\u001f${attempt}\u001f${path}`);
    return { artifact_id: derivedId(task_id, attempt, path), type: languageOf(path), path, sha256, bytes: INLINE_LIMIT_BYTES };
  });
  return say('dats.task.output.created', task_id, {
    task_id,
    attempt,
    artifacts,
    model: expected.model,
    provider: expected.provider,
    scripted: false,
    tokens_in: expected.tokensIn,
    tokens_out: expected.tokensOut,
    duration_ms: expected.delayMs,
    prompt_version,
    prompt_sha256: '',
    sampling: {},
    consumed: context.inputs,
    omitted: [],
    fence: 'replay',
  });
};

export const failureDraft = ({ data: { task_id, attempt } }: WorkEvent, { failure }: Expectation): Draft =>
  say('dats.task.attempt.failed', task_id, {
    task_id,
    attempt,
    stage: 'generation',
    error: { code: failure, message: REASON, retryable: true },
  });

export const verdictDraft = ({ data: { task_id, attempt, qa_profile = 'syntax' } }: WorkEvent, accepted: boolean): Draft => {
  const verdict = { task_id, attempt, profile: qa_profile, checks: [], score: accepted ? 1 : 0 };
  return accepted
    ? say('dats.task.validated', task_id, verdict)
    : say('dats.task.rejected', task_id, { ...verdict, reasons: [REASON], retryable: true });
};
