// The effect that has a model write files.
//
// G1. The outcome is `dats.task.output.created`, or `dats.task.attempt.failed` with words that the next attempt can use. G2. Ids are derived from task and attempt,
// so a repeated run says the same. G3. Files are durable before the outcome names them. G4. Aborted, it throws the signal's reason and says nothing more.
import type { Answer, Ask } from '../../models/index.js';
import {
  type Artifact,
  type CallSummary,
  type DataOf,
  type Decision,
  derivedId,
  type EventOf,
  type Fault,
  isFault,
  type Language,
  languageOf,
  MOST_RECORDED,
} from '../../schemas/index.js';
import type { ArtifactStore } from '../artifact-store.js';
import { inlineContent, referenceText } from '../content.js';
import { type Draft, say } from '../draft.js';
import type { Effect, EffectContext, EffectPorts } from '../effect.js';
import { type NamedPrompt, promptNamed } from '../prompt-versions.js';
import { classify, signalsOf, titleOf } from '../routing/index.js';
import { traceparentWithin } from '../traces/index.js';
import { type AnswerResult, filesIn } from './answer.js';
import type { TextFile } from './fence.js';
import { type GenerationMaterial, materialFor, type TaskOwner } from './material.js';
import { GENERATE_SYSTEM, PROMPT_BUDGET_TOKENS, type Prompt, promptOf } from './prompt.js';
import { startNotice } from './start-notice.js';

export interface GenerationOptions {
  /** What the messages may take; default PROMPT_BUDGET_TOKENS. */
  readonly promptBudgetTokens?: number;
  /** What an answer may take; default: what the model is configured for. */
  readonly maxTokens?: number;
}

type Work = EventOf<'dats.work.requested'>;
type Sampling = DataOf<'dats.task.output.created'>['sampling'];

/** The first attempt takes the likeliest answer; later ones must be able to differ from it. */
const RETRY_TEMPERATURE = 0.4;

const samplingFor = (attempt: number, options: GenerationOptions): Sampling => ({
  temperature: attempt <= 1 ? 0 : RETRY_TEMPERATURE,
  seed: attempt,
  ...(options.maxTokens === undefined ? {} : { max_tokens: options.maxTokens }),
});

const startedOf = (work: Work, context: EffectContext): Draft => {
  const { task_id, attempt } = work.data;
  const { node, worker, fence } = context;
  return say('dats.task.started', task_id, { task_id, attempt, node, worker, fence }, derivedId(task_id, attempt, 'started', fence));
};

/** How models were asked: what was decided, and every call. */
interface Asked {
  decision?: Decision;
  readonly calls: CallSummary[];
}

const failedOf = (work: Work, asked: Asked, code: string, message: string, retryable: boolean): Draft => {
  const { task_id, attempt } = work.data;
  const data: DataOf<'dats.task.attempt.failed'> = { task_id, attempt, stage: 'generation', error: { code, message, retryable } };
  if (asked.decision !== undefined) data.decision = asked.decision;
  // Also where there are none: absent means that nobody knows.
  data.calls = asked.calls;
  return say('dats.task.attempt.failed', task_id, data, derivedId(task_id, attempt, 'generate'));
};

interface Prepared {
  readonly prompt: Prompt;
  readonly language: Language | undefined;
  readonly title: string;
  readonly owner: TaskOwner | undefined;
}

const prepare = (material: GenerationMaterial, named: NamedPrompt, options: GenerationOptions): Prepared => {
  const { spec, description, files, inputs, previous } = material;
  const tests = spec.tests;
  const { mode, language } = classify(
    signalsOf({
      description,
      description_bytes: spec.description.bytes,
      files: spec.files,
      inputs: inputs.length,
      options: {},
      ...(tests === undefined ? {} : { tests: { language: tests.language, bytes: tests.code.bytes } }),
    }),
  );
  const judged =
    tests === undefined
      ? undefined
      : {
          language: tests.language,
          ...(tests.entry_point === undefined ? {} : { entry_point: tests.entry_point }),
          ...(tests.path === undefined ? {} : { path: tests.path }),
        };
  const prompt = promptOf(
    { description, mode, language, files, inputs, tests: judged, previous },
    options.promptBudgetTokens ?? PROMPT_BUDGET_TOKENS,
    named,
  );
  return { prompt, language, title: titleOf(description), owner: material.owner };
};

