// The events of one task from its creation to its end, as a seed has it: statuses, attempts, artifacts, inputs, model calls. Pure; without times and places, which
// history-generator.ts gives. What they say is as the pipeline says it: types, keys, writers and sizes.

import { sha256Of } from '../processors/index.js';
import {
  type Content,
  type DataOf,
  DOMAINS,
  derivedId,
  type EventType,
  LIFECYCLE,
  MODES,
  PRIORITIES,
  TELEMETRY,
  TIERS,
  type Topic,
} from '../schemas/index.js';
import type { Random } from './random.js';

/** One event, before it has an envelope. */
export type Said = {
  [T in EventType]: { readonly topic: Topic; readonly type: T; readonly source: string; readonly data: DataOf<T> };
}[EventType];

/** An artifact that later tasks of the project may consume. */
export interface Made {
  readonly artifact_id: string;
  readonly task_id: string;
  readonly path: string;
  readonly sha256: string;
  /** Offset of the event that holds it. */
  readonly at: number;
}

export interface TaskSetting {
  readonly random: Random;
  readonly task_id: string;
  /** Milliseconds since the epoch of the event that is asked for. */
  readonly now: () => number;
  /** Offset that the event will have. */
  readonly offset: () => number;
  /** Accepted artifacts of the project, the newest of them; tasks add theirs. */
  readonly made: Made[];
  /** False: no execution may begin any more. Asked once before each. */
  readonly mayExecute: () => boolean;
}

export const NODES = ['core-1', 'core-2', 'edge-1', 'edge-2', 'edge-3', 'edge-4'] as const;
const PROVIDERS = ['ollama', 'openai', 'vllm'] as const;
const PROMPTS = ['generate@1', 'generate@2', 'generate@3', 'generate@4'] as const;
const PRICES = '2026-11';
const GATEWAY = '/gateway';
const DECIDERS = '/deciders/core';
const GENERATION = '/effects/generation';
const QA = '/effects/qa';
const MAX_ATTEMPTS = 3;
const KEPT_ARTIFACTS = 32;
const MAX_CONSUMED = 3;
const ATTEMPT_MS = 600_000;

const WORDS =
  'write a function that reads the file and returns rows by key parse check retry limit cursor batch merge index page token value error state queue node'.split(
    ' ',
  );

const words = (random: Random, count: number): string => Array.from({ length: count }, () => random.pick(WORDS)).join(' ');
const contentOf = (text: string): Content => ({ sha256: sha256Of(text), bytes: Buffer.byteLength(text), content: text });

const codeFile = (random: Random): string => {
  const lines = Array.from(
    { length: 4 + random.int(28) },
    () => `    ${random.pick(WORDS)}_${random.int(1_000)} = ${random.pick(WORDS)}(${random.int(100)})`,
  );
  return `def ${random.pick(WORDS)}_${random.hex(6)}():\n${lines.join('\n')}\n    return None\n`;
};

type Status = 'accepted' | 'rejected' | 'failed' | 'timed_out' | 'cancelled';
/** 80 % accepted, 15 % rejected, 5 % the rest. */
const statusOf = (random: Random): Status => {
  const at = random.int(1_000);
  return at < 800 ? 'accepted' : at < 950 ? 'rejected' : at < 980 ? 'failed' : at < 990 ? 'timed_out' : 'cancelled';
};

const say = <T extends EventType>(type: T, source: string, data: DataOf<T>, topic: Topic = LIFECYCLE): Said =>
  ({ topic, type, source, data }) as unknown as Said;

function* begun({ random, task_id, now }: TaskSetting, domain: (typeof DOMAINS)[number], tier: (typeof TIERS)[number]): Generator<Said> {
  yield say('dats.task.created', GATEWAY, {
    task_id,
    description: contentOf(words(random, 20 + random.int(80))),
    priority: random.pick(PRIORITIES),
    options: { qa_profile: 'tests' },
    depends_on: [],
    inputs: [],
    files: [],
    submitted_by: `user-${random.int(40)}`,
  });
  const took = 500 + random.int(20_000);
  yield say('dats.task.analyzed', DECIDERS, {
    task_id,
    mode: random.pick(MODES),
    domain,
    tier,
    language: 'python',
    complexity: random.int(100) / 100,
    confidence: random.int(100) / 100,
    estimated_tokens: 200 + random.int(2_000),
    estimated_duration_ms: took,
    estimated_completion: new Date(now() + took).toISOString(),
    analyser: { name: 'signals', version: '1' },
    features: { chars: random.int(600), has_tests: true, language: 'python', files: random.int(4) },
    candidates: TIERS.map((of) => ({ tier: of, score: random.int(100) / 100 })),
  });
  if (random.int(100) < 15)
    yield say('dats.task.queued', DECIDERS, { task_id, attempt: 1, reason: 'project_limit', position: 1 + random.int(20) });
}

interface Attempt {
  readonly attempt: number;
  readonly tier: (typeof TIERS)[number];
  readonly node: string;
  readonly model: string;
  readonly provider: string;
  readonly prompt_version: string;
  readonly fence: string;
  readonly tokens_in: number;
  readonly tokens_out: number;
  readonly duration_ms: number;
}

const newAttempt = (random: Random, attempt: number, tier: Attempt['tier']): Attempt => ({
  attempt,
  tier,
  node: random.pick(NODES),
  model: `${tier}-${random.pick(['a', 'b', 'c'])}`,
  provider: random.pick(PROVIDERS),
  prompt_version: random.pick(PROMPTS),
  fence: `${1 + random.int(40)}-${random.int(1_000)}`,
  tokens_in: 200 + random.int(6_000),
  tokens_out: 20 + random.int(1_500),
  duration_ms: 200 + random.int(60_000),
});