const askFor = (work: Work, { prompt, title, owner }: Prepared, sampling: Sampling, context: EffectContext, asked: Asked): Ask => {
  const { task_id, attempt, tier, domain, model, allowance } = work.data;
  const ask: { -readonly [K in keyof Ask]: Ask[K] } = {
    messages: prompt.messages,
    purpose: 'generate',
    tier,
    domain,
    task_id,
    attempt,
    temperature: sampling.temperature!,
    seed: sampling.seed!,
    hints: { task: title, purpose: 'generate', tier, attempt },
    traceparent: traceparentWithin(work, task_id, 'generate', attempt),
    project_id: work.projectid,
    onText: context.onText,
    onRestart: context.onRestart,
    onDecision: (decision) => {
      asked.decision = decision;
    },
    onCall: (call) => {
      if (asked.calls.length < MOST_RECORDED) asked.calls.push(call);
    },
  };
  if (owner !== undefined) ask.user = owner.user;
  if (owner?.confidential === true) ask.local_only = true;
  if (allowance !== undefined) ask.allowance = allowance;
  if (sampling.max_tokens !== undefined) ask.max_tokens = sampling.max_tokens;
  if (model !== undefined) ask.model = model;
  return ask;
};

const artifactsOf = async (store: ArtifactStore, work: Work, files: readonly TextFile[]): Promise<Artifact[]> => {
  const { task_id, attempt } = work.data;
  const artifacts: Artifact[] = [];
  for (const { path, content } of files) {
    const stored = inlineContent(content) ?? (await referenceText(store, content));
    artifacts.push({ ...stored, artifact_id: derivedId(task_id, attempt, path), type: languageOf(path), path });
  }
  return artifacts;
};

const outputOf = (
  work: Work,
  asked: Asked,
  answer: Answer,
  prompt: Prompt,
  sampling: Sampling,
  artifacts: Artifact[],
  fence: string,
): Draft => {
  const { task_id, attempt } = work.data;
  const output: DataOf<'dats.task.output.created'> = {
    task_id,
    attempt,
    artifacts,
    model: answer.model,
    provider: answer.provider,
    scripted: answer.scripted,
    tokens_in: answer.input_tokens,
    tokens_out: answer.output_tokens,
    duration_ms: answer.duration_ms,
    prompt_version: prompt.version,
    prompt_sha256: prompt.sha256,
    sampling,
    consumed: work.data.context.inputs,
    omitted: [...prompt.omitted],
    fence,
  };
  if (answer.model_digest !== undefined) output.model_digest = answer.model_digest;
  if (asked.decision !== undefined) output.decision = asked.decision;
  if (asked.calls.length > 0) output.calls = asked.calls;
  return say('dats.task.output.created', task_id, output, derivedId(task_id, attempt, 'generate'));
};

/** A model's fault is an outcome; everything else is not ours to judge. */
const modelFault = (error: unknown): Fault | undefined => (isFault(error, 'retryable') || isFault(error, 'terminal') ? error : undefined);

const outcomeOf = async (
  work: Work,
  ports: EffectPorts,
  context: EffectContext,
  prepared: Prepared,
  sampling: Sampling,
): Promise<Draft> => {
  const asked: Asked = { calls: [] };
  let answer: Answer;
  try {
    answer = await ports.models.ask(askFor(work, prepared, sampling, context, asked), context.signal);
  } catch (error) {
    if (context.signal.aborted) throw context.signal.reason;
    const fault = modelFault(error);
    if (fault === undefined) throw error;
    return failedOf(work, asked, fault.code, fault.message, fault.kind === 'retryable');
  }
  const files: AnswerResult = filesIn(answer.text, {
    finish_reason: answer.finish_reason,
    ...(prepared.language === undefined ? {} : { language: prepared.language }),
  });
  if (!files.ok) return failedOf(work, asked, files.error.code, files.error.message, true);
  const artifacts = await artifactsOf(ports.artifacts, work, files.files);
  return outputOf(work, asked, answer, prepared.prompt, sampling, artifacts, context.fence);
};

export const generateEffect = (options: GenerationOptions = {}): Effect => ({
  name: 'generate',
  kinds: ['generate'],
  run: async (work, ports, context) => {
    if (context.signal.aborted) throw context.signal.reason;
    const notice = startNotice(startedOf(work, context), context);
    try {
      const named = promptNamed('generate', work.data.prompt_version, GENERATE_SYSTEM, ports.prompts);
      const prepared = prepare(await materialFor(work, ports.artifacts, context), named, options);
      const outcome = await outcomeOf(work, ports, context, prepared, samplingFor(work.data.attempt, options));
      if (context.signal.aborted) throw context.signal.reason;
      return [...(await notice.settle()), outcome];
    } finally {
      notice.drop();
    }
  },
});