const called = ({ random, task_id }: TaskSetting, of: Attempt, failed: boolean): Said =>
  say(
    'dats.model.called',
    GENERATION,
    {
      operation: 'chat',
      model: of.model,
      request_model: of.model,
      provider: of.provider,
      purpose: 'generate',
      task_id,
      attempt: of.attempt,
      node: of.node,
      input_tokens: of.tokens_in,
      output_tokens: failed ? 0 : of.tokens_out,
      duration_ms: of.duration_ms,
      outcome: failed ? 'timeout' : 'ok',
      cost_usd: of.tokens_in * 2e-7 + of.tokens_out * 8e-7,
      price_version: PRICES,
      ...(failed ? { error_type: 'model_timeout' } : { time_to_first_chunk_ms: 20 + random.int(900), finish_reason: 'stop' }),
    },
    TELEMETRY,
  );

const outputOf = ({ random, task_id, made }: TaskSetting, of: Attempt) => {
  const consumed = Array.from({ length: Math.min(random.int(MAX_CONSUMED + 1), made.length) }, () => random.pick(made));
  return {
    task_id,
    attempt: of.attempt,
    artifacts: Array.from({ length: 1 + random.int(3) }, (_, i) => ({
      artifact_id: derivedId(task_id, 'artifact', of.attempt, i),
      type: 'python' as const,
      path: `src/module_${random.int(400)}_${i}.py`,
      ...contentOf(codeFile(random)),
    })),
    model: of.model,
    provider: of.provider,
    model_digest: `sha256:${of.model}`,
    scripted: false,
    tokens_in: of.tokens_in,
    tokens_out: of.tokens_out,
    duration_ms: of.duration_ms,
    prompt_version: of.prompt_version,
    prompt_sha256: random.hex(64),
    sampling: { temperature: 0.2, max_tokens: 2_048 },
    consumed: consumed.filter((one, i) => consumed.indexOf(one) === i),
    omitted: [],
    confidence: random.int(100) / 100,
    fence: of.fence,
  };
};

/** From `started` to what ends the execution. */
function* executed(setting: TaskSetting, of: Attempt, status: Status): Generator<Said> {
  const { random, task_id, offset, made } = setting;
  const { attempt, node, fence } = of;
  yield say('dats.task.started', GENERATION, { task_id, attempt, node, worker: `${node}:${2_000 + random.int(8)}`, fence });
  if (status === 'timed_out') return yield say('dats.task.timedout', DECIDERS, { task_id, attempt, after_ms: ATTEMPT_MS });
  if (status === 'cancelled') {
    const by = `user-${random.int(40)}`;
    yield say('dats.task.cancel.requested', GATEWAY, { task_id, reason: 'not needed any more', by });
    return yield say('dats.task.cancelled', DECIDERS, { task_id, reason: 'not needed any more', by });
  }
  yield called(setting, of, status === 'failed');
  if (status === 'failed') {
    const error = { code: 'model_timeout', message: 'no byte for 60 s', retryable: true };
    return yield say('dats.task.attempt.failed', GENERATION, { task_id, attempt, stage: 'generation', error });
  }
  const output = outputOf(setting, of);
  const at = offset();
  yield say('dats.task.output.created', GENERATION, output);
  const passed = status === 'accepted';
  const verdict = {
    task_id,
    attempt,
    profile: 'tests' as const,
    checks: [
      { name: 'syntax:python', status: 'passed' as const, duration_ms: random.int(20) },
      { name: 'tests:python', status: passed ? ('passed' as const) : ('failed' as const), duration_ms: random.int(4_000) },
    ],
    score: passed ? 1 : 0.5,
  };
  if (!passed) {
    const reasons = [`AssertionError: expected ${random.int(1_000)}, got ${random.int(1_000)}`];
    return yield say('dats.task.rejected', QA, { ...verdict, reasons, retryable: true });
  }
  yield say('dats.task.validated', QA, verdict);
  for (const { artifact_id, path, sha256 } of output.artifacts) made.push({ artifact_id, task_id, path, sha256, at });
  made.splice(0, Math.max(0, made.length - KEPT_ARTIFACTS));
}

/** All its events, in order. Nothing when no execution may begin. */
export function* taskEvents(setting: TaskSetting): Generator<Said> {
  const { random, task_id, now, offset, mayExecute } = setting;
  if (!mayExecute()) return;
  const domain = random.pick(DOMAINS);
  const tier = random.pick(TIERS);
  const created = offset();
  const createdAt = now();
  yield* begun(setting, domain, tier);
  for (let attempt = 1; ; attempt++) {
    const of = newAttempt(random, attempt, tier);
    const { prompt_version } = of;
    const due = new Date(now() + ATTEMPT_MS).toISOString();
    yield say('dats.task.ready', DECIDERS, { task_id, attempt, tier, domain, prompt_version, context: { created, inputs: [] }, due });
    const status = statusOf(random);
    yield* executed(setting, of, status);
    if (status === 'cancelled') return;
    if (status === 'accepted') {
      const provenance_id = derivedId(task_id, 'execution', attempt);
      return yield say('dats.task.completed', DECIDERS, { task_id, attempt, provenance_id, execution_time_ms: now() - createdAt });
    }
    if (attempt === MAX_ATTEMPTS || !mayExecute()) {
      const error = { code: status, message: `after ${attempt} attempts`, retryable: false };
      return yield say('dats.task.failed', DECIDERS, { task_id, attempt, error });
    }
    const next = new Date(now() + 1_000).toISOString();
    const retry = { task_id, attempt: attempt + 1, due: next, backoff_ms: 1_000, tier, escalated: false };
    yield say('dats.task.retry.scheduled', DECIDERS, { ...retry, reason: status });
  }
}
